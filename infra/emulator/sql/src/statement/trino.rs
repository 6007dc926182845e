//! Queries in Trino's SQL: parses them and rewrites them into DataFusion's dialect.

mod calls;
mod select;
mod types;

pub(crate) use select::UNIQUE;

use super::lexer::{Grammar, words};
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{Statement, VisitMut};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};
use std::collections::HashMap;

/// The deepest nesting of expressions and subqueries.
const DEPTH_MAX: usize = 200;
/// The longest chain of operators. Each operator nests one level deeper than the one before.
const OPERATORS_MAX: usize = 500;
/// The hidden column with the location of a row's file.
const PATH: &str = "$path";

/// A query.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// The text of the query alone.
    pub(crate) text: String,
    /// The syntax tree with lower-case names and with DataFusion's functions and types.
    pub(crate) statement: Statement,
    /// The columns whose names the query writes with capitals: lower-case form → name.
    pub(crate) capitals: HashMap<String, String>,
    /// Whether the query names the hidden column.
    pub(crate) names_path: bool,
    /// Line and column of the first occurrence of each word.
    words: HashMap<String, Location>,
}

impl Query {
    /// Parses a query. `text` is its text, and `words` are its words.
    pub(super) fn parse(text: &str, words: Vec<TokenWithSpan>, parameters: &[String]) -> Result<Self, SqlError> {
        let mut tokens = add_row_parentheses(replace_placeholders(words, parameters)?);
        check_depth(&tokens)?;
        check_relations(&tokens)?;
        let (mut written, mut words, mut names_path) = (HashMap::new(), HashMap::new(), false);
        for spanned in &mut tokens {
            if let Token::Word(word) = &mut spanned.token {
                if word.quote_style == Some('`') {
                    let Location { line, column } = spanned.span.start;
                    let message = "backquoted identifiers are not supported; use double quotes to quote identifiers";
                    return Err(SqlError::syntax(format!("line {line}:{column}: {message}")));
                }
                let lower = word.value.to_lowercase();
                words.entry(lower.clone()).or_insert(spanned.span.start);
                names_path |= lower == PATH;
                let original = std::mem::replace(&mut word.value, lower);
                written.insert((spanned.span.start.line, spanned.span.start.column), original);
                // Trino has no such keywords.
                if word.quote_style.is_none() && matches!(word.keyword, Keyword::EXCLUDE | Keyword::QUALIFY) {
                    word.keyword = Keyword::NoKeyword;
                }
            }
        }
        let mut parser =
            Parser::new(&Grammar::Trino).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens);
        let parsed = parser.parse_query().map_err(|error| syntax(&error))?;
        let next = parser.peek_token();
        if next.token != Token::EOF {
            let Location { line, column } = next.span.start;
            let message = format!("line {line}:{column}: mismatched input '{}'. Expecting: <EOF>", next.token);
            return Err(SqlError::syntax(message));
        }
        let mut statement = Statement::Query(parsed);
        let capitals = select::capitals(&statement, &written);
        select::name_columns(&mut statement, names_path);
        let mut rewriting = calls::Rewriting::default();
        let _ = statement.visit(&mut rewriting);
        if let Some(error) = rewriting.error {
            return Err(error);
        }
        Ok(Self { text: text.to_owned(), statement, capitals, names_path, words })
    }

    /// `line 1:8: ` for the first occurrence of a word; an empty text if the query lacks it.
    pub(crate) fn line_of(&self, word: &str) -> String {
        match self.words.get(&word.to_lowercase()) {
            Some(Location { line, column }) => format!("line {line}:{column}: "),
            None => String::new(),
        }
    }
}

/// Refuses expressions that would overflow the stack of recursive passes. The parser limits parentheses, but it reads
/// `1 + 1 + …` in a loop.
fn check_depth(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    // The operators in a row, here and before each open parenthesis.
    let (mut operators, mut outer) = (0_usize, Vec::new());
    for TokenWithSpan { token, span } in tokens {
        match token {
            Token::LParen | Token::LBracket => outer.push(std::mem::take(&mut operators)),
            Token::RParen | Token::RBracket => operators = outer.pop().unwrap_or(operators),
            Token::Comma => operators = 0,
            Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => operators += 1,
            Token::Word(word) => match word.keyword {
                Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => {
                    operators += 1;
                }
                Keyword::SELECT | Keyword::FROM | Keyword::WHERE | Keyword::ON | Keyword::HAVING | Keyword::WHEN => {
                    operators = 0;
                }
                _ => {}
            },
            _ => {}
        }
        if operators > OPERATORS_MAX || outer.len() >= DEPTH_MAX {
            let Location { line, column } = span.start;
            let message = format!(
                "statement is too large: more than {OPERATORS_MAX} operators in a row, or {DEPTH_MAX} parentheses"
            );
            return Err(SqlError::syntax(format!("STACK_OVERFLOW: line {line}:{column}: {message}")));
        }
    }
    Ok(())
}

/// Refuses a clause after FROM or JOIN. The parser would read its keyword as the name of a table.
fn check_relations(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let plain = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    };
    for (before, after) in tokens.iter().zip(tokens.iter().skip(1)) {
        let is_clause = matches!(
            plain(&after.token),
            Keyword::WHERE
                | Keyword::GROUP
                | Keyword::ORDER
                | Keyword::HAVING
                | Keyword::ON
                | Keyword::USING
                | Keyword::FROM
                | Keyword::JOIN
                | Keyword::CROSS
                | Keyword::INNER
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
        );
        if matches!(plain(&before.token), Keyword::FROM | Keyword::JOIN) && is_clause {
            let Location { line, column } = after.span.start;
            let message = format!("line {line}:{column}: mismatched input '{}'. Expecting: a table", after.token);
            return Err(SqlError::syntax(message));
        }
    }
    Ok(())
}

