//! What a run did, as JSON and as text.

use crate::args::LakeArgs;
use comfy_table::{CellAlignment, LineStyle, Table as TextTable, TableStyle};
use formats::receipt::Receipt;
use indicatif::HumanCount;
use model::table::Table;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::{AddAssign, Range};

/// What a run did, and what is in the lake now. Its JSON is part of the command line's contract.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The five derived tables.
    pub tables: BTreeMap<&'static str, TableCount>,
    /// The landing files, by source.
    pub landing: LandingCounts,
    /// Events delivered and handled.
    pub events: u64,
    /// Puts of derived objects.
    pub writes: u64,
    /// Requests to S3 and Glue.
    pub requests: Requests,
    /// The time from start to finish.
    pub seconds: f64,
}

/// A table: its rows, its objects and its registered partitions.
#[derive(Debug, Default, Serialize)]
pub(crate) struct TableCount {
    pub rows: u64,
    pub objects: u64,
    pub partitions: u64,
}

/// The landing files of each source.
pub(crate) type LandingCounts = BTreeMap<&'static str, LandingCount>;

/// The landing files of one source, counted by their receipts. A deleted file keeps its rows and its receipt.
///
/// A receipt says what became of the rows when the file was ingested, and a later file or change of consent does not change it.
/// So the kept and excluded rows are counted by the table: see [`LandingCount::keep`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct LandingCount {
    pub files: u64,
    /// Rows, and lines that could not be read as a row.
    pub rows: u64,
    /// Rows that are in the derived table.
    pub kept: u64,
    /// Rows that are not in it.
    pub excluded: u64,
    /// Lines that could not be read as a row.
    pub quarantined: u64,
}

impl LandingCount {
    /// Counts the rows of the derived table as kept, and all others that could be read as excluded.
    pub(crate) fn keep(&mut self, rows_in_table: u64) {
        self.kept = rows_in_table;
        // The table may have more rows: of a file without a receipt yet, or of an object that was copied by hand.
        self.excluded = self.rows.saturating_sub(self.quarantined).saturating_sub(rows_in_table);
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
    /// Returns the report for people.
    pub(crate) fn to_text(&self, lake: &LakeArgs) -> String {
        let rows = Table::DERIVED.iter().filter_map(|table| {
            let TableCount { rows, objects, partitions } = self.tables.get(table.name())?;
            Some(row(table.name(), [*rows, *objects, *partitions]))
        });
        format!(
            "{}\n\n{}\n\n{} events handled, {} objects written, {:.2} s. The tables are in {}",
            landing_text(&self.landing),
            text_table(["table", "rows", "objects", "partitions"], 1..4, rows),
            grouped(self.events),
            grouped(self.writes),
            self.seconds,
            lake.folder().display()
        )
    }
}

/// Returns the landing files for people.
pub(crate) fn landing_text(landing: &LandingCounts) -> TextTable {
    let rows = landing.iter().map(|(source, count)| {
        let LandingCount { files, rows, kept, excluded, quarantined } = count;
        row(source, [*files, *rows, *kept, *excluded, *quarantined])
    });
    text_table(["landing", "files", "rows", "kept", "excluded", "quarantined"], 1..6, rows)
}

fn row<const N: usize>(name: &str, counts: [u64; N]) -> impl Iterator<Item = String> + use<N> {
    std::iter::once(name.to_owned()).chain(counts.map(grouped))
}

/// Lines without borders: a table with many columns then fits a terminal of 80.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Returns rows as a table, in which the columns `numbers` are aligned to the right.
pub(crate) fn text_table<const H: usize>(
    header: [&str; H],
    numbers: Range<usize>,
    rows: impl Iterator<Item = impl Iterator<Item = String>>,
) -> TextTable {
    let mut table = TextTable::new();
    table.load_style(STYLE).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, u16::from(i + 1 < H)));
        if numbers.contains(&i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// 40981 → 40,981.
pub(crate) fn grouped(n: u64) -> String {
    HumanCount(n).to_string()
}
