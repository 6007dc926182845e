//! Reads the words of a statement through a cursor. The parser of each grammar interprets the quotes.

use super::{Properties, Query};
use crate::error::SqlError;
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use regex::RegexBuilder;

/// A grammar of Athena, as far as the tokenizer and the parser have options for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// Double quotes are strings, and a backslash escapes a quote.
    Hive,
    /// Double quotes are identifiers, and a backslash is a character.
    Trino,
}

impl Dialect for Grammar {
    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '`' || (c == '"' && *self == Self::Trino)
    }

    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_' || (c == '$' && *self == Self::Hive)
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_' || (c == '$' && *self == Self::Hive)
    }

    fn supports_numeric_prefix(&self) -> bool {
        *self == Self::Hive
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        *self == Self::Hive
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
}

/// A table's or a database's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The database, if named.
    pub(crate) database: Option<String>,
    /// The name itself, lower case.
    pub(crate) name: String,
}

/// Reads the words of a statement one after the other.
pub(crate) struct Cursor<'a> {
    sql: &'a str,
    words: Vec<TokenWithSpan>,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(sql: &'a str) -> Result<Self, SqlError> {
        Ok(Self { sql, words: words(sql)?, at: 0 })
    }

    /// Checks that there is one statement.
    pub(crate) fn one_statement(&mut self) -> Result<(), SqlError> {
        while self.words.last().is_some_and(|last| last.token == Token::SemiColon) {
            self.words.pop();
        }
        if self.words.is_empty() {
            return Err(SqlError::syntax("line 1:1: mismatched input '<EOF>': the statement is empty"));
        }
        if self.words.iter().any(|word| word.token == Token::SemiColon) {
            return Err(SqlError::syntax("Only one sql statement is allowed. Got: ".to_owned() + self.sql));
        }
        Ok(())
    }

    fn word(&self) -> Option<&Token> {
        self.words.get(self.at).map(|word| &word.token)
    }

    /// The text of some words.
    fn text(&self, from: usize, end: usize) -> &'a str {
        match self.words.get(from..end) {
            Some([first, .., last]) => &self.sql[self.offset(first.span.start)..self.offset(last.span.end)],
            Some([one]) => &self.sql[self.offset(one.span.start)..self.offset(one.span.end)],
            _ => "",
        }
    }

    /// The text from the next word on.
    pub(crate) fn rest(&self) -> &'a str {
        self.text(self.at, self.words.len())
    }

    fn offset(&self, Location { line, column }: Location) -> usize {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).saturating_sub(1);
        let start = self.sql.split_inclusive('\n').take(number(line)).map(str::len).sum();
        self.sql[start..].char_indices().nth(number(column)).map_or(self.sql.len(), |(offset, _)| start + offset)
    }

    fn is(&self, at: usize, keyword: &str) -> bool {
        self.words.get(at).is_some_and(|word| plain(&word.token).is_some_and(|word| word.eq_ignore_ascii_case(keyword)))
    }

    pub(crate) fn peek_keywords(&self, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(n, keyword)| self.is(self.at + n, keyword))
    }

    pub(crate) fn keywords(&mut self, keywords: &[&str]) -> bool {
        let found = self.peek_keywords(keywords);
        self.at += if found { keywords.len() } else { 0 };
        found
    }

    pub(crate) fn keyword(&mut self, keyword: &str) -> bool {
        self.keywords(&[keyword])
    }

    pub(crate) fn expect(&mut self, keyword: &str) -> Result<(), SqlError> {
        match self.keyword(keyword) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("'{}'", keyword.to_uppercase()))),
        }
    }

    pub(crate) fn peek_sign(&self, sign: char) -> bool {
        self.word().is_some_and(|word| word.to_string() == sign.to_string())
    }

    pub(crate) fn sign(&mut self, sign: char) -> bool {
        let found = self.peek_sign(sign);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect_sign(&mut self, sign: char) -> Result<(), SqlError> {
        match self.sign(sign) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("'{sign}'"))),
        }
    }

    /// Checks that no word follows.
    pub(crate) fn end(&self) -> Result<(), SqlError> {
        match self.word() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("<EOF>")),
        }
    }

    /// Whether a query begins here, with or without parentheses.
    pub(crate) fn is_query(&self) -> bool {
        let parentheses = self.words.iter().skip(self.at).take_while(|word| word.token == Token::LParen).count();
        ["select", "with", "values", "table"].iter().any(|keyword| self.is(self.at + parentheses, keyword))
    }

    /// The syntax error for the next word.
    pub(crate) fn unexpected(&self, expected: &str) -> SqlError {
        let end = || self.words.last().map_or(Location::new(1, 1), |last| last.span.end);
        let Location { line, column } = self.words.get(self.at).map_or_else(end, |word| word.span.start);
        let found = self.text(self.at, self.at + 1);
        let found = if found.is_empty() { "<EOF>" } else { found };
        SqlError::syntax(format!("line {line}:{column}: mismatched input '{found}'. Expecting: {expected}"))
    }

    /// Reads an identifier, in its own case.
    pub(crate) fn identifier(&mut self) -> Result<String, SqlError> {
        let name = match self.word() {
            Some(Token::Word(word)) => word.value.clone(),
            Some(Token::DoubleQuotedString(text) | Token::Number(text, _)) => text.clone(),
            // Athena refuses names in single quotes, too.
            _ => return Err(self.unexpected("an identifier")),
        };
        self.at += 1;
        Ok(name)
    }

    /// Reads the name of a table. A catalog before it must be AwsDataCatalog.
    pub(crate) fn table(&mut self) -> Result<Name, SqlError> {
        let mut parts = vec![self.identifier()?.to_lowercase()];
        while self.sign('.') {
            parts.push(self.identifier()?.to_lowercase());
        }
        // Some clients write `db.table` within one pair of backticks.
        if let [both] = parts.as_slice()
            && let Some((database, name)) = both.split_once('.')
        {
            parts = vec![database.to_owned(), name.to_owned()];
        }
        if parts.len() == 3 && parts[0] == "awsdatacatalog" {
            parts.remove(0);
        }
        let mut parts = parts.into_iter().rev();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), database, None) => Ok(Name { database, name }),
            _ => Err(self.unexpected("a table's name of at most two parts")),
        }
    }

    /// Reads a string in single or double quotes.
    pub(crate) fn string(&mut self) -> Result<String, SqlError> {
        let text = match self.word() {
            Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)) => text.clone(),
            Some(Token::Word(word)) if word.quote_style == Some('"') => word.value.clone(),
            _ => return Err(self.unexpected("a string")),
        };
        self.at += 1;
        Ok(text)
    }

    /// Reads a string after a keyword, if that is the next word.
    pub(crate) fn string_after(&mut self, keyword: &str) -> Result<Option<String>, SqlError> {
        self.keyword(keyword).then(|| self.string()).transpose()
    }

    /// Reads a string, a word or a number: the value of a partition key or of a property.
    pub(crate) fn value(&mut self) -> Result<String, SqlError> {
        if let Ok(text) = self.string() {
            return Ok(text);
        }
        let minus = if self.sign('-') { "-" } else { "" };
        let mut text = format!("{minus}{}", self.identifier()?);
        if self.sign('.') {
            text = format!("{text}.{}", self.identifier()?);
        }
        Ok(text)
    }

    /// Reads `(item, …)`.
    pub(crate) fn list<T, L: FromIterator<T>>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, SqlError>,
    ) -> Result<L, SqlError> {
        self.expect_sign('(')?;
        let mut items = vec![item(self)?];
        while !self.sign(')') {
            self.expect_sign(',')?;
            items.push(item(self)?);
        }
        Ok(items.into_iter().collect())
    }

    /// Reads `(name = value, …)`. A value is a word, a string, a number or `ARRAY[…]`.
    pub(crate) fn properties(&mut self) -> Result<Properties, SqlError> {
        self.list(|cursor| {
            let name = cursor.value()?.to_lowercase();
            cursor.expect_sign('=')?;
            if !cursor.keyword("array") {
                return Ok((name, vec![cursor.value()?]));
            }
            cursor.expect_sign('[')?;
            let mut values = Vec::new();
            while !cursor.sign(']') {
                values.push(cursor.value()?);
                cursor.sign(',');
            }
            Ok((name, values))
        })
    }

    /// Skips a pair of parentheses and what they hold.
    pub(crate) fn skip_parentheses(&mut self) -> Result<(), SqlError> {
        let mut depth = 0_usize;
        while let Some(word) = self.words.get(self.at) {
            self.at += 1;
            match word.token {
                Token::LParen => depth += 1,
                Token::RParen if depth == 1 => return Ok(()),
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Err(self.unexpected("')'"))
    }

    /// Reads the type of a column: the text up to a comma, a closing parenthesis or `COMMENT` outside of brackets.
    pub(crate) fn type_text(&mut self) -> &'a str {
        let (from, mut depth) = (self.at, 0_i32);
        while let Some(word) = self.word() {
            match word {
                Token::LParen | Token::Lt => depth += 1,
                Token::Comma | Token::RParen if depth == 0 => break,
                Token::RParen | Token::Gt => depth -= 1,
                Token::ShiftRight => depth -= 2,
                _ if depth == 0 && self.is(self.at, "comment") => break,
                _ => {}
            }
            depth = depth.max(0);
            self.at += 1;
        }
        self.text(from, self.at)
    }

    /// Parses the rest as a query.
    pub(crate) fn query(&mut self, parameters: &[String]) -> Result<Query, SqlError> {
        self.query_until(self.words.len(), parameters)
    }

    /// Parses a query in parentheses.
    pub(crate) fn query_in_parentheses(&mut self, parameters: &[String]) -> Result<Query, SqlError> {
        if !self.peek_sign('(') {
            return Err(self.unexpected("'('"));
        }
        let from = self.at;
        self.skip_parentheses()?;
        let end = std::mem::replace(&mut self.at, from);
        self.query_until(end, parameters)
    }

    /// Parses the rest as a query before an optional `WITH [NO] DATA`; returns whether to write rows, too.
    pub(crate) fn query_with_data(&mut self, parameters: &[String]) -> Result<(Query, bool), SqlError> {
        let ends = |keywords: &[&str]| {
            let from = self.words.len().checked_sub(keywords.len())?;
            keywords.iter().enumerate().all(|(n, keyword)| self.is(from + n, keyword)).then_some(from)
        };
        let (end, with_data) = match (ends(&["with", "data"]), ends(&["with", "no", "data"])) {
            (Some(end), _) => (end, true),
            (None, Some(end)) => (end, false),
            (None, None) => (self.words.len(), true),
        };
        Ok((self.query_until(end, parameters)?, with_data))
    }

    fn query_until(&mut self, end: usize, parameters: &[String]) -> Result<Query, SqlError> {
        let from = std::mem::replace(&mut self.at, end);
        let words = self.words.get(from..end).unwrap_or_default();
        Query::parse(self.text(from, end), words.to_vec(), parameters)
    }
}

