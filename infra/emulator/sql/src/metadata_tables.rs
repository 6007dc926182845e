//! Tables of metadata: `information_schema`, and `"table$partitions"`.

use crate::error::SqlError;
use crate::query::CATALOG;
use crate::sql_type::SqlType;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;
use emulator_client::data_catalog::{DataCatalog, Table};
use std::sync::Arc;

/// The database of the metadata tables.
pub(crate) const SCHEMA: &str = "information_schema";

/// A table of `information_schema`.
pub(crate) async fn information_schema(
    catalog: &DataCatalog,
    name: &str,
    line: &str,
) -> Result<Arc<dyn TableProvider>, SqlError> {
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    let text = |text: &str| Some(text.to_owned());
    let databases = catalog.databases().await?;
    let columns: &[&str] = match name {
        "schemata" => {
            rows.extend(databases.iter().map(|database| vec![text(CATALOG), text(&database.name)]));
            rows.push(vec![text(CATALOG), text(SCHEMA)]);
            &["catalog_name", "schema_name"]
        }
        "tables" => {
            for database in &databases {
                for table in catalog.tables(&database.name).await? {
                    let kind = if table.view.is_some() { "VIEW" } else { "BASE TABLE" };
                    rows.push(vec![text(CATALOG), text(&database.name), text(&table.name), text(kind)]);
                }
            }
            &["table_catalog", "table_schema", "table_name", "table_type"]
        }
        "columns" => {
            for database in &databases {
                for table in catalog.tables(&database.name).await? {
                    rows.extend(columns_of(&table));
                }
            }
            &[
                "table_catalog",
                "table_schema",
                "table_name",
                "column_name",
                "ordinal_position",
                "column_default",
                "is_nullable",
                "data_type",
                "comment",
                "extra_info",
            ]
        }
        _ => {
            let message = format!("Table '{CATALOG}.{SCHEMA}.{name}' does not exist");
            return Err(SqlError::user(format!("TABLE_NOT_FOUND: {line}{message}")));
        }
    };
    table(columns, &rows)
}

fn columns_of(table: &Table) -> Vec<Vec<Option<String>>> {
    let keys = table.partition_keys.iter().map(|key| (key, Some("partition key".to_owned())));
    let all = table.columns.iter().map(|column| (column, None)).chain(keys).enumerate();
    let row = |(n, (column, extra)): (usize, (&emulator_client::data_catalog::Column, Option<String>))| {
        let kind = SqlType::from_hive(&column.kind).map_or_else(|_| column.kind.clone(), |kind| kind.to_string());
        vec![
            Some(CATALOG.to_owned()),
            Some(table.database.clone()),
            Some(table.name.clone()),
            Some(column.name.to_lowercase()),
            Some((n + 1).to_string()),
            None,
            Some("YES".to_owned()),
            Some(kind),
            column.comment.clone(),
            extra,
        ]
    };
    all.map(row).collect()
}

/// The hidden table `"table$partitions"`: the registered partitions of a table.
pub(crate) async fn partitions(catalog: &DataCatalog, of: &Table) -> Result<Arc<dyn TableProvider>, SqlError> {
    let keys: Vec<_> = of.partition_keys.iter().map(|key| key.name.as_str()).collect();
    let listed = catalog.partitions(&of.database, &of.name, None).await?;
    let rows: Vec<_> = listed.into_iter().map(|partition| partition.values.into_iter().map(Some).collect()).collect();
    table(&keys, &rows)
}

/// A table of texts. Ordinal positions are numbers.
fn table(columns: &[&str], rows: &[Vec<Option<String>>]) -> Result<Arc<dyn TableProvider>, SqlError> {
    let is_number = |name: &str| name == "ordinal_position";
    let kind = |name: &str| if is_number(name) { DataType::Int64 } else { DataType::Utf8 };
    let schema =
        Arc::new(Schema::new(columns.iter().map(|name| Field::new(*name, kind(name), true)).collect::<Vec<_>>()));
    let array = |(n, name): (usize, &&str)| -> ArrayRef {
        let cells = rows.iter().map(|row| row.get(n).and_then(Option::as_deref));
        match is_number(name) {
            true => Arc::new(Int64Array::from_iter(cells.map(|cell| cell.and_then(|cell| cell.parse().ok())))),
            false => Arc::new(StringArray::from_iter(cells)),
        }
    };
    let failed = |error: DataFusionError| SqlError::system(error.to_string());
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.iter().enumerate().map(array).collect());
    let batch = batch.map_err(|error| SqlError::system(error.to_string()))?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]]).map_err(failed)?))
}
