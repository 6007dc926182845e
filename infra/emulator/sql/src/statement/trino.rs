//! Queries, in Trino's SQL: parsed, and turned into what DataFusion understands.

mod calls;
mod select;
mod types;

pub(crate) use select::UNIQUE;

use super::lexer::position;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{Statement, VisitMut};
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};
use std::collections::HashMap;

/// How deep expressions and subqueries may be in one another.
const DEPTH_MAX: usize = 200;
/// How many operators may follow one another: each is one level deeper than the one before.
const OPERATORS_MAX: usize = 500;
/// The hidden column that holds a row's file.
const PATH: &str = "$path";

/// A query.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// Its own text.
    pub(crate) text: String,
    /// With lower-case names, and functions and types as DataFusion has them.
    pub(crate) statement: Statement,
    /// The names of the answer's columns that were written with capitals, by their lower-case forms.
    pub(crate) capitals: HashMap<String, String>,
    /// Whether the hidden column is asked for.
    pub(crate) names_path: bool,
    /// Where each word is first: line and column.
    words: HashMap<String, Location>,
}

/// Trino's dialect, as far as the parser can be told.
#[derive(Debug)]
struct Trino;

impl Dialect for Trino {
    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '"'
    }

    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_within_after_array_aggregation(&self) -> bool {
        true
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }
}

impl Query {
    /// Parses the query that is in `sql` from `from` to `end`. Errors tell places in the whole.
    pub(crate) fn parse(sql: &str, from: usize, end: usize, parameters: &[String]) -> Result<Self, SqlError> {
        let end = end.max(from);
        let blank: String = sql[..from].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        let tokens = tokens(&(blank + &sql[from..end]))?;
        let mut tokens = with_rows(filled(tokens, parameters)?);
        check_depth(&tokens)?;
        check_relations(&tokens)?;
        let (mut written, mut words, mut names_path) = (HashMap::new(), HashMap::new(), false);
        for placed in &mut tokens {
            if let Token::Word(word) = &mut placed.token {
                let lower = word.value.to_lowercase();
                words.entry(lower.clone()).or_insert(placed.span.start);
                names_path |= lower == PATH;
                let original = std::mem::replace(&mut word.value, lower);
                written.insert((placed.span.start.line, placed.span.start.column), original);
                // `EXCLUDE` and the like are no words of Trino's.
                if word.quote_style.is_none() && matches!(word.keyword, Keyword::EXCLUDE | Keyword::QUALIFY) {
                    word.keyword = Keyword::NoKeyword;
                }
            }
        }
        let mut parser = Parser::new(&Trino).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens);
        let parsed = parser.parse_query().map_err(|error| syntax(&error))?;
        let next = parser.peek_token();
        if next.token != Token::EOF {
            let Location { line, column } = next.span.start;
            let told = format!("line {line}:{column}: mismatched input '{}'. Expecting: <EOF>", next.token);
            return Err(SqlError::syntax(told));
        }
        let mut statement = Statement::Query(parsed);
        let capitals = select::capitals(&statement, &written);
        select::name_columns(&mut statement, names_path);
        let mut rewriting = calls::Rewriting::default();
        let _ = statement.visit(&mut rewriting);
        if let Some(error) = rewriting.error {
            return Err(error);
        }
        Ok(Self { text: sql[from..end].trim().to_owned(), statement, capitals, names_path, words })
    }

    /// `line 1:8: `, where a word is first; nothing if it is nowhere.
    pub(crate) fn line_of(&self, word: &str) -> String {
        match self.words.get(&word.to_lowercase()) {
            Some(Location { line, column }) => format!("line {line}:{column}: "),
            None => String::new(),
        }
    }
}

fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    if let Some(at) = backtick(sql) {
        let (line, column) = position(sql, at);
        let told = "backquoted identifiers are not supported; use double quotes to quote identifiers";
        return Err(SqlError::syntax(format!("line {line}:{column}: {told}")));
    }
    Tokenizer::new(&Trino, sql).tokenize_with_location().map_err(|error| {
        let Location { line, column } = error.location;
        SqlError::syntax(format!("line {line}:{column}: {}", error.message))
    })
}

/// Refuses expressions that would be too deep for those who walk down them: the parser itself counts parentheses, but
/// takes `1 + 1 + …` in a loop.
fn check_depth(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut levels = vec![0_usize];
    for TokenWithSpan { token, span } in tokens {
        let deeper = match token {
            Token::LParen | Token::LBracket => {
                levels.push(0);
                false
            }
            Token::RParen | Token::RBracket => {
                if levels.len() > 1 {
                    levels.pop();
                }
                false
            }
            Token::Comma => {
                levels.iter_mut().rev().take(1).for_each(|count| *count = 0);
                false
            }
            Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => true,
            Token::Word(word) => match word.keyword {
                Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => {
                    true
                }
                Keyword::SELECT | Keyword::FROM | Keyword::WHERE | Keyword::ON | Keyword::HAVING | Keyword::WHEN => {
                    levels.iter_mut().rev().take(1).for_each(|count| *count = 0);
                    false
                }
                _ => false,
            },
            _ => false,
        };
        let count = levels.last_mut().map(|count| {
            *count += usize::from(deeper);
            *count
        });
        if count > Some(OPERATORS_MAX) || levels.len() > DEPTH_MAX {
            let Location { line, column } = span.start;
            let told = format!(
                "statement is too large: more than {OPERATORS_MAX} operators in a row, or {DEPTH_MAX} parentheses"
            );
            return Err(SqlError::syntax(format!("STACK_OVERFLOW: line {line}:{column}: {told}")));
        }
    }
    Ok(())
}