/// Replaces each `?` by the tokens of its parameter.
fn replace_placeholders(tokens: Vec<TokenWithSpan>, parameters: &[String]) -> Result<Vec<TokenWithSpan>, SqlError> {
    let is_placeholder =
        |spanned: &TokenWithSpan| matches!(&spanned.token, Token::Placeholder(placeholder) if placeholder == "?");
    let placeholders = tokens.iter().filter(|spanned| is_placeholder(spanned)).count();
    if placeholders != parameters.len() {
        let message = format!("Incorrect number of parameters: expected {placeholders} but found {}", parameters.len());
        return Err(SqlError::syntax(format!("INVALID_PARAMETER_USAGE: line 1:1: {message}")));
    }
    let (mut whole, mut parameters) = (Vec::with_capacity(tokens.len()), parameters.iter());
    for spanned in tokens {
        match is_placeholder(&spanned).then(|| parameters.next()).flatten() {
            None => whole.push(spanned),
            Some(text) => whole.extend(parameter(text, &spanned)?),
        }
    }
    Ok(whole)
}

/// Adds parentheses around the rows of `VALUES 1, 2`, which the parser requires.
fn add_row_parentheses(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let (mut whole, mut rest) = (Vec::with_capacity(tokens.len()), tokens.into_iter().peekable());
    // The depth of parentheses; for each open list, the depth of its values and whether this function opened a
    // parenthesis for the current value.
    let (mut depth, mut lists) = (0_usize, Vec::<(usize, bool)>::new());
    while let Some(spanned) = rest.next() {
        let in_list = lists.last().is_some_and(|(at, _)| *at == depth);
        let is_end = match &spanned.token {
            Token::RParen | Token::Comma | Token::SemiColon | Token::EOF => true,
            Token::Word(word) if word.quote_style.is_none() => matches!(
                word.keyword,
                Keyword::ORDER
                    | Keyword::LIMIT
                    | Keyword::OFFSET
                    | Keyword::FETCH
                    | Keyword::UNION
                    | Keyword::EXCEPT
                    | Keyword::INTERSECT
            ),
            _ => false,
        };
        let span = spanned.span;
        let at = move |token| TokenWithSpan { token, span };
        if in_list && is_end {
            if lists.last_mut().is_some_and(|(_, open)| std::mem::take(open)) {
                whole.push(at(Token::RParen));
            }
            if spanned.token != Token::Comma {
                lists.pop();
            }
        }
        match &spanned.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        let begins = match &spanned.token {
            Token::Comma => in_list,
            Token::Word(word) if word.quote_style.is_none() && word.keyword == Keyword::VALUES => {
                lists.push((depth, false));
                true
            }
            _ => false,
        };
        whole.push(spanned);
        if begins && let Some(first) = rest.peek().filter(|spanned| spanned.token != Token::LParen) {
            whole.push(TokenWithSpan { token: Token::LParen, span: first.span });
            if let Some((_, open)) = lists.last_mut() {
                *open = true;
            }
        }
    }
    let open = lists.iter().filter(|(_, open)| *open);
    whole.extend(open.map(|_| TokenWithSpan { token: Token::RParen, span: Span::empty() }));
    whole
}

/// Parses a parameter, which must be one expression, into tokens.
fn parameter(text: &str, placeholder: &TokenWithSpan) -> Result<Vec<TokenWithSpan>, SqlError> {
    let wrong = || {
        let Location { line, column } = placeholder.span.start;
        let message = format!("parameter {text:?} is not a literal: expected a number or a text in single quotes");
        SqlError::syntax(format!("INVALID_PARAMETER_USAGE: line {line}:{column}: {message}"))
    };
    let tokens = words(text).map_err(|_| wrong())?;
    let mut parser =
        Parser::new(&Grammar::Trino).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens.clone());
    let read = parser.parse_expr();
    if read.is_err() || parser.peek_token().token != Token::EOF {
        return Err(wrong());
    }
    let at = |token| TokenWithSpan { token, span: placeholder.span };
    let tokens: Vec<_> = tokens.into_iter().map(|spanned| at(spanned.token)).collect();
    // LIMIT accepts a literal, but no parentheses.
    if tokens.len() == 1 {
        return Ok(tokens);
    }
    Ok([vec![at(Token::LParen)], tokens, vec![at(Token::RParen)]].concat())
}

/// Translates an error of the parser into Trino's format.
fn syntax(error: &ParserError) -> SqlError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return SqlError::syntax("STACK_OVERFLOW: statement is too large (stack overflow during parsing)");
        }
    };
    let (message, at) = text.rsplit_once(" at Line: ").unwrap_or((text, ""));
    let position =
        at.split_once(", Column: ").map_or_else(|| "1:1".to_owned(), |(line, column)| format!("{line}:{column}"));
    let message = match message.strip_prefix("Expected: ").and_then(|rest| rest.rsplit_once(", found: ")) {
        Some((expected, found)) => {
            let found = if found == "EOF" { "<EOF>" } else { found };
            format!("mismatched input '{found}'. Expecting: {expected}")
        }
        None => message.to_owned(),
    };
    SqlError::syntax(format!("line {position}: {message}"))
}
