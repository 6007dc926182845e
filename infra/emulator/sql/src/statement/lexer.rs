//! Splits a statement into words and reads them through a cursor. The parser of each grammar interprets the quotes.

use crate::error::SqlError;
use crate::statement::Properties;

/// A word of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// Letters, digits, `_`, `$`.
    Plain(String),
    /// In backticks.
    Backticked(String),
    /// In double quotes: a string to Hive, an identifier to Trino.
    DoubleQuoted(String),
    /// In single quotes.
    Quoted(String),
    /// Anything else.
    Sign(char),
}

#[derive(Clone, Debug)]
struct SpannedWord {
    word: Word,
    start: usize,
    end: usize,
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
    words: Vec<SpannedWord>,
    at: usize,
    after_table: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(sql: &'a str) -> Result<Self, SqlError> {
        Ok(Self { sql, words: words(sql)?, at: 0, after_table: 0 })
    }

    /// Checks that there is one statement; returns the offset of its end.
    pub(crate) fn one_statement(&mut self) -> Result<usize, SqlError> {
        while self.words.last().is_some_and(|last| last.word == Word::Sign(';')) {
            self.words.pop();
        }
        let Some(last) = self.words.last() else {
            return Err(SqlError::syntax("line 1:1: mismatched input '<EOF>': the statement is empty"));
        };
        let end = last.end;
        if self.words.iter().any(|spanned| spanned.word == Word::Sign(';')) {
            return Err(SqlError::syntax("Only one sql statement is allowed. Got: ".to_owned() + self.sql));
        }
        Ok(end)
    }

    fn word(&self) -> Option<&Word> {
        self.words.get(self.at).map(|spanned| &spanned.word)
    }

    /// The offset of the next word.
    pub(crate) fn offset(&self) -> usize {
        self.words.get(self.at).map_or(self.sql.len(), |spanned| spanned.start)
    }

    /// The offset of the word after the last table name.
    pub(crate) fn after_table(&self) -> usize {
        self.after_table
    }

    fn is(&self, n: usize, keyword: &str) -> bool {
        matches!(self.words.get(self.at + n).map(|p| &p.word), Some(Word::Plain(w)) if w.eq_ignore_ascii_case(keyword))
    }

    pub(crate) fn peek_keywords(&self, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(n, keyword)| self.is(n, keyword))
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
        self.word() == Some(&Word::Sign(sign))
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
        let first = self.words[self.at.min(self.words.len())..].iter().find(|spanned| spanned.word != Word::Sign('('));
        matches!(first.map(|spanned| &spanned.word), Some(Word::Plain(word))
            if ["select", "with", "values", "table"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword)))
    }

    /// The syntax error for the next word.
    pub(crate) fn unexpected(&self, expected: &str) -> SqlError {
        let (line, column) = position(self.sql, self.offset());
        let found = self.words.get(self.at).map_or("<EOF>", |spanned| &self.sql[spanned.start..spanned.end]);
        SqlError::syntax(format!("line {line}:{column}: mismatched input '{found}'. Expecting: {expected}"))
    }

    /// Reads an identifier, in its own case.
    pub(crate) fn identifier(&mut self) -> Result<String, SqlError> {
        let name = match self.word() {
            Some(Word::Plain(word) | Word::Backticked(word) | Word::DoubleQuoted(word)) => word.clone(),
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
        self.after_table = self.offset();
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
            Some(Word::Quoted(text) | Word::DoubleQuoted(text)) => text.clone(),
            _ => return Err(self.unexpected("a string")),
        };
        self.at += 1;
        Ok(text)
    }

    /// Reads a string if the next word is one.
    pub(crate) fn optional_string(&mut self) -> Option<String> {
        self.string().ok()
    }

    /// Reads a string, a word or a number: the value of a partition key or of a property.
    pub(crate) fn value(&mut self) -> Result<String, SqlError> {
        if let Some(text) = self.optional_string() {
            return Ok(text);
        }
        let minus = if self.sign('-') { "-" } else { "" };
        let mut text = format!("{minus}{}", self.identifier()?);
        if self.sign('.') {
            text = format!("{text}.{}", self.identifier()?);
        }
        Ok(text)
    }

    /// Reads names that commas separate, up to a sign.
    pub(crate) fn names_until(&mut self, sign: char) -> Result<Vec<String>, SqlError> {
        let mut names = vec![self.identifier()?.to_lowercase()];
        while self.sign(',') {
            names.push(self.identifier()?.to_lowercase());
        }
        self.expect_sign(sign)?;
        Ok(names)
    }

    /// Reads `(name = value, …)`. A value is a word, a string, a number or `ARRAY[…]`.
    pub(crate) fn properties(&mut self) -> Result<Properties, SqlError> {
        self.expect_sign('(')?;
        let mut properties = Properties::new();
        loop {
            let name = self.value()?.to_lowercase();
            self.expect_sign('=')?;
            let mut values = Vec::new();
            if self.keyword("array") {
                self.expect_sign('[')?;
                while !self.sign(']') {
                    values.push(self.value()?);
                    self.sign(',');
                }
            } else {
                values.push(self.value()?);
            }
            properties.insert(name, values);
            if self.sign(')') {
                return Ok(properties);
            }
            self.expect_sign(',')?;
        }
    }

    /// Skips a pair of parentheses and what they hold; returns the offset of the end.
    pub(crate) fn skip_parentheses(&mut self) -> Result<usize, SqlError> {
        let mut depth = 0_usize;
        while let Some(spanned) = self.words.get(self.at) {
            self.at += 1;
            match spanned.word {
                Word::Sign('(') => depth += 1,
                Word::Sign(')') if depth == 1 => return Ok(spanned.end),
                Word::Sign(')') => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Err(self.unexpected("')'"))
    }

    /// Reads the type of a column: the text up to a comma, a closing parenthesis or `COMMENT` outside of brackets.
    pub(crate) fn type_text(&mut self) -> &'a str {
        let (start, mut end, mut depth) = (self.offset(), self.offset(), 0_i32);
        while let Some(spanned) = self.words.get(self.at) {
            match &spanned.word {
                Word::Sign('(' | '<') => depth += 1,
                Word::Sign(')' | '>') if depth > 0 => depth -= 1,
                Word::Sign(',' | ')') if depth == 0 => break,
                Word::Plain(word) if depth == 0 && word.eq_ignore_ascii_case("comment") => break,
                _ => {}
            }
            end = spanned.end;
            self.at += 1;
        }
        &self.sql[start..end]
    }

    /// Finds the end of a query before an optional `WITH [NO] DATA`; returns its offset and whether to write rows.
    pub(crate) fn with_data(&self, end: usize) -> (usize, bool) {
        let words: Vec<_> = self.words.iter().rev().take(3).collect();
        let is = |n: usize, keyword: &str| matches!(words.get(n).map(|p| &p.word), Some(Word::Plain(word)) if word.eq_ignore_ascii_case(keyword));
        match () {
            () if is(0, "data") && is(1, "with") => (words[1].start, true),
            () if is(0, "data") && is(1, "no") && is(2, "with") => (words[2].start, false),
            () => (end, true),
        }
    }
}

