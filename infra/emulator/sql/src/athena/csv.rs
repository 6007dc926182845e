//! The result files of Athena: writes their rows and reads them back.
//!
//! The rows of a query are CSV with a header. Each value is in quotes, quotes within it are doubled, a null is empty, and
//! each row ends with a line feed. Other answers are lines of text, one row each.

/// Adds a row.
pub(super) fn add<'a>(into: &mut Vec<u8>, values: impl IntoIterator<Item = Option<&'a str>>) {
    for (n, value) in values.into_iter().enumerate() {
        if n > 0 {
            into.push(b',');
        }
        if let Some(value) = value {
            into.push(b'"');
            let mut parts = value.split('"');
            into.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
            for part in parts {
                into.extend_from_slice(b"\"\"");
                into.extend_from_slice(part.as_bytes());
            }
            into.push(b'"');
        }
    }
    into.push(b'\n');
}

/// The beginning of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A row, and its length in bytes.
    Row(Vec<Option<String>>, usize),
    /// An incomplete row.
    Part,
    /// Not a row.
    Damaged,
}

/// Reads a line of text.
pub(super) fn line(text: &[u8]) -> Next {
    let Some(end) = text.iter().position(|byte| *byte == b'\n') else { return Next::Part };
    match String::from_utf8(text[..end].to_vec()) {
        Ok(line) => Next::Row(vec![Some(line)], end + 1),
        Err(_) => Next::Damaged,
    }
}

/// Reads a row of CSV.
pub(super) fn row(text: &[u8]) -> Next {
    let mut values = Vec::new();
    let mut at = 0;
    loop {
        let value = if text.get(at) == Some(&b'"') {
            at += 1;
            let mut value = Vec::new();
            loop {
                let Some(quote) = text[at..].iter().position(|byte| *byte == b'"') else { return Next::Part };
                value.extend_from_slice(&text[at..at + quote]);
                at += quote + 1;
                match text.get(at) {
                    None => return Next::Part,
                    Some(b'"') => {
                        value.push(b'"');
                        at += 1;
                    }
                    Some(_) => break,
                }
            }
            match String::from_utf8(value) {
                Ok(value) => Some(value),
                Err(_) => return Next::Damaged,
            }
        } else {
            None
        };
        values.push(value);
        match text.get(at) {
            None => return Next::Part,
            Some(b',') => at += 1,
            Some(b'\n') => return Next::Row(values, at + 1),
            Some(_) => return Next::Damaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[Option<&str>], text: &str) {
        let mut written = Vec::new();
        add(&mut written, values.iter().copied());
        assert_eq!(String::from_utf8_lossy(&written), text);
        let read: Vec<_> = values.iter().map(|value| value.map(str::to_owned)).collect();
        assert_eq!(row(&written), Next::Row(read, text.len()));
        for end in 0..text.len() {
            assert_eq!(row(&written[..end]), Next::Part, "{:?}", &text[..end]);
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
    fn malformed_row_is_damaged() {
        assert_eq!(row(b"plain\n"), Next::Damaged);
        assert_eq!(row(b"\"a\"b\n"), Next::Damaged);
        assert_eq!(row(b"\"\xff\"\n"), Next::Damaged);
    }

    #[test]
    fn line_is_row_of_one_value() {
        assert_eq!(line(b"a\tb\nc"), Next::Row(vec![Some("a\tb".to_owned())], 4));
        assert_eq!(line(b"c"), Next::Part);
    }
}
