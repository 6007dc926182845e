//! An expression's words.

/// A word, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A name or a keyword, as written.
    Name(String),
    /// A name in backticks or double quotes: never a keyword.
    Quoted(String),
    /// `'text'`.
    Text(String),
    /// Digits, with a sign and a point perhaps.
    Number(String),
    /// `=`, `<>`, `(`, …
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 11] = ["<=", ">=", "<>", "!=", "==", "=", "<", ">", "(", ")", ","];

/// Splits an expression.
pub(super) fn split(expression: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let word;
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (word, rest) = (Word::Sign(sign), &rest[sign.len()..]);
        } else if matches!(first, '\'' | '"' | '`') {
            let (text, after) = quoted(&rest[1..], first)?;
            word = if first == '\'' { Word::Text(text) } else { Word::Quoted(text) };
            rest = after;
        } else if first.is_ascii_digit() || matches!(first, '-' | '+' | '.') {
            let is_part =
                |(at, c): (usize, char)| c.is_ascii_alphanumeric() || c == '.' || (at == 0 && matches!(c, '-' | '+'));
            let end = rest.char_indices().find(|part| !is_part(*part)).map_or(rest.len(), |(at, _)| at);
            (word, rest) = (Word::Number(rest[..end].to_owned()), &rest[end..]);
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '$')).unwrap_or(rest.len());
            (word, rest) = (Word::Name(rest[..end].to_owned()), &rest[end..]);
        } else {
            return Err(format!("{first:?} is not understood"));
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

/// The text up to `quote`, which is doubled within it, and what follows.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let (mut found, mut rest) = (String::new(), text);
    loop {
        let end = rest.find(quote).ok_or_else(|| format!("a text has no closing {quote}"))?;
        found.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(after) => {
                found.push(quote);
                rest = after;
            }
            None => return Ok((found, rest)),
        }
    }
}
