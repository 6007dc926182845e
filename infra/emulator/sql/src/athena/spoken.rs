//! The SQL that speaks of prepared statements: PREPARE, EXECUTE, DEALLOCATE PREPARE.
//!
//! They are the API's, not the engine's: what is prepared is kept with the work group.

use super::Inner;
use super::fault::Fault;
use crate::answer::Answer;
use crate::engine::STATEMENT_BYTES_MAX;
use crate::error::SqlError;
use crate::statement::Cursor;

/// What a statement says of prepared ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    /// `PREPARE name FROM statement`.
    Prepare { name: String, sql: String },
    /// `EXECUTE name [USING literal, …]`.
    Execute { name: String, using: Vec<String> },
    /// `DEALLOCATE PREPARE name`.
    Deallocate { name: String },
    /// Nothing: it is the engine's.
    Other,
}

/// Reads a statement as far as it speaks of prepared ones.
pub(super) fn spoken(sql: &str) -> Result<Spoken, SqlError> {
    // The engine says what is wrong with it.
    if sql.len() > STATEMENT_BYTES_MAX {
        return Ok(Spoken::Other);
    }
    let mut cursor = Cursor::new(sql)?;
    if !["prepare", "execute", "deallocate"].into_iter().any(|word| cursor.peek_keywords(&[word])) {
        return Ok(Spoken::Other);
    }
    let end = cursor.one_statement()?;
    if cursor.keyword("prepare") {
        let name = cursor.identifier()?;
        cursor.expect("from")?;
        let from = cursor.offset();
        return match from < end {
            true => Ok(Spoken::Prepare { name, sql: sql[from..end].to_owned() }),
            false => Err(cursor.unexpected("a statement")),
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
        return Ok(Spoken::Execute { name, using });
    }
    cursor.expect("deallocate")?;
    cursor.expect("prepare")?;
    let name = cursor.identifier()?;
    cursor.end()?;
    Ok(Spoken::Deallocate { name })
}

fn told(fault: &Fault) -> SqlError {
    SqlError::user(format!("FAILED: {}", fault.message()))
}

/// Keeps a statement in a work group.
pub(super) async fn prepare(inner: &Inner, group: &str, name: &str, sql: &str) -> Result<Answer, SqlError> {
    inner.prepare(group, name, sql).await.map_err(|fault| told(&fault))?;
    Ok(Answer::lines(Vec::new(), Vec::new()))
}

/// Forgets a statement of a work group.
pub(super) async fn deallocate(inner: &Inner, group: &str, name: &str) -> Result<Answer, SqlError> {
    inner.deallocate(group, name).await.map_err(|fault| told(&fault))?;
    Ok(Answer::lines(Vec::new(), Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepared_statements_are_spoken_of_in_three_ways() {
        let sql = "PREPARE one FROM SELECT * FROM t WHERE a = ? AND b = 'x;y';";
        let kept = "SELECT * FROM t WHERE a = ? AND b = 'x;y'".to_owned();
        assert_eq!(spoken(sql), Ok(Spoken::Prepare { name: "one".into(), sql: kept }));
        let using = ["'a, b'", "DATE '2022-06-18'", "-1"].map(str::to_owned).to_vec();
        let sql = "execute one using 'a, b', DATE '2022-06-18', -1";
        assert_eq!(spoken(sql), Ok(Spoken::Execute { name: "one".into(), using }));
        assert_eq!(spoken("EXECUTE one"), Ok(Spoken::Execute { name: "one".into(), using: Vec::new() }));
        assert_eq!(spoken("deallocate prepare one;"), Ok(Spoken::Deallocate { name: "one".into() }));
    }

    #[test]
    fn other_statements_are_not_read() {
        assert_eq!(spoken("SELECT 1; SELECT 2"), Ok(Spoken::Other));
        assert_eq!(spoken(""), Ok(Spoken::Other));
    }

    #[test]
    fn half_a_sentence_is_refused() {
        for sql in [
            "PREPARE",
            "PREPARE one",
            "PREPARE one FROM",
            "EXECUTE one USING",
            "EXECUTE one USING 1,",
            "DEALLOCATE one",
        ] {
            assert!(spoken(sql).is_err(), "{sql}");
        }
    }
}
