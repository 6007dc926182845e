//! Parquet files: finds columns by name in any case, and refuses types that differ from the table's, as Athena does.

use crate::error::SqlError;
use crate::files::{File, Files, REQUESTS_MAX};
use bytes::Bytes;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::{AsyncFileReader, MetadataFetch};
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use std::ops::Range;
use std::sync::Arc;

/// The bytes read at the end of a file to find its footer.
const FOOTER_BYTES: usize = 64 * 1024;

/// Opens the files of one scan.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) files: Files,
    /// The columns to read, with the types of the table.
    pub(crate) columns: SchemaRef,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        _: usize,
        file: PartitionedFile,
        _: Option<usize>,
        _: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let missing = || DataFusionError::Internal("a file without its version".to_owned());
        let file = file.extensions.get::<File>().cloned().ok_or_else(missing)?;
        Ok(Box::new(Reader { files: self.files.clone(), columns: Arc::clone(&self.columns), file }))
    }
}

struct Reader {
    files: Files,
    columns: SchemaRef,
    file: File,
}

fn external(error: SqlError) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move { self.files.read(&self.file, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        let (files, file) = (&self.files, &self.file);
        let reads = futures::stream::iter(ranges.into_iter().map(move |range| files.read(file, range)));
        async move { reads.buffered(REQUESTS_MAX).try_collect().await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let policy = options.map_or(PageIndexPolicy::Skip, |options| options.column_index_policy());
            let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(FOOTER_BYTES));
            let reader = reader.with_page_index_policy(policy);
            let (bytes, location) = (self.file.bytes, self.file.location.clone());
            let metadata = match reader.load_and_finish(Fetch(self), bytes).await {
                Ok(metadata) => metadata,
                Err(ParquetError::External(error)) => return Err(ParquetError::External(error)),
                Err(error) => {
                    let message = format!("HIVE_BAD_DATA: Not valid Parquet file: {location}: {error}");
                    return Err(external(SqlError::user(message)));
                }
            };
            self.check(&metadata)?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}

struct Fetch<'a>(&'a mut Reader);

impl MetadataFetch for Fetch<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.0.get_bytes(range)
    }
}

impl Reader {
    /// Refuses a file whose columns have other types than the table's.
    fn check(&self, metadata: &ParquetMetaData) -> ParquetResult<()> {
        let descriptor = metadata.file_metadata().schema_descr();
        let found = parquet_to_arrow_schema(descriptor, None)?;
        for wanted in self.columns.fields() {
            let Some((name, kind)) = same_name(&found, wanted.name()).map(|field| (field.name(), field.data_type()))
            else {
                continue;
            };
            if !fits(kind, wanted.data_type()) {
                let leaf = descriptor.columns().iter().find(|column| column.path().parts().first() == Some(name));
                let found = leaf.map_or_else(|| kind.to_string(), |leaf| leaf.physical_type().to_string());
                let message = format!(
                    "HIVE_BAD_DATA: Field {}'s type {found} in parquet file {} is incompatible with type {} defined in \
                     table schema",
                    wanted.name(),
                    self.file.location,
                    crate::SqlType::of(wanted.data_type())
                );
                return Err(external(SqlError::user(message)));
            }
        }
        Ok(())
    }
}

fn same_name<'a>(schema: &'a Schema, name: &str) -> Option<&'a Field> {
    schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name)).map(AsRef::as_ref)
}

/// Whether Athena reads the type of the file as the type of the table. It widens neither integers nor floats.
fn fits(file: &DataType, table: &DataType) -> bool {
    use DataType::{
        Binary, Date32, Decimal32, Decimal64, Decimal128, FixedSizeBinary, Float32, Float64, Int8, Int16, Int32, Int64,
        LargeUtf8, List, Map, Struct, Timestamp, Utf8,
    };
    match (file, table) {
        (Int8 | Int16 | Int32, Int8 | Int16 | Int32) => true,
        (Int64, Int64) | (Float32, Float32) | (Float64, Float64) | (Date32, Date32) => true,
        (DataType::Boolean, DataType::Boolean) => true,
        (Utf8 | LargeUtf8 | DataType::Utf8View | Binary | DataType::BinaryView, Utf8 | Binary) => true,
        (FixedSizeBinary(_), Binary) => true,
        (Timestamp(_, _), Timestamp(TimeUnit::Millisecond, _)) => true,
        (Decimal32(_, from) | Decimal64(_, from) | Decimal128(_, from), Decimal128(_, to)) => from <= to,
        (List(file), List(table)) => fits(file.data_type(), table.data_type()),
        (Map(file, _), Map(table, _)) => fits(file.data_type(), table.data_type()),
        (Struct(file), Struct(table)) => table.iter().all(|wanted| {
            let found = file.iter().find(|field| field.name().eq_ignore_ascii_case(wanted.name()));
            found.is_none_or(|found| fits(found.data_type(), wanted.data_type()))
        }),
        _ => false,
    }
}

/// Finds the columns of a table in a file by names in any case.
#[derive(Debug)]
pub(crate) struct AnyCase;

impl PhysicalExprAdapterFactory for AnyCase {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let lower = |field: &Arc<Field>| Arc::new(field.as_ref().clone().with_name(field.name().to_ascii_lowercase()));
        let folded = Schema::new_with_metadata(
            physical.fields().iter().map(lower).collect::<Vec<_>>(),
            physical.metadata().clone(),
        );
        let inner = DefaultPhysicalExprAdapterFactory.create(logical, Arc::new(folded))?;
        Ok(Arc::new(AnyCaseAdapter { inner, physical }))
    }
}

#[derive(Debug)]
struct AnyCaseAdapter {
    inner: Arc<dyn PhysicalExprAdapter>,
    physical: SchemaRef,
}

impl PhysicalExprAdapter for AnyCaseAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let found = self.inner.rewrite(expr)?;
        found
            .transform(|expr| {
                let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
                match self.physical.fields().get(column.index()) {
                    Some(field) if field.name() != column.name() => {
                        let named: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), column.index()));
                        Ok(Transformed::yes(named))
                    }
                    _ => Ok(Transformed::no(expr)),
                }
            })
            .data()
    }
}
