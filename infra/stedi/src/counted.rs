//! What an object counts for in the report: its rows, or what its landing file's account says.

use crate::report::LandingCount;
use crate::tables::{self, TAIL_BYTES};
use bytes::Bytes;
use formats::Corrupt;
use formats::columnar::{Tail, rows_by_tail};
use formats::receipt::Receipt;
use model::layout::Source;
use model::table::Table;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// What a key is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Object(Table),
    Receipt(Source),
}

/// What an object counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// Its rows in the table.
    Object(Table, u64),
    /// A landing file.
    Receipt(Source, LandingCount),
}

impl Counted {
    /// What the object at `key` is counted as; none if it is not.
    pub(crate) fn of(key: &str) -> Option<Self> {
        let table = Table::DERIVED.into_iter().find(|table| tables::is_of(*table, key));
        let source = || Source::ALL.into_iter().find(|source| tables::is_receipt_of(*source, key));
        table.map(Self::Object).or_else(|| source().map(Self::Receipt))
    }

    /// What the object in `file` counts for. To read the file costs far less than a request.
    pub(crate) fn read(self, file: &File) -> io::Result<Result<Count, Corrupt>> {
        Ok(match self {
            Self::Object(table) => rows_in(file, table)?.map(|rows| Count::Object(table, rows)),
            Self::Receipt(source) => {
                Receipt::decode(&from(file, 0)?).map(|receipt| Count::Receipt(source, LandingCount::from(&receipt)))
            }
        })
    }
}

/// The rows of a Parquet file, by its footer. The file is complete, and never changes.
fn rows_in(file: &File, table: Table) -> io::Result<Result<u64, Corrupt>> {
    let size = file.metadata()?.len();
    let mut wanted = TAIL_BYTES;
    loop {
        let tail = from(file, size.saturating_sub(wanted))?;
        match rows_by_tail(&tail, size, table.name()) {
            Ok(Tail::Rows(rows)) => return Ok(Ok(rows)),
            Ok(Tail::Needs(more)) if more > wanted => wanted = more,
            Ok(Tail::Needs(_)) => return Ok(Err(Corrupt::new(table.name(), "its footer has no end"))),
            Err(corrupt) => return Ok(Err(corrupt)),
        }
    }
}

fn from(mut file: &File, start: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_as_what_they_are() {
        for (key, counted) in [
            ("customer/trusted/07.parquet", Some(Counted::Object(Table::CustomerTrusted))),
            ("step_trainer/curated/dt=1/hour=2/part-0.parquet", Some(Counted::Object(Table::MachineLearningCurated))),
            ("receipts/step_trainer/a.json", Some(Counted::Receipt(Source::StepTrainer))),
            ("receipts/step_trainer/a.txt", None),
            ("customer/trusted/", None),
            ("customer/landing/a.json", None),
            ("quarantine/customer/a.jsonl", None),
        ] {
            assert_eq!(Counted::of(key), counted, "{key}");
        }
    }
}
