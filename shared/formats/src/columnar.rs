//! Arrow and Parquet, byte-stable: the same rows and metadata give the same bytes.

use crate::Corrupt;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use model::table::{ColumnType, Table};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::ChunkReader;
use parquet::schema::types::ColumnPath;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How many rows are turned into columns at a time.
pub const BATCH_ROWS: usize = 64 << 10;

/// The key-value pairs of a Parquet footer, by name.
pub type Metadata = BTreeMap<String, String>;

/// Returns the Arrow schema of a table, without the partition columns.
pub fn schema(table: Table) -> SchemaRef {
    let fields = table.columns().iter().map(|column| {
        let kind = match column.kind {
            ColumnType::String => DataType::Utf8,
            ColumnType::BigInt => DataType::Int64,
            ColumnType::Int => DataType::Int32,
            ColumnType::Double => DataType::Float64,
            ColumnType::Boolean => DataType::Boolean,
        };
        Field::new(column.name, kind, column.nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Builds a batch of rows of `table` from its columns.
pub fn batch(table: Table, columns: Vec<ArrayRef>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(schema(table), columns)
}

/// Writes `batches` as a Parquet file of `table` that is sorted by `sorted_by`, with `metadata` in its footer.
pub fn encode(
    table: Table,
    sorted_by: &str,
    batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
    metadata: &Metadata,
) -> Result<Bytes, ParquetError> {
    encode_with_header(&[], table, Order::By(sorted_by), batches, metadata)
}

/// The order of the rows of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order<'a> {
    /// All rows are sorted by this column.
    By(&'a str),
    /// The rows are in groups, and each group is sorted by this column.
    Grouped(&'a str),
}

/// Like [`encode`], but writes `header` between the magic bytes and the rows.
pub(crate) fn encode_with_header(
    header: &[u8],
    table: Table,
    order: Order<'_>,
    batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
    metadata: &Metadata,
) -> Result<Bytes, ParquetError> {
    let schema = schema(table);
    let (Order::By(sorted_by) | Order::Grouped(sorted_by)) = order;
    let position = schema.fields().iter().position(|field| field.name() == sorted_by);
    let sorted = position.filter(|_| matches!(order, Order::By(_)));
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_sorting_columns(
            sorted.map(|i| vec![SortingColumn { column_idx: i as i32, descending: false, nulls_first: false }]),
        )
        .set_key_value_metadata(Some(
            metadata.iter().map(|(name, text)| KeyValue::new(name.clone(), text.clone())).collect(),
        ));
    if position.is_some_and(|i| schema.field(i).data_type() == &DataType::Int64) {
        let path = ColumnPath::from(sorted_by);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    let options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options)?;
    writer.write_all(header)?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    Ok(writer.into_inner()?.into())
}

/// A Parquet file of the lake whose footer has been read.
pub struct Decoder {
    bytes: Bytes,
    footer: ArrowReaderMetadata,
}

impl Decoder {
    /// Reads the footer of a file. `expected` names the file's kind in errors.
    pub fn new(bytes: Bytes, expected: &'static str) -> Result<Self, Corrupt> {
        let footer = catch_damage(expected, || ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new()))?;
        Ok(Self { footer, bytes })
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        self.footer.metadata().file_metadata().num_rows().unsigned_abs()
    }

    /// Returns the text of the footer's key-value pair `name`.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        let pairs = self.footer.metadata().file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == name)?.value.as_deref()
    }

    /// Reads the rows in batches of [`BATCH_ROWS`].
    pub fn batches(&self, table: Table) -> Result<impl Iterator<Item = Result<RecordBatch, Corrupt>> + use<>, Corrupt> {
        let schema = schema(table);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.footer.clone());
        let builder = builder.with_batch_size(BATCH_ROWS);
        let mut reader = catch_damage(table.name(), || builder.build())?;
        let mut next = move || {
            let Some(batch) = reader.next().transpose()? else { return Ok(None) };
            RecordBatch::try_new(schema.clone(), batch.columns().to_vec()).map(Some)
        };
        let mut sound = true;
        Ok(std::iter::from_fn(move || {
            let batch = sound.then(|| catch_damage(table.name(), &mut next))?;
            sound = batch.is_ok();
            batch.transpose()
        }))
    }
}

/// Returns the number of rows of a Parquet file by its footer, which is all that it reads. `expected` names the file's kind in
/// errors.
pub fn rows(file: &impl ChunkReader, expected: &'static str) -> Result<u64, Corrupt> {
    let footer = catch_damage(expected, || ParquetMetaDataReader::new().parse_and_finish(file))?;
    Ok(footer.file_metadata().num_rows().unsigned_abs())
}

/// Turns damage that `read` meets into [`Corrupt`]. The parquet crate panics on some damage instead of returning an error.
/// After a panic or an error nothing uses the reader again.
fn catch_damage<T, E: std::fmt::Display>(
    expected: &'static str,
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, Corrupt> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| Corrupt::new(expected, error)),
        Err(_) => Err(Corrupt::new(expected, "it is damaged")),
    }
}

/// Returns the text in column `i` of a batch of our schema.
pub fn text_at(batch: &RecordBatch, i: usize, row: usize) -> Option<&str> {
    let column = batch.column(i).as_string::<i32>();
    column.is_valid(row).then(|| column.value(row))
}

/// Returns the 64-bit integer in column `i` of a batch of our schema.
pub fn bigint_at(batch: &RecordBatch, i: usize, row: usize) -> Option<i64> {
    let column = batch.column(i).as_primitive::<Int64Type>();
    column.is_valid(row).then(|| column.value(row))
}

/// Returns the 32-bit integer in column `i` of a batch of our schema.
pub fn int_at(batch: &RecordBatch, i: usize, row: usize) -> i32 {
    batch.column(i).as_primitive::<Int32Type>().value(row)
}

/// Returns the float in column `i` of a batch of our schema.
pub fn double_at(batch: &RecordBatch, i: usize, row: usize) -> f64 {
    batch.column(i).as_primitive::<Float64Type>().value(row)
}

/// Returns the boolean in column `i` of a batch of our schema.
pub fn boolean_at(batch: &RecordBatch, i: usize, row: usize) -> bool {
    batch.column(i).as_boolean().value(row)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test")]

    use super::*;

    #[test]
    fn rows_are_counted_by_the_footer_of_a_file() {
        let table = Table::MachineLearningCurated;
        let schema = schema(table);
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match field.data_type() {
                DataType::Int64 => Arc::new(arrow_array::Int64Array::from(vec![1; 3])),
                DataType::Int32 => Arc::new(arrow_array::Int32Array::from(vec![1; 3])),
                DataType::Float64 => Arc::new(arrow_array::Float64Array::from(vec![1.0; 3])),
                _ => Arc::new(arrow_array::BooleanArray::from(vec![true; 3])),
            }
        });
        let columns = columns.collect();
        let file = encode(table, "sensorreadingtime", [batch(table, columns)], &Metadata::new()).unwrap();
        assert_eq!(rows(&file, "a table").unwrap(), 3);
        rows(&file.slice(..100), "a table").unwrap_err();
        rows(&Bytes::new(), "a table").unwrap_err();
    }
}