/// Refuses a clause where a table is to be: the parser takes the words that begin one for names.
fn check_relations(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let words = tokens.iter().filter(|placed| !matches!(placed.token, Token::Whitespace(_)));
    let plain = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    };
    for (before, after) in words.clone().zip(words.skip(1)) {
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
            let told = format!("line {line}:{column}: mismatched input '{}'. Expecting: a table", after.token);
            return Err(SqlError::syntax(told));
        }
    }
    Ok(())
}

/// The first backtick outside of strings, quoted names and comments.
fn backtick(sql: &str) -> Option<usize> {
    let (mut quote, mut at) = (None, 0);
    while let Some(c) = sql[at..].chars().next() {
        match (quote, c) {
            (None, '`') => return Some(at),
            (None, '\'' | '"') => quote = Some(c),
            (None, '-') if sql[at..].starts_with("--") => at += sql[at..].find('\n').unwrap_or(sql.len() - at - 1),
            (None, '/') if sql[at..].starts_with("/*") => at += sql[at..].find("*/").unwrap_or(0),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        at += sql[at..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

/// The tokens with the parameters in place of the `?`.
fn filled(tokens: Vec<TokenWithSpan>, parameters: &[String]) -> Result<Vec<TokenWithSpan>, SqlError> {
    let is_mark = |placed: &TokenWithSpan| matches!(&placed.token, Token::Placeholder(mark) if mark == "?");
    let marks = tokens.iter().filter(|placed| is_mark(placed)).count();
    if marks != parameters.len() {
        let told = format!("Incorrect number of parameters: expected {marks} but found {}", parameters.len());
        return Err(SqlError::syntax(format!("INVALID_PARAMETER_USAGE: line 1:1: {told}")));
    }
    let (mut whole, mut parameters) = (Vec::with_capacity(tokens.len()), parameters.iter());
    for placed in tokens {
        match is_mark(&placed).then(|| parameters.next()).flatten() {
            None => whole.push(placed),
            Some(text) => whole.extend(parameter(text, &placed)?),
        }
    }
    Ok(whole)
}

/// The tokens with parentheses around the values of `VALUES 1, 2`: to the parser, a row has them.
fn with_rows(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let (mut whole, mut rest) = (Vec::with_capacity(tokens.len()), tokens.into_iter().peekable());
    // How deep the parentheses are; of each list that is not over, at which depth its values stand, and whether one of
    // them has got parentheses.
    let (mut depth, mut lists) = (0_usize, Vec::<(usize, bool)>::new());
    while let Some(placed) = rest.next() {
        let in_list = lists.last().is_some_and(|(at, _)| *at == depth);
        let is_end = match &placed.token {
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
        let span = placed.span;
        let at = move |token| TokenWithSpan { token, span };
        if in_list && is_end {
            if lists.last_mut().is_some_and(|(_, open)| std::mem::take(open)) {
                whole.push(at(Token::RParen));
            }
            if placed.token != Token::Comma {
                lists.pop();
            }
        }
        match &placed.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        let begins = match &placed.token {
            Token::Comma => in_list,
            Token::Word(word) if word.quote_style.is_none() && word.keyword == Keyword::VALUES => {
                lists.push((depth, false));
                true
            }
            _ => false,
        };
        whole.push(placed);
        if begins {
            while let Some(space) = rest.next_if(|placed| matches!(placed.token, Token::Whitespace(_))) {
                whole.push(space);
            }
            if let Some(first) = rest.peek().filter(|placed| placed.token != Token::LParen) {
                whole.push(TokenWithSpan { token: Token::LParen, span: first.span });
                if let Some((_, open)) = lists.last_mut() {
                    *open = true;
                }
            }
        }
    }
    let open = lists.iter().filter(|(_, open)| *open);
    whole.extend(open.map(|_| TokenWithSpan { token: Token::RParen, span: Span::empty() }));
    whole
}

/// A parameter's tokens, which must be one expression.
fn parameter(text: &str, mark: &TokenWithSpan) -> Result<Vec<TokenWithSpan>, SqlError> {
    let wrong = || {
        let Location { line, column } = mark.span.start;
        let told = format!("parameter {text:?} is no literal: texts need single quotes");
        SqlError::syntax(format!("INVALID_PARAMETER_USAGE: line {line}:{column}: {told}"))
    };
    let tokens = tokens(text).map_err(|_| wrong())?;
    let mut parser = Parser::new(&Trino).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens.clone());
    let read = parser.parse_expr();
    if read.is_err() || parser.peek_token().token != Token::EOF {
        return Err(wrong());
    }
    let at = |token| TokenWithSpan { token, span: mark.span };
    let meant = tokens.into_iter().map(|placed| placed.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    let meant: Vec<_> = meant.map(at).collect();
    // One literal stands as it is, since LIMIT takes no parentheses.
    if meant.len() == 1 {
        return Ok(meant);
    }
    Ok([vec![at(Token::LParen)], meant, vec![at(Token::RParen)]].concat())
}

/// The parser's error in Trino's words.
fn syntax(error: &ParserError) -> SqlError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return SqlError::syntax("STACK_OVERFLOW: statement is too large (stack overflow during parsing)");
        }
    };
    let (told, at) = text.rsplit_once(" at Line: ").unwrap_or((text, ""));
    let place =
        at.split_once(", Column: ").map_or_else(|| "1:1".to_owned(), |(line, column)| format!("{line}:{column}"));
    let told = match told.strip_prefix("Expected: ").and_then(|rest| rest.rsplit_once(", found: ")) {
        Some((expected, found)) => {
            let found = if found == "EOF" { "<EOF>" } else { found };
            format!("mismatched input '{found}'. Expecting: {expected}")
        }
        None => told.to_owned(),
    };
    SqlError::syntax(format!("line {place}: {told}"))
}
