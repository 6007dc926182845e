//! The tables of `events/README.md`.

use model::table::Table;
use serde_json::Value;
use std::path::PathBuf;

/// The expected answer of a function.
#[derive(Debug)]
pub(crate) enum Answer {
    Json(Value),
    /// An error whose message contains this.
    Error(String),
}

/// A row: an event, a function, and the expected result.
#[derive(Debug)]
pub(crate) struct Row {
    /// The event's file.
    pub(crate) event: String,
    pub(crate) function: Table,
    pub(crate) answer: Answer,
    /// The key or prefix that must exist afterwards; none if nothing is written.
    pub(crate) writes: Option<String>,
}

/// The folder of the sample events.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

/// All rows, in order.
pub(crate) fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(folder().join("README.md")).unwrap();
    text.lines().filter(|line| line.starts_with("| `")).map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
    let [event, function, _shows, answer, writes] = cells[..] else {
        panic!("expected five cells: {line}");
    };
    let answer = match answer.strip_prefix("error: ") {
        Some(text) => Answer::Error(text.to_owned()),
        None => Answer::Json(serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {line}"))),
    };
    let function = Table::DERIVED.into_iter().find(|table| table.name() == function);
    Row {
        event: event.to_owned(),
        function: function.unwrap_or_else(|| panic!("unknown function: {line}")),
        answer,
        writes: (writes != "nothing").then(|| writes.to_owned()),
    }
}
