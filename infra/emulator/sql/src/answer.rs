//! The answer to a statement.

use crate::sql_type::SqlType;
use datafusion::execution::SendableRecordBatchStream;
use emulator_client::ObjectLocation;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The answer to a statement.
pub struct Answer {
    /// The columns of the rows.
    pub columns: Vec<Column>,
    /// The rows. Dropping them stops the query.
    pub rows: Rows,
    /// The bytes read from S3 so far.
    pub scanned: Scanned,
    /// The files that CREATE TABLE AS, INSERT or UNLOAD wrote.
    pub written: Vec<ObjectLocation>,
    /// The number of rows that CREATE TABLE AS, INSERT or UNLOAD wrote.
    pub update_count: Option<u64>,
}

impl Answer {
    /// The answer of a statement that returns nothing.
    pub(crate) fn empty() -> Self {
        Self::lines(Vec::new(), Vec::new())
    }

    /// An answer of DDL or SHOW: lines of text.
    pub(crate) fn lines(columns: Vec<Column>, lines: Vec<String>) -> Self {
        let scanned = Scanned::default();
        Self { columns, rows: Rows::Lines(lines), scanned, written: Vec::new(), update_count: None }
    }
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: SqlType,
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, kind: SqlType) -> Self {
        Self { name: name.into(), kind }
    }
}

/// The rows of an answer.
pub enum Rows {
    /// The rows of a query, computed as the caller reads them. [`crate::SqlError::from`] translates their errors.
    Batches(SendableRecordBatchStream),
    /// The lines of DDL, SHOW and EXPLAIN. Tabs separate the fields of a line.
    Lines(Vec<String>),
}

/// A counter of the bytes that a statement has read from S3. Clones share the counter.
#[derive(Clone, Debug, Default)]
pub struct Scanned(Arc<AtomicU64>);

impl Scanned {
    /// The bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}
