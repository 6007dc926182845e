//! The operations on the catalog. There is one catalog.

use super::documents::page;
use super::execution::CATALOG;
use super::fault::Fault;
use super::{Inner, page_length, with_next_token, without_nulls};
use emulator_client::data_catalog::{Column, Database, Table};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value, json};

const PAGE: u32 = 50;
const EXPRESSION_BYTES_MAX: usize = 256;
/// The most memory of a compiled expression.
const REGEX_BYTES_MAX: usize = 1 << 20;

pub(super) fn list_catalogs(body: &[u8]) -> Result<Value, Fault> {
    parameters!(body, { max_results: Option<u32>; unused next_token: Option<String>, work_group: Option<String> });
    page_length(max_results, PAGE)?;
    Ok(json!({"DataCatalogsSummary": [{"CatalogName": CATALOG, "Type": "GLUE"}]}))
}

pub(super) fn get_catalog(body: &[u8]) -> Result<Value, Fault> {
    parameters!(body, { name: String; unused work_group: Option<String> });
    check(&name)?;
    Ok(json!({"DataCatalog": {"Name": CATALOG, "Type": "GLUE"}}))
}

fn check(catalog: &str) -> Result<(), Fault> {
    match catalog.eq_ignore_ascii_case(CATALOG) {
        true => Ok(()),
        false => Err(Fault::invalid(format!("DataCatalog {catalog} was not found: expected {CATALOG}"))),
    }
}

fn database_json(Database { name, description, parameters, .. }: &Database) -> Value {
    let parameters = (!parameters.is_empty()).then_some(parameters);
    without_nulls(json!({"Name": name, "Description": description, "Parameters": parameters}))
}

fn columns_json(columns: &[Column]) -> Value {
    let shown = |Column { name, kind, comment }: &Column| {
        without_nulls(json!({"Name": name, "Type": kind, "Comment": comment}))
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
    let stored = storage_parameters.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.as_ref()?)));
    let serde = storage.serde_parameters.iter().map(|(name, value)| (format!("serde.param.{name}"), value));
    let own = table.parameters.iter().map(|(name, value)| (name.clone(), value));
    parameters.extend(stored.chain(serde).chain(own).map(|(name, value)| (name, json!(value))));
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
    pub(super) async fn list_databases(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, {
            catalog_name: String, next_token: Option<String>, max_results: Option<u32>; unused work_group: Option<String>
        });
        check(&catalog_name)?;
        let length = page_length(max_results, PAGE)?;
        let databases = self.catalog.databases().await?;
        let (databases, next) = page(databases, |database| &database.name, next_token.as_deref(), length);
        let shown: Vec<_> = databases.iter().map(database_json).collect();
        Ok(with_next_token(json!({"DatabaseList": shown}), next))
    }

    pub(super) async fn get_database(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { catalog_name: String, database_name: String; unused work_group: Option<String> });
        check(&catalog_name)?;
        Ok(json!({"Database": database_json(&self.database(&database_name).await?)}))
    }

    async fn database(&self, name: &str) -> Result<Database, Fault> {
        let missing = || Fault::metadata(format!("EntityNotFoundException: Database {name} not found."));
        self.catalog.database(&name.to_lowercase()).await?.ok_or_else(missing)
    }

    pub(super) async fn list_tables(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, {
            catalog_name: String, database_name: String, expression: Option<String>, next_token: Option<String>,
            max_results: Option<u32>; unused work_group: Option<String>
        });
        check(&catalog_name)?;
        let length = page_length(max_results, PAGE)?;
        let pattern = expression.as_deref().map(pattern).transpose()?;
        let database = self.database(&database_name).await?.name;
        let mut tables = self.catalog.tables(&database).await?;
        tables.retain(|table| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&table.name)));
        let (tables, next) = page(tables, |table| &table.name, next_token.as_deref(), length);
        let shown: Vec<_> = tables.iter().map(table_json).collect();
        Ok(with_next_token(json!({"TableMetadataList": shown}), next))
    }

    pub(super) async fn get_table(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, {
            catalog_name: String, database_name: String, table_name: String; unused work_group: Option<String>
        });
        check(&catalog_name)?;
        let missing = || Fault::metadata(format!("EntityNotFoundException: Table {table_name} not found."));
        let database = self.database(&database_name).await?.name;
        let table = self.catalog.table(&database, &table_name.to_lowercase()).await?.ok_or_else(missing)?;
        Ok(json!({"TableMetadata": table_json(&table)}))
    }
}
