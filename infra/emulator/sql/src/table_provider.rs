//! DataFusion's scan of a table in Glue: selects the registered partitions that can match, lists their files and reads
//! them in the format of the table's SerDe.

use crate::error::SqlError;
use crate::files::{File, Files, REQUESTS_MAX};
use crate::json::{self, Origin, Serde};
use crate::parquet::{AnyCase, Readers};
use crate::partition::{self, TypedPartition};
use crate::sql_type::SqlType;
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use emulator_client::data_catalog::{DataCatalog, Table};
use futures::{StreamExt, TryStreamExt};
use std::collections::HashSet;
use std::sync::Arc;

/// The scheme of the files in plans. No store answers to it: the readers of this crate read the files.
pub(crate) const FILES_URL: &str = "s3://";
/// The hidden column with the location of a row's file.
pub(crate) const PATH: &str = "$path";

/// The format of a table's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Json,
}

/// A table of the catalog.
#[derive(Debug)]
pub(crate) struct CatalogTable {
    table: Table,
    format: Format,
    kinds: Vec<SqlType>,
    keys: Vec<SqlType>,
    schema: SchemaRef,
    catalog: DataCatalog,
    files: Files,
}

/// Wraps an error for DataFusion.
pub(crate) fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The format that a table's SerDe reads.
pub(crate) fn format_of(table: &Table) -> Result<Format, SqlError> {
    let serde = table.storage.serde.as_deref().unwrap_or_default();
    match serde {
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe" => Ok(Format::Parquet),
        "org.openx.data.jsonserde.JsonSerDe"
        | "org.apache.hive.hcatalog.data.JsonSerDe"
        | "org.apache.hadoop.hive.serde2.JsonSerDe" => Ok(Format::Json),
        _ => {
            let message = format!(
                "table {}.{} has SerDe {serde:?}; expected a SerDe of Parquet or JSON",
                table.database, table.name
            );
            Err(SqlError::user(format!("HIVE_UNSUPPORTED_FORMAT: {message}")))
        }
    }
}

impl CatalogTable {
    /// `with_path` adds the hidden column.
    pub(crate) fn new(table: Table, catalog: DataCatalog, files: Files, with_path: bool) -> Result<Self, SqlError> {
        let format = format_of(&table)?;
        let kind = |column: &emulator_client::data_catalog::Column| {
            SqlType::from_hive(&column.kind).map_err(|error| {
                let message = format!("column {} of {}.{}: {error}", column.name, table.database, table.name);
                SqlError::user(format!("HIVE_INVALID_METADATA: {message}"))
            })
        };
        let kinds = table.columns.iter().map(kind).collect::<Result<Vec<_>, _>>()?;
        let keys = table.partition_keys.iter().map(kind).collect::<Result<Vec<_>, _>>()?;
        let names = table.columns.iter().chain(&table.partition_keys).map(|column| column.name.to_lowercase());
        let fields: Vec<_> = names
            .zip(kinds.iter().chain(&keys))
            .map(|(name, kind)| Field::new(name, kind.arrow(), true))
            .chain(with_path.then(|| Field::new(PATH, DataType::Utf8, true)))
            .collect();
        Ok(Self { format, kinds, keys, schema: Arc::new(Schema::new(fields)), table, catalog, files })
    }

    fn is_key(&self, name: &str) -> bool {
        self.table.partition_keys.iter().any(|key| key.name.eq_ignore_ascii_case(name))
    }

    /// Whether an expression depends on partition keys only.
    fn needs_keys_only(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        !columns.is_empty() && !filter.is_volatile() && columns.iter().all(|column| self.is_key(&column.name))
    }

    /// Selects the files to read, each with the values of its partition.
    async fn select_files(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<(File, Arc<Vec<ScalarValue>>)>> {
        if self.keys.is_empty() {
            let Some(location) = self.table.storage.location.as_deref() else { return Ok(Vec::new()) };
            let none = Arc::new(Vec::new());
            let files = self.files.below(location).await.map_err(external)?;
            self.note(None, &files);
            return Ok(files.into_iter().map(|file| (file, Arc::clone(&none))).collect());
        }
        let filters: Vec<Expr> = filters.iter().filter(|filter| self.needs_keys_only(filter)).cloned().collect();
        // The catalog filters what it can, so that a query's time does not grow with the number of partitions.
        let expression = partition::expression(&self.table, &self.keys, &filters);
        let listed = self.catalog.partitions(&self.table.database, &self.table.name, expression).await;
        let listed = listed.map_err(|error| external(error.into()))?;
        let typed = partition::parse_values(&self.table, &self.keys, listed).map_err(external)?;
        let typed = partition::prune(state, &self.table, &self.keys, typed, &filters)?;
        // If two partitions share a location, its files are rows of both.
        let below = |typed: &TypedPartition| {
            let (location, values) = (typed.location.clone(), Arc::clone(&typed.values));
            async move {
                let files = self.files.below(&location).await?;
                Ok::<_, SqlError>(files.into_iter().map(|file| (file, Arc::clone(&values))).collect::<Vec<_>>())
            }
        };
        let requests: Vec<_> = typed.iter().map(below).collect();
        let chosen = futures::stream::iter(requests)
            .buffered(REQUESTS_MAX)
            .try_collect::<Vec<_>>()
            .await
            .map_err(external)?
            .concat();
        self.note(Some(typed.len()), chosen.iter().map(|(file, _)| file));
        Ok(chosen)
    }

    fn note<'a>(&self, partitions: Option<usize>, files: impl IntoIterator<Item = &'a File>) {
        let (count, bytes) = files.into_iter().fold((0_u64, 0), |(count, bytes), file| (count + 1, bytes + file.bytes));
        let partitions = partitions.map(|count| format!("partitions {count}, ")).unwrap_or_default();
        let Table { database, name, .. } = &self.table;
        self.files.note(format!("Reads {database}.{name}: {partitions}files {count}, bytes {bytes}"));
    }

