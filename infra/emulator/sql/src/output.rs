//! Writes an answer for a command line: as a readable table, CSV, JSON lines or Parquet.
//!
//! Rows are written as they arrive. The first rows fix the widths of a table's columns, since waiting for all rows would
//! need memory for all rows. A wider value later makes its own line longer.

use crate::answer::{Answer, Column, Rows};
use crate::athena::csv;
use crate::error::SqlError;
use crate::sql_type::SqlType;
use crate::text::text_of;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::json::writer::{LineDelimited, WriterBuilder};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use futures::StreamExt;
use std::io::{self, Write};
use std::sync::Arc;

/// The rows that fix the widths of a table's columns.
const PREVIEW_ROWS_MAX: usize = 1000;
/// The widest column, in characters, unless its name is longer.
const WIDTH_MAX: usize = 60;
const NULL: &str = "NULL";

/// The format of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns and the number of rows.
    #[default]
    Table,
    /// RFC 4180 with LF and a header. Nulls are empty, and empty texts are quoted.
    Csv,
    /// An object per line.
    Json,
    /// A Parquet file.
    Parquet,
}

/// Why an answer could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The query failed after its first rows.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The output failed.
    #[error("cannot write the answer")]
    Io(#[from] io::Error),
    /// The format cannot represent the answer.
    #[error("cannot write the answer as {format}: {cause}")]
    Unfit {
        /// The format.
        format: &'static str,
        /// Why.
        cause: String,
    },
}

/// Writes a whole answer; returns the number of its rows.
///
/// # Errors
/// If the query or `out` fails.
pub async fn write(answer: Answer, format: Format, out: &mut (impl Write + Send)) -> Result<u64, OutputError> {
    let Answer { columns, rows, update_count, .. } = answer;
    let mut batches = match rows {
        Rows::Batches(batches) => batches,
        Rows::Lines(lines) => return lines_out(&columns, &lines, update_count, format, out),
    };
    let schema = batches.schema();
    let named = schema.fields().iter().zip(&columns).map(|(field, column)| Field::clone(field).with_name(&column.name));
    let schema = Arc::new(Schema::new(named.collect::<Vec<_>>()));
    let mut writer = Writer::new(&columns, format, &schema, out)?;
    let mut count = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(SqlError::from)?;
        let batch = RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()).map_err(unfit("rows"))?;
        count += batch.num_rows() as u64;
        writer.batch(&batch)?;
    }
    writer.end(count)?;
    Ok(count)
}

enum Writer<'a, W: Write + Send> {
    Table(Table<'a, W>),
    Csv(&'a mut W),
    Json(datafusion::arrow::json::Writer<&'a mut W, LineDelimited>),
    Parquet(Box<ArrowWriter<&'a mut W>>),
}

fn unfit<E: ToString>(format: &'static str) -> impl Fn(E) -> OutputError {
    move |cause| OutputError::Unfit { format, cause: cause.to_string() }
}

impl<'a, W: Write + Send> Writer<'a, W> {
    fn new(columns: &[Column], format: Format, schema: &SchemaRef, out: &'a mut W) -> Result<Self, OutputError> {
        Ok(match format {
            Format::Table => Self::Table(Table { columns: columns.to_vec(), waiting: Vec::new(), widths: None, out }),
            Format::Csv => {
                csv_line(out, columns.iter().map(|column| Some(column.name.as_str())))?;
                Self::Csv(out)
            }
            Format::Json => Self::Json(WriterBuilder::new().with_explicit_nulls(true).build(out)),
            Format::Parquet => {
                let compression = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(compression).build();
                let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties));
                Self::Parquet(Box::new(writer.map_err(unfit("Parquet"))?))
            }
        })
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        match self {
            Self::Table(table) => table.batch(batch)?,
            Self::Csv(out) => {
                for row in 0..batch.num_rows() {
                    let cells: Vec<_> = batch.columns().iter().map(|column| text_of(column.as_ref(), row)).collect();
                    csv_line(out, cells.iter().map(Option::as_deref))?;
                }
            }
            Self::Json(writer) => writer.write(batch).map_err(unfit("JSON"))?,
            Self::Parquet(writer) => writer.write(batch).map_err(unfit("Parquet"))?,
        }
        Ok(())
    }

    fn end(self, count: u64) -> Result<(), OutputError> {
        match self {
            Self::Table(mut table) => {
                table.flush()?;
                writeln!(table.out, "({count} {})", if count == 1 { "row" } else { "rows" })?;
            }
            Self::Csv(out) => out.flush()?,
            Self::Json(mut writer) => writer.finish().map_err(unfit("JSON"))?,
            Self::Parquet(writer) => {
                writer.close().map_err(unfit("Parquet"))?;
            }
        }
        Ok(())
    }
}

struct Table<'a, W> {
    columns: Vec<Column>,
    /// Rows before the widths are fixed.
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    out: &'a mut W,
}

