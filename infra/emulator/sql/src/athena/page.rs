//! GetQueryResults: reads a page of rows from the result in S3.
//!
//! The token of a page is the offset of the next page. So the process keeps no state for pages: a result can be read after
//! a restart, and any result takes the memory of one page.

use super::execution::{Execution, State, StoredResult};
use super::fault::Fault;
use super::{Inner, csv, with_next_token};
use emulator_client::{RangeRead, Store};
use serde_json::{Value, json};

const ROWS_MAX: usize = 1000;
/// The bytes of the first read, and of the longest one, which limits the length of a row.
const READ_BYTES: u64 = 256 << 10;
const READ_BYTES_MAX: u64 = 64 << 20;

impl Inner {
    pub(super) async fn get_results(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, {
            query_execution_id: String, next_token: Option<String>, max_results: Option<u32>,
            query_result_type: Option<String>
        });
        let rows_max = match max_results {
            None => ROWS_MAX,
            Some(n) if (1..=ROWS_MAX as u32).contains(&n) => n as usize,
            Some(n) => return Err(Fault::invalid(format!("MaxResults is {n}, expected 1 to {ROWS_MAX}"))),
        };
        if let Some(other) = query_result_type.as_deref().filter(|kind| *kind != "DATA_ROWS") {
            return Err(Fault::invalid(format!(
                "QueryResultType is {other}, expected DATA_ROWS: managed results are not implemented"
            )));
        }
        let execution = self.history.get(&query_execution_id).await?;
        page(&self.store, &execution, next_token.as_deref(), rows_max).await
    }
}

/// Reads a page of the result of `execution`.
async fn page(store: &Store, execution: &Execution, token: Option<&str>, rows_max: usize) -> Result<Value, Fault> {
    let result = match (execution.state, &execution.result) {
        (State::Succeeded, Some(result)) => result,
        (state, _) => {
            let message = match state.has_ended() {
                true => "Query did not finish successfully. Final query state",
                false => "Query has not yet finished. Current state",
            };
            let message = format!("{message}: {}", format!("{state:?}").to_uppercase());
            return Err(Fault::coded("INVALID_QUERY_EXECUTION_STATE", message));
        }
    };
    let from = match token {
        None => 0,
        Some(token) => token
            .parse()
            .ok()
            .filter(|from| *from < result.bytes)
            .ok_or_else(|| Fault::invalid("NextToken is not a token of this query's results"))?,
    };
    let (rows, next) = rows(store, execution, result, from, rows_max).await?;
    let shown = |value: Option<String>| value.map_or_else(|| json!({}), |value| json!({"VarCharValue": value}));
    let rows: Vec<_> =
        rows.into_iter().map(|row| json!({"Data": row.into_iter().map(shown).collect::<Vec<_>>()})).collect();
    let columns: Vec<_> = result.columns.iter().map(|column| column.to_json()).collect();
    let answer = json!({
        "UpdateCount": result.update_count.unwrap_or_default(),
        "ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": columns}},
    });
    Ok(with_next_token(answer, next.map(|next| next.to_string())))
}

type Rows = Vec<Vec<Option<String>>>;

/// Reads at most `rows_max` rows of the result from byte `from` on; returns them and the offset of the next page.
async fn rows(
    store: &Store,
    execution: &Execution,
    result: &StoredResult,
    from: u64,
    rows_max: usize,
) -> Result<(Rows, Option<u64>), Fault> {
    let Some(etag) = &result.etag else { return Ok((Rows::new(), None)) };
    let (location, read) = (execution.output(), if execution.is_table() { csv::row } else { csv::line });
    let mut length = READ_BYTES;
    loop {
        let end = from.saturating_add(length).min(result.bytes);
        let text = match store.read_range(&location, Some(etag), from..end).await? {
            RangeRead::Bytes(text) => text,
            RangeRead::Absent => return Err(Fault::invalid(format!("Could not find results: {location} is gone"))),
            RangeRead::Changed => {
                return Err(Fault::invalid(format!("Could not read results: {location} was changed since")));
            }
        };
        let (mut rows, mut at) = (Rows::new(), 0);
        while rows.len() < rows_max
            && let Some((row, bytes)) = read(&text[at..])
        {
            rows.push(row);
            at += bytes;
        }
        let next = from + at as u64;
        let is_last = next >= result.bytes;
        if !rows.is_empty() || is_last {
            return Ok((rows, (!is_last).then_some(next)));
        }
        if end == result.bytes || length >= READ_BYTES_MAX {
            return Err(Fault::invalid(format!(
                "a row of {location} has more than {READ_BYTES_MAX} bytes, is incomplete or is damaged"
            )));
        }
        length *= 4;
    }
}
