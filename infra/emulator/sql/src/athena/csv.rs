//! The result files of Athena: writes their rows and reads them back.
//!
//! The rows of a query are CSV with a header. Each value is in quotes, quotes within it are doubled, a null is empty, and
//! each row ends with a line feed. Other answers are lines of text, one row each.

/// Adds a row. A null is empty, and `quotes` says which values are in quotes.
pub(crate) fn add<'a>(
    into: &mut Vec<u8>,
    values: impl IntoIterator<Item = Option<&'a str>>,
    quotes: impl Fn(&str) -> bool,
) {
    for (n, value) in values.into_iter().enumerate() {
        if n > 0 {
            into.push(b',');
        }
        match value {
            Some(value) if quotes(value) => {
                into.push(b'"');
                into.extend_from_slice(value.replace('"', "\"\"").as_bytes());
                into.push(b'"');
            }
            value => into.extend_from_slice(value.unwrap_or_default().as_bytes()),
        }
    }
    into.push(b'\n');
}

/// A row, and its length in bytes.
type Row = (Vec<Option<String>>, usize);

/// Reads a line of text; none if it is incomplete.
pub(super) fn line(text: &[u8]) -> Option<Row> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    Some((vec![Some(String::from_utf8(text[..end].to_vec()).ok()?)], end + 1))
}

/// Reads a row of CSV; none if it is incomplete or malformed.
pub(super) fn row(text: &[u8]) -> Option<Row> {
    let (mut values, mut at) = (Vec::new(), 0);
    loop {
        let mut value: Option<Vec<u8>> = None;
        // Doubled quotes divide a value into parts, each in quotes of its own.
        while *text.get(at)? == b'"' {
            let length = text[at + 1..].iter().position(|byte| *byte == b'"')?;
            let part = &text[at + 1..=at + length];
            value = Some(match value {
                None => part.to_vec(),
                Some(before) => [&before, &b"\""[..], part].concat(),
            });
            at += length + 2;
        }
        values.push(value.map(String::from_utf8).transpose().ok()?);
        at += 1;
        match text[at - 1] {
            b',' => {}
            b'\n' => return Some((values, at)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[Option<&str>], text: &str) {
        let mut written = Vec::new();
        add(&mut written, values.iter().copied(), |_| true);
        assert_eq!(String::from_utf8_lossy(&written), text);
        let read: Vec<_> = values.iter().map(|value| value.map(str::to_owned)).collect();
        assert_eq!(row(&written), Some((read, text.len())));
        for end in 0..text.len() {
            assert_eq!(row(&written[..end]), None, "{:?}", &text[..end]);
        }
    }

    #[test]
    fn row_is_written_and_read_back() {
        check(&[Some("a"), Some("1.0")], "\"a\",\"1.0\"\n");
        check(&[None, Some(""), None], ",\"\",\n");
        check(&[None], "\n");
        check(&[Some("said \"no\",\nand went")], "\"said \"\"no\"\",\nand went\"\n");
    }

    #[test]
    fn malformed_row_is_refused() {
        for text in ["plain\n".as_bytes(), b"\"a\"b\n", b"\"\xff\"\n"] {
            assert_eq!(row(text), None, "{text:?}");
        }
    }

    #[test]
    fn line_is_row_of_one_value() {
        assert_eq!(line(b"a\tb\nc"), Some((vec![Some("a\tb".to_owned())], 4)));
        assert_eq!(line(b"c"), None);
    }
}
