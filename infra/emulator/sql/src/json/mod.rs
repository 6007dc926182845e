//! Reads JSON lines as the SerDes `org.openx.data.jsonserde.JsonSerDe` and `org.apache.hive.hcatalog.data.JsonSerDe` do.
//!
//! - Each line is one row, even if the whole file is one JSON document.
//! - An object is a row by the names of its keys. Text after the first object of a line is ignored.
//! - An array is a row whose values have the order of the columns.
//! - A line that begins otherwise is a row of nulls.
//! - A malformed object or array fails the query, unless `ignore.malformed.json` makes it a row of nulls.

mod cells;
mod dates;
mod lines;
mod row;

pub(crate) use row::Serde;

use crate::error::SqlError;
use crate::files::{File, Files};
use crate::sql_type::SqlType;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::TryStreamExt;
use lines::Lines;
use std::fmt;
use std::sync::Arc;

/// The bytes of one read of a file.
const FETCH_BYTES: u64 = 4 << 20;
/// The rows of one batch.
const ROWS_MAX: usize = 8192;

/// The origin of a column of the answer.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// The column of the table with this index.
    Line(usize, SqlType),
    /// The value of the partition with this index.
    Partition(usize),
    /// The location of the file.
    Path,
}

/// Some files of a table, read one after the other.
#[derive(Clone)]
pub(crate) struct Scan {
    pub(crate) files: Files,
    pub(crate) serde: Arc<Serde>,
    /// Each file with the values of its partition.
    pub(crate) each: Arc<Vec<(File, Arc<Vec<ScalarValue>>)>>,
    pub(crate) origins: Arc<Vec<Origin>>,
    pub(crate) schema: SchemaRef,
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.each.iter().map(|(file, _)| file.location.to_string())).finish()
    }
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let reading = Reading { scan: self.clone(), file: 0, at: 0, lines: None, pending: None };
        let batches = futures::stream::try_unfold(reading, |mut reading| async move {
            let batch = reading.next().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(batch.map(|batch| (batch, reading)))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches.into_stream()))
    }
}

struct Reading {
    scan: Scan,
    /// The index of the current file, and the offset of the next read.
    file: usize,
    at: u64,
    lines: Option<Lines>,
    /// A block of whole lines, and the offset of the next line.
    pending: Option<(Vec<u8>, usize)>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        loop {
            let Some((file, values)) = self.scan.each.get(self.file) else { return Ok(None) };
            if let Some((block, from)) = &mut self.pending {
                if *from < block.len() {
                    let (rows, length) = row::split(&block[*from..], ROWS_MAX);
                    let batch = self.scan.batch(file, values, &rows)?;
                    *from += length;
                    return Ok(Some(batch));
                }
                self.pending = None;
            }
            let lines = match &mut self.lines {
                Some(lines) => lines,
                none => none.insert(Lines::new(file)?),
            };
            if self.at < file.bytes {
                let end = file.bytes.min(self.at + FETCH_BYTES);
                let bytes = self.scan.files.read(file, self.at..end).await?;
                self.at = end;
                self.pending = Some((lines.feed(&bytes)?, 0));
            } else {
                self.pending = Some((lines.finish()?, 0));
                if self.pending.as_ref().is_some_and(|(rest, _)| rest.is_empty()) {
                    (self.file, self.at, self.lines, self.pending) = (self.file + 1, 0, None, None);
                }
            }
        }
    }
}

impl Scan {
    fn batch(&self, file: &File, values: &[ScalarValue], lines: &[&[u8]]) -> Result<RecordBatch, SqlError> {
        let columns: Vec<usize> = self
            .origins
            .iter()
            .filter_map(|origin| match origin {
                Origin::Line(column, _) => Some(*column),
                _ => None,
            })
            .collect();
        let raw = self.serde.rows(&columns, lines, &file.location)?;
        let mut raw = raw.into_iter();
        let arrow = |error: DataFusionError| SqlError::system(error.to_string());
        let column = |origin: &Origin| -> Result<ArrayRef, SqlError> {
            match origin {
                Origin::Line(column, kind) => {
                    let cells = raw.next().unwrap_or_else(|| vec![None; lines.len()]);
                    cells::array(kind, &cells).map_err(|wrong| {
                        let message =
                            format!("Error parsing field value '{}' for field {column}: {}", wrong.0, wrong.1);
                        SqlError::user(format!("HIVE_BAD_DATA: {message} in {}", file.location))
                    })
                }
                Origin::Partition(key) => {
                    values.get(*key).unwrap_or(&ScalarValue::Null).to_array_of_size(lines.len()).map_err(arrow)
                }
                Origin::Path => {
                    ScalarValue::from(file.location.to_string()).to_array_of_size(lines.len()).map_err(arrow)
                }
            }
        };
        let columns = self.origins.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| SqlError::system(error.to_string()))
    }
}