/// Line and column of a byte, both counted from 1.
pub(crate) fn position(sql: &str, offset: usize) -> (usize, usize) {
    let before = &sql[..offset.min(sql.len())];
    let line = before.matches('\n').count() + 1;
    (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
}

fn words(sql: &str) -> Result<Vec<SpannedWord>, SqlError> {
    let (bytes, mut words, mut at) = (sql.as_bytes(), Vec::new(), 0);
    while let Some(first) = sql[at..].chars().next() {
        let start = at;
        let rest = &sql[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map(|end| end + 2).ok_or_else(|| unclosed(sql, start, "/*"))?;
        } else if matches!(first, '\'' | '"' | '`') {
            let text;
            (text, at) = quoted(sql, start, first, is_hive(&words))?;
            let word = match first {
                '\'' => Word::Quoted(text),
                '"' => Word::DoubleQuoted(text),
                _ => Word::Backticked(text),
            };
            words.push(SpannedWord { word, start, end: at });
        } else if first.is_alphanumeric() || first == '_' || first == '$' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'))).unwrap_or(rest.len());
            at += end;
            words.push(SpannedWord { word: Word::Plain(rest[..end].to_owned()), start, end: at });
        } else {
            at += first.len_utf8();
            words.push(SpannedWord { word: Word::Sign(first), start, end: at });
        }
    }
    debug_assert_eq!(at, bytes.len());
    Ok(words)
}

fn unclosed(sql: &str, start: usize, sign: &str) -> SqlError {
    let (line, column) = position(sql, start);
    SqlError::syntax(format!("line {line}:{column}: mismatched input '{sign}': it is not closed"))
}

/// Whether `words` begin a statement of Hive's grammar, where a backslash escapes a quote. In Trino's it is a character.
fn is_hive(words: &[SpannedWord]) -> bool {
    let plain = |n: usize| match words.get(n).map(|spanned| &spanned.word) {
        Some(Word::Plain(word)) => word.to_ascii_lowercase(),
        _ => String::new(),
    };
    match plain(0).as_str() {
        "alter" | "drop" | "msck" | "show" | "describe" | "desc" => true,
        "create" => !matches!(plain(1).as_str(), "table" | "view" | "or"),
        _ => false,
    }
}

/// Reads a quoted text; returns it and the offset of its end. A doubled quote is one quote.
fn quoted(sql: &str, start: usize, quote: char, backslash: bool) -> Result<(String, usize), SqlError> {
    let (mut text, mut chars) = (String::new(), sql[start + 1..].char_indices().peekable());
    while let Some((n, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let quotes = c == quote || (c == '\\' && backslash && quote != '`');
        if quotes && next == Some(quote) {
            text.push(quote);
            chars.next();
        } else if c == quote {
            return Ok((text, start + 1 + n + 1));
        } else {
            text.push(c);
        }
    }
    Err(unclosed(sql, start, &quote.to_string()))
}

/// Whether a name matches a pattern of Hive: `*` and `%` match any text, `|` separates alternatives.
pub(crate) fn like(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[char], name: &[char]) -> bool {
        // Backtracks to the last wildcard only, so the time is at most the product of both lengths.
        let (mut p, mut n, mut star) = (0, 0, None);
        while n < name.len() {
            match pattern.get(p) {
                Some('*' | '%') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(c) if c.eq_ignore_ascii_case(&name[n]) || *c == '.' => {
                    p += 1;
                    n += 1;
                }
                _ => match star {
                    Some((at, taken)) => {
                        star = Some((at, taken + 1));
                        (p, n) = (at + 1, taken + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|c| matches!(c, '*' | '%'))
    }
    let name: Vec<_> = name.chars().collect();
    // Hive also accepts the regular expression `.*`.
    pattern.replace(".*", "*").split('|').any(|one| matches(&one.chars().collect::<Vec<_>>(), &name))
}