    fn parquet(
        &self,
        state: &dyn Session,
        files: Vec<(File, Arc<Vec<ScalarValue>>)>,
        projection: &[usize],
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = self.kinds.len();
        let (data, hidden) = self.schema.fields().split_at(columns);
        let schema = TableSchema::builder(Arc::new(Schema::new(data.to_vec())));
        let schema = schema.with_table_partition_cols(hidden.to_vec()).build();
        // Filters need columns that the projection may lack.
        let named: HashSet<_> =
            filters.iter().flat_map(|filter| filter.column_refs()).map(|column| &column.name).collect();
        let read = |(n, field): &(usize, &Arc<Field>)| projection.contains(n) || named.contains(field.name());
        let read: Vec<_> = data.iter().enumerate().filter(read).map(|(_, field)| Arc::clone(field)).collect();
        let readers = Readers { files: self.files.clone(), columns: Arc::new(Schema::new(read)) };
        let source = ParquetSource::new(schema)
            .with_parquet_file_reader_factory(Arc::new(readers))
            .with_pushdown_filters(true)
            .with_enable_page_index(true);
        let partitioned = |(file, values): (File, Arc<Vec<ScalarValue>>)| {
            let address = ScalarValue::from(file.location.to_string());
            let values = values.iter().cloned().chain(hidden.iter().skip(self.keys.len()).map(|_| address.clone()));
            let path = format!("{}/{}", file.location.bucket, file.location.key);
            PartitionedFile::new(path, file.bytes).with_partition_values(values.collect()).with_extension(file)
        };
        let group = FileGroup::new(files.into_iter().map(partitioned).collect());
        let groups = group.split_files(state.config().target_partitions());
        let url = ObjectStoreUrl::parse(format!("{FILES_URL}lake"))?;
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(Some(projection.to_vec()))?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(AnyCase)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn json(
        &self,
        state: &dyn Session,
        files: Vec<(File, Arc<Vec<ScalarValue>>)>,
        projection: &[usize],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (columns, keys) = (self.kinds.len(), self.keys.len());
        let origin = |n: &usize| match *n {
            n if n < columns => Origin::Line(n, self.kinds[n].clone()),
            n if n < columns + keys => Origin::Partition(n - columns),
            _ => Origin::Path,
        };
        let origins: Arc<Vec<_>> = Arc::new(projection.iter().map(origin).collect());
        let schema = Arc::new(self.schema.project(projection)?);
        let names: Vec<_> = self.table.columns.iter().map(|column| column.name.clone()).collect();
        let serde = Arc::new(Serde::new(&self.table.storage, &names));
        let share = files.len().div_ceil(state.config().target_partitions().max(1)).max(1);
        let scan = |each: &[(File, Arc<Vec<ScalarValue>>)]| -> Arc<dyn PartitionStream> {
            Arc::new(json::Scan {
                files: self.files.clone(),
                serde: Arc::clone(&serde),
                each: Arc::new(each.to_vec()),
                origins: Arc::clone(&origins),
                schema: Arc::clone(&schema),
            })
        };
        let scans = files.chunks(share).map(scan).collect();
        Ok(Arc::new(StreamingTableExec::try_new(Arc::clone(&schema), scans, None, [], false, limit)?))
    }
}

#[async_trait]
impl TableProvider for CatalogTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let projection = projection.unwrap_or(&all);
        let files = self.select_files(state, filters).await?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(projection)?))));
        }
        match self.format {
            Format::Parquet => self.parquet(state, files, projection, filters, limit),
            Format::Json => self.json(state, files, projection, limit),
        }
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let one = |filter: &&Expr| match self.needs_keys_only(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(one).collect())
    }
}
