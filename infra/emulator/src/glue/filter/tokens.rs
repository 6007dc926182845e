//! The tokens of an expression.

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a keyword, as written.
    Name(String),
    /// A name in backticks or double quotes: never a keyword.
    Quoted(String),
    /// `'text'`.
    Text(String),
    /// A number, possibly with sign and decimal point.
    Number(String),
    /// `=`, `<>`, `(`, …
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 11] = ["<=", ">=", "<>", "!=", "==", "=", "<", ">", "(", ")", ","];

/// Splits an expression into tokens.
pub(super) fn split(expression: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let token;
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (token, rest) = (Token::Sign(sign), &rest[sign.len()..]);
        } else if matches!(first, '\'' | '"' | '`') {
            let (text, after) = quoted(&rest[1..], first)?;
            token = if first == '\'' { Token::Text(text) } else { Token::Quoted(text) };
            rest = after;
        } else if first.is_ascii_digit() || matches!(first, '-' | '+' | '.') {
            let is_part =
                |(at, c): (usize, char)| c.is_ascii_alphanumeric() || c == '.' || (at == 0 && matches!(c, '-' | '+'));
            let end = rest.char_indices().find(|part| !is_part(*part)).map_or(rest.len(), |(at, _)| at);
            (token, rest) = (Token::Number(rest[..end].to_owned()), &rest[end..]);
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '$')).unwrap_or(rest.len());
            (token, rest) = (Token::Name(rest[..end].to_owned()), &rest[end..]);
        } else {
            return Err(format!("unexpected character {first:?}"));
        }
        tokens.push(token);
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// Returns the text up to `quote`, which is doubled within it, and the rest.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let (mut content, mut rest) = (String::new(), text);
    loop {
        let end = rest.find(quote).ok_or_else(|| format!("a text has no closing {quote}"))?;
        content.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(after) => {
                content.push(quote);
                rest = after;
            }
            None => return Ok((content, rest)),
        }
    }
}