/// The text of a word without quotes.
fn plain(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
        _ => None,
    }
}

/// The words of a statement without spaces and comments.
pub(super) fn words(sql: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    let tokenize = |grammar: Grammar| {
        let mut words = Vec::new();
        // The texts of Hive's quotes are read below.
        let mut tokenizer = Tokenizer::new(&grammar, sql).with_unescape(grammar == Grammar::Trino);
        let read = tokenizer.tokenize_with_location_into_buf(&mut words);
        words.retain(|word| !matches!(word.token, Token::Whitespace(_)));
        (read, words)
    };
    let (mut read, mut words) = tokenize(Grammar::Trino);
    if is_hive(&words) {
        (read, words) = tokenize(Grammar::Hive);
        for word in &mut words {
            match &mut word.token {
                Token::SingleQuotedString(text) => *text = unescaped(text, '\''),
                Token::DoubleQuotedString(text) => *text = unescaped(text, '"'),
                Token::Word(word) if word.quote_style == Some('`') => word.value = word.value.replace("``", "`"),
                _ => {}
            }
        }
    }
    read.map(|()| words).map_err(|error| {
        let Location { line, column } = error.location;
        SqlError::syntax(format!("line {line}:{column}: {}", error.message))
    })
}

/// Whether `words` begin a statement of Hive's grammar.
fn is_hive(words: &[TokenWithSpan]) -> bool {
    let plain = |n: usize| words.get(n).and_then(|word| plain(&word.token)).unwrap_or_default().to_ascii_lowercase();
    match plain(0).as_str() {
        "alter" | "drop" | "msck" | "show" | "describe" | "desc" => true,
        "create" => !matches!(plain(1).as_str(), "table" | "view" | "or"),
        _ => false,
    }
}

/// The text of a string in Hive's grammar: a doubled quote is one quote, and so is a quote after a backslash. Other
/// backslashes stay.
fn unescaped(text: &str, quote: char) -> String {
    let (mut plain, mut chars) = (String::new(), text.chars().peekable());
    while let Some(c) = chars.next() {
        let escape = c == quote || c == '\\';
        plain.push(chars.next_if(|next| escape && *next == quote).unwrap_or(c));
    }
    plain
}

/// Whether a name matches a pattern of Hive: `*`, `%` and `.*` match any text, `.` any character, and `|` separates
/// alternatives.
pub(crate) fn like(pattern: &str, name: &str) -> bool {
    let escaped = |c: char| match c {
        '*' | '%' => ".*".to_owned(),
        '.' | '|' => c.to_string(),
        other => regex::escape(&other.to_string()),
    };
    let pattern: String = pattern.replace(".*", "*").chars().map(escaped).collect();
    let regex =
        RegexBuilder::new(&format!("^(?:{pattern})$")).case_insensitive(true).dot_matches_new_line(true).build();
    // Only a pattern of hundreds of kilobytes is too large.
    regex.is_ok_and(|regex| regex.is_match(name))
}
