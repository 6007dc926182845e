//! Writes the answer of a statement to S3.

use super::csv;
use super::execution::{Execution, ResultColumn, StoredResult};
use super::metadata;
use crate::answer::{Answer, Column, Rows};
use crate::error::SqlError;
use crate::sql_type::SqlType;
use crate::text::text_of;
use bytes::Bytes;
use emulator_client::ObjectLocation;
use emulator_client::{ObjectWriter, Put, Store, StoreError, Version};
use futures::StreamExt;

/// The bytes that are collected before they are written.
const CHUNK_BYTES: usize = 256 << 10;

/// The unfinished file of rows. A caller that stops early must abort it.
pub(super) type OpenWriter = Option<ObjectWriter>;

/// Writes rows, metadata and manifest of `answer` to the location of `execution`. Fails if the query reads more than
/// `scanned_bytes_max`.
pub(super) async fn write(
    store: &Store,
    execution: &Execution,
    answer: Answer,
    scanned_bytes_max: Option<u64>,
    open: &mut OpenWriter,
) -> Result<StoredResult, SqlError> {
    let failed = |error: StoreError| SqlError::system(format!("GENERIC_INTERNAL_ERROR: {error}"));
    let mut result = StoredResult {
        columns: answer.columns.iter().map(ResultColumn::from).collect(),
        update_count: answer.update_count,
        ..StoredResult::default()
    };
    if execution.writes() {
        result.columns = vec![ResultColumn::from(&Column::new("rows", SqlType::BigInt))];
        let manifest = execution.manifest();
        let files: String = answer.written.iter().map(|location| format!("{location}\n")).collect();
        put(store, &manifest, files.into_bytes()).await?;
        result.manifest = Some(manifest);
    } else {
        let mut result_file =
            ResultWriter { file: open.insert(store.begin(&execution.output())), chunk: Vec::new(), bytes: 0, rows: 0 };
        match answer.rows {
            Rows::Lines(lines) => {
                for line in lines {
                    result_file.chunk.extend_from_slice(line.as_bytes());
                    result_file.chunk.push(b'\n');
                    result_file.end_row().await.map_err(failed)?;
                }
            }
            Rows::Batches(mut batches) => {
                csv::add(
                    &mut result_file.chunk,
                    answer.columns.iter().map(|column| Some(column.name.as_str())),
                    |_| true,
                );
                while let Some(batch) = batches.next().await {
                    let batch = batch.map_err(SqlError::from)?;
                    let mut values = Vec::with_capacity(batch.num_columns());
                    for row in 0..batch.num_rows() {
                        values.clear();
                        values.extend(batch.columns().iter().map(|column| text_of(column.as_ref(), row)));
                        csv::add(&mut result_file.chunk, values.iter().map(Option::as_deref), |_| true);
                        result_file.end_row().await.map_err(failed)?;
                    }
                    if scanned_bytes_max.is_some_and(|max| answer.scanned.bytes() > max) {
                        return Err(SqlError::user("Bytes scanned limit was exceeded"));
                    }
                }
            }
        }
        (result.bytes, result.rows) = result_file.finish().await.map_err(failed)?;
        let written = open
            .take()
            .ok_or_else(|| SqlError::system("GENERIC_INTERNAL_ERROR: the file of the result is not open"))?;
        result.etag = match written.finish().await.map_err(failed)? {
            Put::Done(Version::Etag(etag)) => Some(etag),
            Put::Done(Version::Absent) | Put::Conflict => {
                let message = format!("GENERIC_INTERNAL_ERROR: {} exists already", execution.output());
                return Err(SqlError::system(message));
            }
        };
    }
    put(store, &execution.metadata(), metadata::encoded(&result.columns)).await?;
    Ok(result)
}

async fn put(store: &Store, location: &ObjectLocation, body: Vec<u8>) -> Result<(), SqlError> {
    let put = store.put(location, Bytes::from(body), &Version::Absent).await;
    put.map(|_| ()).map_err(|error| SqlError::system(format!("GENERIC_INTERNAL_ERROR: {error}")))
}

struct ResultWriter<'a> {
    file: &'a mut ObjectWriter,
    chunk: Vec<u8>,
    bytes: u64,
    rows: u64,
}

impl ResultWriter<'_> {
    /// Counts a row and writes the chunk when it is full.
    async fn end_row(&mut self) -> Result<(), StoreError> {
        self.rows += 1;
        if self.chunk.len() >= CHUNK_BYTES { self.write_chunk().await } else { Ok(()) }
    }

    async fn write_chunk(&mut self) -> Result<(), StoreError> {
        self.file.write(&self.chunk).await?;
        self.bytes += self.chunk.len() as u64;
        self.chunk.clear();
        Ok(())
    }

    async fn finish(mut self) -> Result<(u64, u64), StoreError> {
        self.write_chunk().await?;
        Ok((self.bytes, self.rows))
    }
}
