//! GetQueryResults: a page of rows, read from where the result is stored.
//!
//! A page's token says at which byte the next one begins, so that nothing has to be remembered: results can be read
//! after a restart, and a result of any size costs the memory of a page.

use super::csv::{self, Next};
use super::execution::{Execution, State, Stored};
use super::fault::Fault;
use emulator_client::{RangeRead, Store};
use serde::Deserialize;
use serde_json::{Value, json};

const ROWS_MAX: usize = 1000;
/// How much is read at first, and at most: a row that is longer is not shown.
const READ_BYTES: u64 = 256 << 10;
const READ_BYTES_MAX: u64 = 64 << 20;

/// The parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) query_execution_id: String,
    next_token: Option<String>,
    max_results: Option<u32>,
    query_result_type: Option<String>,
}

/// The page of `execution` that is asked for.
pub(super) async fn page(store: &Store, execution: &Execution, asked: &Asked) -> Result<Value, Fault> {
    let rows_max = match asked.max_results {
        None => ROWS_MAX,
        Some(n) if (1..=ROWS_MAX as u32).contains(&n) => n as usize,
        Some(n) => return Err(Fault::invalid(format!("MaxResults is {n}, expected 1 to {ROWS_MAX}"))),
    };
    if let Some(other) = asked.query_result_type.as_deref().filter(|kind| *kind != "DATA_ROWS") {
        return Err(Fault::invalid(format!("QueryResultType {other} is of managed results, which are not kept here")));
    }
    let result = match (execution.state, &execution.result) {
        (State::Succeeded, Some(result)) => result,
        (state, _) if state.is_over() => {
            let told = format!("Query did not finish successfully. Final query state: {}", state.name());
            return Err(Fault::coded("INVALID_QUERY_EXECUTION_STATE", told));
        }
        (state, _) => {
            let told = format!("Query has not yet finished. Current state: {}", state.name());
            return Err(Fault::coded("INVALID_QUERY_EXECUTION_STATE", told));
        }
    };
    let from = match &asked.next_token {
        None => 0,
        Some(token) => token
            .parse()
            .ok()
            .filter(|from| *from < result.bytes)
            .ok_or_else(|| Fault::invalid("NextToken is none that this query's results came with"))?,
    };
    let (rows, next) = rows(store, execution, result, from, rows_max).await?;
    let shown = |value: Option<String>| value.map_or_else(|| json!({}), |value| json!({"VarCharValue": value}));
    let rows: Vec<_> =
        rows.into_iter().map(|row| json!({"Data": row.into_iter().map(shown).collect::<Vec<_>>()})).collect();
    let columns: Vec<_> = result.columns.iter().map(|column| column.shown()).collect();
    let mut answer = json!({
        "UpdateCount": result.update_count.unwrap_or_default(),
        "ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": columns}},
    });
    if let Some(next) = next {
        answer["NextToken"] = json!(next.to_string());
    }
    Ok(answer)
}

type Rows = Vec<Vec<Option<String>>>;

/// At most `rows_max` rows of the stored file from byte `from` on, and where the next begins.
async fn rows(
    store: &Store,
    execution: &Execution,
    result: &Stored,
    from: u64,
    rows_max: usize,
) -> Result<(Rows, Option<u64>), Fault> {
    let Some(etag) = &result.etag else { return Ok((Rows::new(), None)) };
    let (place, read) = (execution.output(), if execution.is_table() { csv::row } else { csv::line });
    let mut length = READ_BYTES;
    loop {
        let end = from.saturating_add(length).min(result.bytes);
        let text = match store.read_range(&place, Some(etag), from..end).await? {
            RangeRead::Found(text) => text,
            RangeRead::Absent => return Err(Fault::invalid(format!("Could not find results: {place} is gone"))),
            RangeRead::Changed => {
                return Err(Fault::invalid(format!("Could not read results: {place} was changed since")));
            }
        };
        let (mut rows, mut at) = (Rows::new(), 0);
        while rows.len() < rows_max {
            match read(&text[at..]) {
                Next::Row(row, bytes) => {
                    rows.push(row);
                    at += bytes;
                }
                Next::Part => break,
                Next::Damaged => return Err(Fault::invalid(format!("Could not read results: {place} is damaged"))),
            }
        }
        let next = from + at as u64;
        let is_last = next >= result.bytes;
        if !rows.is_empty() || is_last {
            return Ok((rows, (!is_last).then_some(next)));
        }
        // Not one whole row.
        if end == result.bytes || length >= READ_BYTES_MAX {
            return Err(Fault::invalid(format!("a row of {place} has more than {READ_BYTES_MAX} bytes, or no end")));
        }
        length *= 4;
    }
}
