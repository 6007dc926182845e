//! Databases.

use super::Answer;
use super::catalog::Catalog;
use super::error::Refusal;
use super::input::{Input, fold, page};
use serde_json::{Map, Value, json};

pub(super) fn create(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (name, mut database) = from_input(input)?;
    if catalog.database(&name).is_ok() {
        return Err(Refusal::exists("Database"));
    }
    database.insert("CreateTime".into(), catalog.now().into());
    catalog.new_database(&name, &database)?;
    Ok(json!({}))
}

pub(super) fn get(catalog: &Catalog, input: &Input<'_>) -> Answer {
    Ok(json!({"Database": catalog.database(&input.name("Name")?)?}))
}

pub(super) fn get_all(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let (names, next) = page(catalog.databases()?, input.optional("NextToken"), input.results_max()?);
    let databases = names.iter().map(|name| catalog.database(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"DatabaseList": databases, "NextToken": next}))
}

/// Replaces the whole definition: a field that is not in the input is removed.
pub(super) fn update(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let (old, (name, mut database)) = (input.name("Name")?, from_input(input)?);
    let created = catalog.database(&old)?.remove("CreateTime").unwrap_or_default();
    if name != old {
        return Err(Refusal::invalid(format!(
            "a database cannot be renamed: Name is {old}, DatabaseInput.Name is {name}"
        )));
    }
    database.insert("CreateTime".into(), created);
    catalog.put_database(&name, &database)?;
    Ok(json!({}))
}

/// Deletes a database with its tables and partitions, as in Glue.
pub(super) fn delete(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let name = input.name("Name")?;
    catalog.database(&name)?;
    catalog.delete_database(&name)?;
    Ok(json!({}))
}

/// Returns no functions; clients that write tables make this call.
pub(super) fn get_functions(catalog: &Catalog, input: &Input<'_>) -> Answer {
    if input.optional("DatabaseName").is_some() {
        catalog.database(&input.name("DatabaseName")?)?;
    }
    Ok(json!({"UserDefinedFunctions": []}))
}

fn from_input(input: &Input<'_>) -> Result<(String, Map<String, Value>), Refusal> {
    let mut database = input.object("DatabaseInput")?.clone();
    let name = fold(&database.get("Name").cloned().unwrap_or_default(), "DatabaseInput.Name")?;
    database.insert("Name".into(), name.clone().into());
    Ok((name, database))
}
