//! Writes rows to Parquet files below a location, one file per partition.

use super::WriteSummary;
use crate::error::SqlError;
use crate::partition::{NO_VALUE, escaped};
use crate::query::RunningQuery;
use crate::text::text_of;
use bytes::Bytes;
use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::arrow::async_writer::AsyncFileWriter;
use datafusion::parquet::basic::{Compression, GzipLevel, ZstdLevel};
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::properties::WriterProperties;
use emulator_client::ObjectLocation;
use emulator_client::{ObjectWriter, Put, Store};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most partitions that one statement may write, as on AWS.
const PARTITIONS_MAX: usize = 100;
/// The memory of a file's rows before they are flushed.
const BUFFERED_BYTES_MAX: usize = 32 << 20;

/// The files of a statement that writes rows.
pub(super) struct Target {
    store: Store,
    below: ObjectLocation,
    id: String,
    /// The columns in the files, and the partition keys.
    kept: Vec<usize>,
    keys: Vec<(usize, String)>,
    schema: SchemaRef,
    properties: WriterProperties,
    open: BTreeMap<Vec<String>, AsyncArrowWriter<OutputFile>>,
    files: Vec<ObjectLocation>,
    rows: u64,
}

/// An unfinished file, which a Parquet writer fills.
struct OutputFile(Option<ObjectWriter>);

