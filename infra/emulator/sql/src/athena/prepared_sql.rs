//! The SQL of prepared statements: PREPARE, EXECUTE, DEALLOCATE PREPARE.
//!
//! The API runs them, not the engine, since prepared statements belong to a work group.

use crate::engine::STATEMENT_BYTES_MAX;
use crate::error::SqlError;
use crate::statement::Cursor;

/// A statement about prepared statements.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PreparedSql {
    /// `PREPARE name FROM statement`.
    Prepare { name: String, sql: String },
    /// `EXECUTE name [USING literal, …]`.
    Execute { name: String, using: Vec<String> },
    /// `DEALLOCATE PREPARE name`.
    Deallocate { name: String },
    /// A statement of the engine.
    Other,
}

/// Parses a statement about prepared statements.
pub(super) fn parse(sql: &str) -> Result<PreparedSql, SqlError> {
    // The engine refuses it.
    if sql.len() > STATEMENT_BYTES_MAX {
        return Ok(PreparedSql::Other);
    }
    let mut cursor = Cursor::new(sql)?;
    if !["prepare", "execute", "deallocate"].into_iter().any(|word| cursor.peek_keywords(&[word])) {
        return Ok(PreparedSql::Other);
    }
    cursor.one_statement()?;
    if cursor.keyword("prepare") {
        let name = cursor.identifier()?;
        cursor.expect("from")?;
        return match cursor.rest() {
            "" => Err(cursor.unexpected("a statement")),
            sql => Ok(PreparedSql::Prepare { name, sql: sql.to_owned() }),
        };
    }
    if cursor.keyword("execute") {
        let name = cursor.identifier()?;
        let mut using = Vec::new();
        if cursor.keyword("using") {
            loop {
                let literal = cursor.type_text();
                if literal.is_empty() {
                    return Err(cursor.unexpected("a literal"));
                }
                using.push(literal.to_owned());
                if !cursor.sign(',') {
                    break;
                }
            }
        }
        cursor.end()?;
        return Ok(PreparedSql::Execute { name, using });
    }
    cursor.expect("deallocate")?;
    cursor.expect("prepare")?;
    let name = cursor.identifier()?;
    cursor.end()?;
    Ok(PreparedSql::Deallocate { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_about_prepared_statements_are_parsed() {
        let sql = "PREPARE one FROM SELECT * FROM t WHERE a = ? AND b = 'x;y';";
        let kept = "SELECT * FROM t WHERE a = ? AND b = 'x;y'".to_owned();
        assert_eq!(parse(sql), Ok(PreparedSql::Prepare { name: "one".into(), sql: kept }));
        let using = ["'a, b'", "DATE '2022-06-18'", "-1"].map(str::to_owned).to_vec();
        let sql = "execute one using 'a, b', DATE '2022-06-18', -1";
        assert_eq!(parse(sql), Ok(PreparedSql::Execute { name: "one".into(), using }));
        assert_eq!(parse("EXECUTE one"), Ok(PreparedSql::Execute { name: "one".into(), using: Vec::new() }));
        assert_eq!(parse("deallocate prepare one;"), Ok(PreparedSql::Deallocate { name: "one".into() }));
    }

    #[test]
    fn other_statement_is_for_the_engine() {
        assert_eq!(parse("SELECT 1; SELECT 2"), Ok(PreparedSql::Other));
        assert_eq!(parse(""), Ok(PreparedSql::Other));
    }

    #[test]
    fn incomplete_statement_is_refused() {
        for sql in [
            "PREPARE",
            "PREPARE one",
            "PREPARE one FROM",
            "EXECUTE one USING",
            "EXECUTE one USING 1,",
            "DEALLOCATE one",
        ] {
            assert!(parse(sql).is_err(), "{sql}");
        }
    }
}
