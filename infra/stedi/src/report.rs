//! What a run did, as JSON and as text.

use crate::args::At;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table as TextTable};
use formats::receipt::Receipt;
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::ops::{AddAssign, Range};
use store::BoxError;

/// What a run did, and what is in the lake now. Its JSON is part of the command line's contract.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The five derived tables.
    pub tables: BTreeMap<&'static str, TableCount>,
    /// The landing files, by source.
    pub landing: BTreeMap<&'static str, LandingCount>,
    /// Events delivered and handled.
    pub events: u64,
    /// Puts of derived objects.
    pub writes: u64,
    /// Requests to S3 and Glue.
    pub requests: Requests,
    /// The time from start to finish.
    pub seconds: f64,
}

/// A table.
#[derive(Debug, Default, Serialize)]
pub(crate) struct TableCount {
    /// Its rows.
    pub rows: u64,
    /// Its objects.
    pub objects: u64,
    /// Its registered partitions.
    pub partitions: u64,
}

/// The landing files of one source, by their receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LandingCount {
    /// How many files.
    pub files: u64,
    /// Rows, and what could not be read as one.
    pub rows: u64,
    /// Rows that are in the derived table.
    pub kept: u64,
    /// Rows that are not.
    pub excluded: u64,
    /// What could not be read as a row.
    pub quarantined: u64,
}

impl LandingCount {
    /// Without another's files; none if they are not among these.
    pub(crate) fn checked_sub(self, other: Self) -> Option<Self> {
        Some(Self {
            files: self.files.checked_sub(other.files)?,
            rows: self.rows.checked_sub(other.rows)?,
            kept: self.kept.checked_sub(other.kept)?,
            excluded: self.excluded.checked_sub(other.excluded)?,
            quarantined: self.quarantined.checked_sub(other.quarantined)?,
        })
    }
}

impl From<&Receipt> for LandingCount {
    fn from(receipt: &Receipt) -> Self {
        let Receipt { rows, kept, quarantined, .. } = *receipt;
        Self { files: 1, rows, kept, excluded: receipt.excluded.values().sum(), quarantined }
    }
}

impl AddAssign for LandingCount {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.rows += other.rows;
        self.kept += other.kept;
        self.excluded += other.excluded;
        self.quarantined += other.quarantined;
    }
}

/// Requests to S3 and Glue.
#[derive(Debug, Serialize)]
pub(crate) struct Requests {
    get: u64,
    head: u64,
    put: u64,
    list: u64,
    glue: u64,
}

impl From<emulator::Requests> for Requests {
    fn from(requests: emulator::Requests) -> Self {
        let emulator::Requests { get, head, put, list, glue, .. } = requests;
        Self { get, head, put, list, glue }
    }
}

impl Report {
    /// The report for people.
    pub(crate) fn to_text(&self, at: &At) -> String {
        format!(
            "{}\n{} events handled, {} objects written, {:.2} s. The tables are in {}",
            tables_text(&self.tables, &self.landing),
            grouped(self.events),
            grouped(self.writes),
            self.seconds,
            at.lake.join(&at.bucket).display()
        )
    }
}

/// Prints to standard output. Whoever closed it has seen enough.
pub(crate) fn print(text: &str) -> Result<(), BoxError> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}").into())
        }
        _ => Ok(()),
    }
}

/// The landing files and the tables for people.
fn tables_text(tables: &BTreeMap<&'static str, TableCount>, landing: &BTreeMap<&'static str, LandingCount>) -> String {
    let rows = Table::DERIVED.iter().filter_map(|table| {
        let TableCount { rows, objects, partitions } = tables.get(table.name())?;
        Some(named(table.name(), [*rows, *objects, *partitions]))
    });
    let tables = text(["table", "rows", "objects", "partitions"], 1..4, rows);
    format!("{}\n{tables}", landing_text(landing))
}

/// The landing files for people.
pub(crate) fn landing_text(landing: &BTreeMap<&'static str, LandingCount>) -> TextTable {
    let rows = landing.iter().map(|(source, count)| {
        let LandingCount { files, rows, kept, excluded, quarantined } = count;
        named(source, [*files, *rows, *kept, *excluded, *quarantined])
    });
    text(["landing", "files", "rows", "kept", "excluded", "quarantined"], 1..6, rows)
}

fn named<const N: usize>(name: &str, counts: [u64; N]) -> impl Iterator<Item = String> + use<N> {
    std::iter::once(name.to_owned()).chain(counts.map(grouped))
}

/// Rows as a table, of which the columns `numbers` are aligned as such.
pub(crate) fn text<const H: usize>(
    header: [&str; H],
    numbers: Range<usize>,
    rows: impl Iterator<Item = impl Iterator<Item = String>>,
) -> TextTable {
    let mut table = TextTable::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(numbers.start).take(numbers.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// 40981 → 40,981.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (40_981, "40,981"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(n), text);
        }
    }
}