impl AsyncFileWriter for OutputFile {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, ParquetResult<()>> {
        async move {
            let Some(file) = &mut self.0 else {
                return Err(ParquetError::General("the file is complete already".into()));
            };
            file.write(&bytes).await.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, ParquetResult<()>> {
        async move {
            let Some(file) = self.0.take() else { return Ok(()) };
            match file.finish().await.map_err(|error| ParquetError::External(Box::new(error)))? {
                Put::Done(_) => Ok(()),
                Put::Conflict => Err(ParquetError::General("the file exists already".into())),
            }
        }
        .boxed()
    }
}

fn compression(name: &str) -> Result<Compression, SqlError> {
    Ok(match name {
        "SNAPPY" => Compression::SNAPPY,
        "GZIP" => Compression::GZIP(GzipLevel::default()),
        "ZSTD" => Compression::ZSTD(ZstdLevel::default()),
        "LZ4" => Compression::LZ4_RAW,
        "NONE" | "UNCOMPRESSED" => Compression::UNCOMPRESSED,
        _ => {
            let message = format!("compression {name} cannot be written: expected GZIP, SNAPPY, ZSTD, LZ4 or NONE");
            return Err(SqlError::user(format!("INVALID_TABLE_PROPERTY: line 1:1: {message}")));
        }
    })
}

fn failed(error: ParquetError) -> SqlError {
    SqlError::system(format!("HIVE_WRITER_DATA_ERROR: {error}"))
}

impl Target {
    pub(super) fn new(
        store: &Store,
        below: ObjectLocation,
        id: &str,
        running: &RunningQuery,
        by: Vec<String>,
        name: &str,
    ) -> Result<Self, SqlError> {
        let names: Vec<_> = running.columns.iter().map(|column| column.name.to_lowercase()).collect();
        let last = names.len().saturating_sub(by.len());
        if names[last..] != by[..] || last == 0 {
            let message = format!(
                "Partition keys must be the last columns in the table and in the same order: [{}]",
                by.join(", ")
            );
            return Err(SqlError::user(format!("HIVE_COLUMN_ORDER_MISMATCH: {message}")));
        }
        let inner = running.rows.schema();
        let field = |n: usize| {
            let kind = running.columns[n].kind.arrow();
            Field::new(
                &names[n],
                if inner.field(n).data_type().is_nested() { inner.field(n).data_type().clone() } else { kind },
                true,
            )
        };
        let properties = WriterProperties::builder().set_compression(compression(name)?).build();
        Ok(Self {
            store: store.clone(),
            below,
            id: id.to_owned(),
            kept: (0..last).collect(),
            keys: names[last..].iter().cloned().enumerate().map(|(n, name)| (last + n, name)).collect(),
            schema: Arc::new(Schema::new((0..last).map(field).collect::<Vec<_>>())),
            properties,
            open: BTreeMap::new(),
            files: Vec::new(),
            rows: 0,
        })
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<(), SqlError> {
        let mut rows: BTreeMap<Vec<String>, Vec<u32>> = BTreeMap::new();
        for row in 0..batch.num_rows() {
            let value = |(n, _): &(usize, String)| {
                text_of(batch.column(*n).as_ref(), row).unwrap_or_else(|| NO_VALUE.to_owned())
            };
            let number = u32::try_from(row).map_err(|error| SqlError::system(error.to_string()))?;
            rows.entry(self.keys.iter().map(value).collect()).or_default().push(number);
        }
        let arrow = |error: datafusion::arrow::error::ArrowError| SqlError::system(error.to_string());
        let kept = batch.project(&self.kept).map_err(arrow)?;
        let cast = |(column, field): (&datafusion::arrow::array::ArrayRef, &Arc<Field>)| {
            datafusion::arrow::compute::cast(column, field.data_type())
        };
        let columns = kept.columns().iter().zip(self.schema.fields()).map(cast).collect::<Result<Vec<_>, _>>();
        let kept = RecordBatch::try_new(Arc::clone(&self.schema), columns.map_err(arrow)?).map_err(arrow)?;
        for (values, rows) in rows {
            self.rows += rows.len() as u64;
            let part = take_record_batch(&kept, &UInt32Array::from(rows)).map_err(arrow)?;
            self.writer(values)?.write(&part).await.map_err(failed)?;
        }
        for writer in self.open.values_mut() {
            if writer.memory_size() > BUFFERED_BYTES_MAX {
                writer.flush().await.map_err(failed)?;
            }
        }
        Ok(())
    }

    fn writer(&mut self, values: Vec<String>) -> Result<&mut AsyncArrowWriter<OutputFile>, SqlError> {
        if !self.open.contains_key(&values) {
            if self.open.len() == PARTITIONS_MAX {
                return Err(SqlError::user(format!(
                    "HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of {PARTITIONS_MAX} open writers for \
                     partitions/buckets"
                )));
            }
            let pairs = self.keys.iter().zip(&values);
            let folder: String = pairs.map(|((_, name), value)| format!("{name}={}/", escaped(value))).collect();
            let below = self.below.key.trim_end_matches('/');
            let slash = if below.is_empty() { "" } else { "/" };
            let key = format!("{below}{slash}{folder}{}_{:05}.parquet", self.id, self.files.len());
            let location = ObjectLocation { bucket: self.below.bucket.clone(), key };
            let out = OutputFile(Some(self.store.begin(&location)));
            let writer = AsyncArrowWriter::try_new(out, Arc::clone(&self.schema), Some(self.properties.clone()));
            self.files.push(location);
            self.open.insert(values.clone(), writer.map_err(failed)?);
        }
        self.open
            .get_mut(&values)
            .ok_or_else(|| SqlError::system("GENERIC_INTERNAL_ERROR: the writer of a partition is missing"))
    }

    pub(super) async fn finish(&mut self) -> Result<WriteSummary, SqlError> {
        let mut partitions = BTreeSet::new();
        for (values, writer) in std::mem::take(&mut self.open) {
            writer.close().await.map_err(failed)?;
            partitions.insert(values);
        }
        Ok(WriteSummary { rows: self.rows, files: std::mem::take(&mut self.files), partitions })
    }

    /// Aborts the unfinished files.
    pub(super) async fn abort(&mut self) {
        for writer in std::mem::take(&mut self.open).into_values() {
            if let Some(file) = writer.into_inner().0 {
                // The statement fails anyway. The lifecycle rule of the bucket removes parts that stay.
                let _ = file.abort().await;
            }
        }
    }
}
