//! What the catalog has, as this API shows it. There is one catalog.

use super::execution::CATALOG;
use super::fault::Fault;
use super::shelf::page;
use super::start::paged;
use super::{Inner, page_length};
use emulator_client::data_catalog::{Column, Database, Table};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const PAGE: u32 = 50;
const EXPRESSION_BYTES_MAX: usize = 256;
/// What the automaton of an expression may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListCatalogs {
    // There is one page of one.
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

pub(super) fn list_catalogs(asked: &ListCatalogs) -> Result<Value, Fault> {
    page_length(asked.max_results, PAGE)?;
    Ok(json!({"DataCatalogsSummary": [{"CatalogName": CATALOG, "Type": "GLUE"}]}))
}

pub(super) fn get_catalog(asked: &OneCatalog) -> Result<Value, Fault> {
    check(&asked.name)?;
    Ok(json!({"DataCatalog": {"Name": CATALOG, "Type": "GLUE"}}))
}

fn check(catalog: &str) -> Result<(), Fault> {
    match catalog.eq_ignore_ascii_case(CATALOG) {
        true => Ok(()),
        false => Err(Fault::invalid(format!("DataCatalog {catalog} was not found: expected {CATALOG}"))),
    }
}

fn shown_database(database: &Database) -> Value {
    let mut shown = json!({"Name": database.name});
    if let Some(description) = &database.description {
        shown["Description"] = json!(description);
    }
    if !database.parameters.is_empty() {
        shown["Parameters"] = json!(database.parameters);
    }
    shown
}

fn shown_columns(columns: &[Column]) -> Value {
    let shown = |column: &Column| {
        let mut shown = json!({"Name": column.name, "Type": column.kind});
        if let Some(comment) = &column.comment {
            shown["Comment"] = json!(comment);
        }
        shown
    };
    columns.iter().map(shown).collect()
}

/// Where and how the files are is told among the parameters.
fn shown_table(table: &Table) -> Value {
    let mut parameters: Map<String, Value> = Map::new();
    let storage = &table.storage;
    let told = [
        ("location", &storage.location),
        ("inputformat", &storage.input_format),
        ("outputformat", &storage.output_format),
        ("serde.serialization.lib", &storage.serde),
    ];
    for (name, value) in told {
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
        "Name": table.name, "TableType": table.kind, "Columns": shown_columns(&table.columns),
        "PartitionKeys": shown_columns(&table.partition_keys), "Parameters": parameters,
    })
}

fn pattern(expression: &str) -> Result<Regex, Fault> {
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(Fault::invalid(format!("Expression is longer than {EXPRESSION_BYTES_MAX} bytes")));
    }
    // A glob's star is what most mean who write one, and what Glue takes for "anything".
    let expression = if expression == "*" { ".*" } else { expression };
    let whole = format!("^(?:{expression})$");
    let built = RegexBuilder::new(&whole).case_insensitive(true).size_limit(REGEX_BYTES_MAX).build();
    built.map_err(|error| Fault::invalid(format!("Expression {expression:?} is no regular expression: {error}")))
}

impl Inner {
    pub(super) async fn list_databases(&self, asked: ListDatabases) -> Result<Value, Fault> {
        check(&asked.catalog_name)?;
        let length = page_length(asked.max_results, PAGE)?;
        let mut databases = self.catalog.databases().await?;
        databases.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let names = databases.iter().map(|database| database.name.clone()).collect();
        let (names, next) = page(names, asked.next_token.as_deref(), length);
        databases.retain(|database| names.contains(&database.name));
        let shown: Vec<_> = databases.iter().map(shown_database).collect();
        Ok(paged(json!({"DatabaseList": shown}), next))
    }

    pub(super) async fn get_database(&self, asked: OneDatabase) -> Result<Value, Fault> {
        check(&asked.catalog_name)?;
        Ok(json!({"Database": shown_database(&self.database(&asked.database_name).await?)}))
    }

    async fn database(&self, name: &str) -> Result<Database, Fault> {
        let missing = || Fault::metadata(format!("EntityNotFoundException: Database {name} not found."));
        self.catalog.database(&name.to_lowercase()).await?.ok_or_else(missing)
    }

    pub(super) async fn list_tables(&self, asked: ListTables) -> Result<Value, Fault> {
        check(&asked.catalog_name)?;
        let length = page_length(asked.max_results, PAGE)?;
        let pattern = asked.expression.as_deref().map(pattern).transpose()?;
        let database = self.database(&asked.database_name).await?.name;
        let mut tables = self.catalog.tables(&database).await?;
        tables.retain(|table| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&table.name)));
        tables.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let names = tables.iter().map(|table| table.name.clone()).collect();
        let (names, next) = page(names, asked.next_token.as_deref(), length);
        tables.retain(|table| names.contains(&table.name));
        let shown: Vec<_> = tables.iter().map(shown_table).collect();
        Ok(paged(json!({"TableMetadataList": shown}), next))
    }

    pub(super) async fn get_table(&self, asked: OneTable) -> Result<Value, Fault> {
        check(&asked.catalog_name)?;
        let OneTable { database_name, table_name, .. } = asked;
        let missing = || Fault::metadata(format!("EntityNotFoundException: Table {table_name} not found."));
        let database = self.database(&database_name).await?.name;
        let table = self.catalog.table(&database, &table_name.to_lowercase()).await?.ok_or_else(missing)?;
        Ok(json!({"TableMetadata": shown_table(&table)}))
    }
}
