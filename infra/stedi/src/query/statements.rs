//! Finds the statements in a text, for scripts and the prompt.

/// The statements of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Statements<'a> {
    /// Those that a `;` ends, without it.
    pub ended: Vec<Statement<'a>>,
    /// The one after the last `;`, if there is one.
    pub last: Option<Statement<'a>>,
}

/// A statement and the line in which it begins, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    pub sql: &'a str,
    pub line: usize,
}

impl<'a> Statements<'a> {
    /// Splits a text at each `;` outside of quotes and comments.
    pub(super) fn split(text: &'a str) -> Self {
        let mut statements = Self::default();
        let (mut begin, mut at) = (None, 0);
        let statement = |begin: usize, end: usize| Statement {
            sql: text[begin..end].trim_end(),
            line: 1 + text[..begin].matches('\n').count(),
        };
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            let length = match c {
                '\'' | '"' | '`' => rest[1..].find(c).map_or(rest.len(), |end| end + 2),
                '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                _ => c.len_utf8(),
            };
            let is_comment = rest.starts_with("--") || rest.starts_with("/*");
            if c == ';' {
                statements.ended.extend(begin.take().map(|begin| statement(begin, at)));
            } else if begin.is_none() && !is_comment && !c.is_whitespace() {
                begin = Some(at);
            }
            at += length;
        }
        statements.last = begin.map(|begin| statement(begin, text.len()));
        statements
    }

    /// All statements in their order.
    pub(super) fn all(self) -> Vec<Statement<'a>> {
        self.ended.into_iter().chain(self.last).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (Vec<(&str, usize)>, Option<&str>) {
        let Statements { ended, last } = Statements::split(text);
        (ended.into_iter().map(|one| (one.sql, one.line)).collect(), last.map(|one| one.sql))
    }

    #[test]
    fn statements_end_with_semicolons() {
        assert_eq!(split(""), (vec![], None));
        assert_eq!(split(" ;; \n"), (vec![], None));
        assert_eq!(split("SELECT 1"), (vec![], Some("SELECT 1")));
        assert_eq!(
            split("SELECT 1;\n\nSELECT 2 ;\nSELECT 3\n"),
            (vec![("SELECT 1", 1), ("SELECT 2", 3)], Some("SELECT 3"))
        );
    }

    #[test]
    fn quotes_and_comments_hide_semicolons() {
        let quoted = r#"SELECT ';', 'it''s;', ";" FROM `;`"#;
        assert_eq!(split(&format!("{quoted};")), (vec![(quoted, 1)], None));
        assert_eq!(split("SELECT 1 -- one; two\n;"), (vec![("SELECT 1 -- one; two", 1)], None));
        assert_eq!(split("-- first;\n/* a; */ SELECT 'ü' /* ; */; -- end"), (vec![("SELECT 'ü' /* ; */", 2)], None));
    }

    #[test]
    fn open_quotes_and_comments_last_to_the_end() {
        assert_eq!(split("SELECT ';"), (vec![], Some("SELECT ';")));
        assert_eq!(split("SELECT 1 /* ;"), (vec![], Some("SELECT 1 /* ;")));
    }
}