impl<W: Write> Table<'_, W> {
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            let cell = |column: &Arc<dyn datafusion::arrow::array::Array>| {
                text_of(column.as_ref(), row).map_or_else(|| NULL.to_owned(), |text| one_line(&text))
            };
            let cells: Vec<_> = batch.columns().iter().map(cell).collect();
            if self.widths.is_some() {
                self.line(&cells)?;
                continue;
            }
            self.waiting.push(cells);
            if self.waiting.len() == PREVIEW_ROWS_MAX {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Fixes the widths and writes the rows that waited for them.
    fn flush(&mut self) -> io::Result<()> {
        if self.widths.is_some() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let width = |(n, column): (usize, &Column)| {
            let cells = waiting.iter().map(|row| row[n].chars().count()).max().unwrap_or_default();
            cells.min(WIDTH_MAX).max(column.name.chars().count())
        };
        let widths: Vec<_> = self.columns.iter().enumerate().map(width).collect();
        let rule: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        self.widths = Some(widths);
        let names: Vec<_> = self.columns.iter().map(|column| column.name.clone()).collect();
        self.line(&names)?;
        writeln!(self.out, "{}", rule.join("+"))?;
        waiting.iter().try_for_each(|row| self.line(row))
    }

    fn line(&mut self, cells: &[String]) -> io::Result<()> {
        let widths = self.widths.as_deref().unwrap_or_default();
        let mut line = String::new();
        for (n, ((cell, column), width)) in cells.iter().zip(&self.columns).zip(widths).enumerate() {
            line += if n == 0 { " " } else { " | " };
            let is_number = matches!(
                column.kind,
                SqlType::TinyInt
                    | SqlType::SmallInt
                    | SqlType::Integer
                    | SqlType::BigInt
                    | SqlType::Real
                    | SqlType::Double
                    | SqlType::Decimal { .. }
            );
            line += &if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
        }
        writeln!(self.out, "{}", line.trim_end())
    }
}

/// Replaces control characters, which would break the table or control the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

fn csv_line<'a>(out: &mut impl Write, cells: impl IntoIterator<Item = Option<&'a str>>) -> io::Result<()> {
    let mut line = Vec::new();
    csv::add(&mut line, cells, |cell| cell.is_empty() || cell.contains([',', '"', '\n', '\r']));
    out.write_all(&line)
}

fn lines_out(
    columns: &[Column],
    lines: &[String],
    update_count: Option<u64>,
    format: Format,
    out: &mut impl Write,
) -> Result<u64, OutputError> {
    match format {
        Format::Table => {
            lines.iter().try_for_each(|line| writeln!(out, "{}", line.trim_end()))?;
            if let Some(count) = update_count {
                writeln!(out, "({count} {} written)", if count == 1 { "row" } else { "rows" })?;
            }
        }
        Format::Csv => {
            csv_line(out, columns.iter().map(|column| Some(column.name.as_str())))?;
            for line in lines {
                csv_line(out, line.split('\t').map(Some))?;
            }
        }
        Format::Json => {
            for line in lines {
                let names = columns.iter().map(|column| column.name.clone());
                let cells = line.split('\t').map(|cell| serde_json::Value::from(cell.trim_end()));
                let object: serde_json::Map<_, _> = names.zip(cells).collect();
                writeln!(out, "{}", serde_json::Value::Object(object))?;
            }
        }
        Format::Parquet => {
            return Err(unfit("Parquet")("the answer is lines of text: expected the rows of a query"));
        }
    }
    Ok(lines.len() as u64)
}
