//! The operations on the catalog. There is one catalog.

use super::documents::page;
use super::execution::CATALOG;
use super::executions::with_next_token;
use super::fault::Fault;
use super::{Inner, page_length};
use emulator_client::data_catalog::{Column, Database, Table};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const PAGE: u32 = 50;
const EXPRESSION_BYTES_MAX: usize = 256;
/// The most memory of a compiled expression.
const REGEX_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListCatalogs {
    #[expect(dead_code, reason = "there is one page")]
    next_token: Option<String>,
    max_results: Option<u32>,
    #[expect(dead_code, reason = "all work groups have the same catalog")]
    work_group: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OneCatalog {
    name: String,
    #[expect(dead_code, reason = "all work groups have the same catalog")]
    work_group: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListDatabases {
    catalog_name: String,
    next_token: Option<String>,
    max_results: Option<u32>,
    #[expect(dead_code, reason = "all work groups have the same catalog")]
    work_group: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OneDatabase {
    catalog_name: String,
    database_name: String,
    #[expect(dead_code, reason = "all work groups have the same catalog")]
    work_group: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListTables {
    catalog_name: String,
    database_name: String,
    expression: Option<String>,
    next_token: Option<String>,
    max_results: Option<u32>,
    #[expect(dead_code, reason = "all work groups have the same catalog")]
    work_group: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OneTable {
    catalog_name: String,
    database_name: String,
    table_name: String,
    #[expect(dead_code, reason = "all work groups have the same catalog")]
    work_group: Option<String>,
}

pub(super) fn list_catalogs(request: &ListCatalogs) -> Result<Value, Fault> {
    page_length(request.max_results, PAGE)?;
    Ok(json!({"DataCatalogsSummary": [{"CatalogName": CATALOG, "Type": "GLUE"}]}))
}

pub(super) fn get_catalog(request: &OneCatalog) -> Result<Value, Fault> {
    check(&request.name)?;
    Ok(json!({"DataCatalog": {"Name": CATALOG, "Type": "GLUE"}}))
}

fn check(catalog: &str) -> Result<(), Fault> {
    match catalog.eq_ignore_ascii_case(CATALOG) {
        true => Ok(()),
        false => Err(Fault::invalid(format!("DataCatalog {catalog} was not found: expected {CATALOG}"))),
    }
}

fn database_json(database: &Database) -> Value {
    let mut shown = json!({"Name": database.name});
    if let Some(description) = &database.description {
        shown["Description"] = json!(description);
    }
    if !database.parameters.is_empty() {
        shown["Parameters"] = json!(database.parameters);
    }
    shown
}

fn columns_json(columns: &[Column]) -> Value {
    let shown = |column: &Column| {
        let mut shown = json!({"Name": column.name, "Type": column.kind});
        if let Some(comment) = &column.comment {
            shown["Comment"] = json!(comment);
        }
        shown
    };
    columns.iter().map(shown).collect()
}

/// Athena reports storage, SerDe and location as parameters of the table.
fn table_json(table: &Table) -> Value {
    let mut parameters: Map<String, Value> = Map::new();
    let storage = &table.storage;
    let storage_parameters = [
        ("location", &storage.location),
        ("inputformat", &storage.input_format),
        ("outputformat", &storage.output_format),
        ("serde.serialization.lib", &storage.serde),
    ];
    for (name, value) in storage_parameters {
        if let Some(value) = value {
            parameters.insert(name.to_owned(), json!(value));
        }
    }
    for (name, value) in &storage.serde_parameters {
        parameters.insert(format!("serde.param.{name}"), json!(value));
    }
    for (name, value) in &table.parameters {
        parameters.insert(name.clone(), json!(value));
    }
    json!({
        "Name": table.name, "TableType": table.kind, "Columns": columns_json(&table.columns),
        "PartitionKeys": columns_json(&table.partition_keys), "Parameters": parameters,
    })
}

fn pattern(expression: &str) -> Result<Regex, Fault> {
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(Fault::invalid(format!("Expression is longer than {EXPRESSION_BYTES_MAX} bytes")));
    }
    // Glue accepts a single star as "anything".
    let expression = if expression == "*" { ".*" } else { expression };
    let whole = format!("^(?:{expression})$");
    let built = RegexBuilder::new(&whole).case_insensitive(true).size_limit(REGEX_BYTES_MAX).build();
    built.map_err(|error| Fault::invalid(format!("Expression {expression:?} is not a regular expression: {error}")))
}

impl Inner {
    pub(super) async fn list_databases(&self, request: ListDatabases) -> Result<Value, Fault> {
        check(&request.catalog_name)?;
        let length = page_length(request.max_results, PAGE)?;
        let mut databases = self.catalog.databases().await?;
        databases.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let names = databases.iter().map(|database| database.name.clone()).collect();
        let (names, next) = page(names, request.next_token.as_deref(), length);
        databases.retain(|database| names.contains(&database.name));
        let shown: Vec<_> = databases.iter().map(database_json).collect();
        Ok(with_next_token(json!({"DatabaseList": shown}), next))
    }

    pub(super) async fn get_database(&self, request: OneDatabase) -> Result<Value, Fault> {
        check(&request.catalog_name)?;
        Ok(json!({"Database": database_json(&self.database(&request.database_name).await?)}))
    }

    async fn database(&self, name: &str) -> Result<Database, Fault> {
        let missing = || Fault::metadata(format!("EntityNotFoundException: Database {name} not found."));
        self.catalog.database(&name.to_lowercase()).await?.ok_or_else(missing)
    }

    pub(super) async fn list_tables(&self, request: ListTables) -> Result<Value, Fault> {
        check(&request.catalog_name)?;
        let length = page_length(request.max_results, PAGE)?;
        let pattern = request.expression.as_deref().map(pattern).transpose()?;
        let database = self.database(&request.database_name).await?.name;
        let mut tables = self.catalog.tables(&database).await?;
        tables.retain(|table| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&table.name)));
        tables.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let names = tables.iter().map(|table| table.name.clone()).collect();
        let (names, next) = page(names, request.next_token.as_deref(), length);
        tables.retain(|table| names.contains(&table.name));
        let shown: Vec<_> = tables.iter().map(table_json).collect();
        Ok(with_next_token(json!({"TableMetadataList": shown}), next))
    }

    pub(super) async fn get_table(&self, request: OneTable) -> Result<Value, Fault> {
        check(&request.catalog_name)?;
        let OneTable { database_name, table_name, .. } = request;
        let missing = || Fault::metadata(format!("EntityNotFoundException: Table {table_name} not found."));
        let database = self.database(&database_name).await?.name;
        let table = self.catalog.table(&database, &table_name.to_lowercase()).await?.ok_or_else(missing)?;
        Ok(json!({"TableMetadata": table_json(&table)}))
    }
}
