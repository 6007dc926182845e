//! The answer of a statement on its way into S3.

use super::csv;
use super::execution::{Described, Execution, Stored};
use super::metadata;
use crate::answer::{Answer, Rows};
use crate::error::SqlError;
use crate::text::text_of;
use bytes::Bytes;
use emulator_client::ObjectLocation;
use emulator_client::{Put, Store, StoreError, Version, Writing};
use futures::StreamExt;

/// What is collected before it is handed on.
const CHUNK_BYTES: usize = 256 << 10;

/// The file of rows while it is being written. Who drops it early has to abort what is in it.
pub(super) type Open = Option<Writing>;

/// Writes `answer` to where `execution` says: rows, metadata and manifest. A query that reads more than
/// `scanned_bytes_max` ends.
pub(super) async fn write(
    store: &Store,
    execution: &Execution,
    answer: Answer,
    scanned_bytes_max: Option<u64>,
    open: &mut Open,
) -> Result<Stored, SqlError> {
    let failed = |error: StoreError| SqlError::system(format!("GENERIC_INTERNAL_ERROR: {error}"));
    let mut result = Stored {
        columns: answer.columns.iter().map(Described::from).collect(),
        update_count: answer.update_count,
        ..Stored::default()
    };
    if execution.writes() {
        result.columns = vec![Described::count_of_rows()];
        let manifest = execution.manifest();
        let files: String = answer.written.iter().map(|place| format!("{place}\n")).collect();
        put(store, &manifest, files.into_bytes()).await?;
        result.manifest = Some(manifest);
    } else {
        let mut sheet =
            Sheet { writing: open.insert(store.begin(&execution.output())), chunk: Vec::new(), bytes: 0, rows: 0 };
        match answer.rows {
            Rows::Lines(lines) => {
                for line in lines {
                    sheet.chunk.extend_from_slice(line.as_bytes());
                    sheet.chunk.push(b'\n');
                    sheet.next().await.map_err(failed)?;
                }
            }
            Rows::Batches(mut batches) => {
                csv::add(&mut sheet.chunk, answer.columns.iter().map(|column| Some(column.name.as_str())));
                while let Some(batch) = batches.next().await {
                    let batch = batch.map_err(SqlError::from)?;
                    let mut values = Vec::with_capacity(batch.num_columns());
                    for row in 0..batch.num_rows() {
                        values.clear();
                        values.extend(batch.columns().iter().map(|column| text_of(column.as_ref(), row)));
                        csv::add(&mut sheet.chunk, values.iter().map(Option::as_deref));
                        sheet.next().await.map_err(failed)?;
                    }
                    if scanned_bytes_max.is_some_and(|max| answer.scanned.bytes() > max) {
                        return Err(SqlError::user("Bytes scanned limit was exceeded"));
                    }
                }
            }
        }
        (result.bytes, result.rows) = sheet.end().await.map_err(failed)?;
        let written = open.take().ok_or_else(|| SqlError::system("GENERIC_INTERNAL_ERROR: the result was lost"))?;
        result.etag = match written.finish().await.map_err(failed)? {
            Put::Done(Version::Etag(etag)) => Some(etag),
            Put::Done(Version::Absent) | Put::Conflict => {
                let told = format!("GENERIC_INTERNAL_ERROR: {} is there already", execution.output());
                return Err(SqlError::system(told));
            }
        };
    }
    put(store, &execution.metadata(), metadata::encoded(&result.columns)).await?;
    Ok(result)
}

async fn put(store: &Store, place: &ObjectLocation, body: Vec<u8>) -> Result<(), SqlError> {
    let put = store.put(place, Bytes::from(body), &Version::Absent).await;
    put.map(|_| ()).map_err(|error| SqlError::system(format!("GENERIC_INTERNAL_ERROR: {error}")))
}

struct Sheet<'a> {
    writing: &'a mut Writing,
    chunk: Vec<u8>,
    bytes: u64,
    rows: u64,
}

impl Sheet<'_> {
    /// After each row.
    async fn next(&mut self) -> Result<(), StoreError> {
        self.rows += 1;
        if self.chunk.len() >= CHUNK_BYTES { self.hand_on().await } else { Ok(()) }
    }

    async fn hand_on(&mut self) -> Result<(), StoreError> {
        self.writing.write(&self.chunk).await?;
        self.bytes += self.chunk.len() as u64;
        self.chunk.clear();
        Ok(())
    }

    async fn end(mut self) -> Result<(u64, u64), StoreError> {
        self.hand_on().await?;
        Ok((self.bytes, self.rows))
    }
}
