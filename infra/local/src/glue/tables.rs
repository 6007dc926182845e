//! Databases and tables.

use super::Answer;
use super::catalog::Catalog;
use super::error::Refusal;
use super::input::{Input, fold};
use serde_json::{Map, Value, json};

pub(super) fn create_database(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let mut database = input.object("DatabaseInput")?.clone();
    let name = fold(&database.get("Name").cloned().unwrap_or_default(), "DatabaseInput.Name")?;
    if catalog.database(&name).is_ok() {
        return Err(Refusal::exists("Database"));
    }
    database.insert("Name".into(), name.clone().into());
    database.insert("CreateTime".into(), catalog.now().into());
    catalog.put_database(&name, &database)?;
    Ok(json!({}))
}

pub(super) fn get_database(catalog: &Catalog, input: &Input<'_>) -> Answer {
    Ok(json!({"Database": catalog.database(&input.name("Name")?)?}))
}

pub(super) fn create_table(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let database = input.name("DatabaseName")?;
    let (name, table) = table_input(&database, input)?;
    catalog.database(&database)?;
    if catalog.table(&database, &name).is_ok() {
        return Err(Refusal::exists("Table"));
    }
    store(catalog, &database, &name, table, catalog.now().into(), 0)
}

pub(super) fn get_table(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let (database, name) = (input.name("DatabaseName")?, input.name("Name")?);
    catalog.database(&database)?;
    Ok(json!({"Table": catalog.table(&database, &name)?}))
}

pub(super) fn get_tables(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let database = input.name("DatabaseName")?;
    catalog.database(&database)?;
    let after = input.optional("NextToken").unwrap_or_default();
    let mut names = catalog.tables(&database)?;
    names.retain(|name| name.as_str() > after);
    let page = input.results_max()?;
    let next = names.get(page).and_then(|_| names.get(page - 1)).cloned();
    let tables = names.iter().take(page).map(|name| catalog.table(&database, name)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"TableList": tables, "NextToken": next}))
}

/// Replaces the whole definition, as Glue does: what the input does not name is gone.
pub(super) fn update_table(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let database = input.name("DatabaseName")?;
    let (name, table) = table_input(&database, input)?;
    catalog.database(&database)?;
    let old = catalog.table(&database, &name)?;
    let version = old.get("VersionId").and_then(Value::as_str).unwrap_or_default();
    if let Some(expected) = input.optional("VersionId").filter(|expected| *expected != version) {
        let message = format!("Table {name} has version {version}, the update is for version {expected}.");
        return Err(Refusal::new("ConcurrentModificationException", message));
    }
    let next = version.parse::<u64>().unwrap_or_default() + 1;
    store(catalog, &database, &name, table, old.get("CreateTime").cloned().unwrap_or_default(), next)
}

fn table_input(database: &str, input: &Input<'_>) -> Result<(String, Map<String, Value>), Refusal> {
    let mut table = input.object("TableInput")?.clone();
    let name = fold(&table.get("Name").cloned().unwrap_or_default(), "TableInput.Name")?;
    table.insert("Name".into(), name.clone().into());
    table.insert("DatabaseName".into(), database.into());
    Ok((name, table))
}

fn store(
    catalog: &Catalog,
    database: &str,
    name: &str,
    mut table: Map<String, Value>,
    created: Value,
    version: u64,
) -> Answer {
    table.insert("CreateTime".into(), created);
    table.insert("UpdateTime".into(), catalog.now().into());
    table.insert("VersionId".into(), version.to_string().into());
    catalog.put_table(database, name, &table)?;
    Ok(json!({}))
}
