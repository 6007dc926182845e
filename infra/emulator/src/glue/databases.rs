//! Databases.

use super::Answer;
use super::catalog::Catalog;
use super::error::Refusal;
use super::input::{Input, fold, page};
use serde_json::{Map, Value, json};

pub(super) fn create(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (name, mut database) = described(input)?;
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

/// Replaces the whole definition: what the input does not name is gone.
pub(super) fn update(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let (old, (name, mut database)) = (input.name("Name")?, described(input)?);
    let created = catalog.database(&old)?.remove("CreateTime").unwrap_or_default();
    if name != old {
        return Err(Refusal::invalid(format!("a database keeps its name: {old} cannot become {name}")));
    }
    database.insert("CreateTime".into(), created);
    catalog.put_database(&name, &database)?;
    Ok(json!({}))
}

/// Its tables and their partitions go with it, as in Glue.
pub(super) fn delete(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let name = input.name("Name")?;
    catalog.database(&name)?;
    catalog.delete_database(&name)?;
    Ok(json!({}))
}

/// There are none, in any database: clients that write tables ask.
pub(super) fn get_functions(catalog: &Catalog, input: &Input<'_>) -> Answer {
    if input.optional("DatabaseName").is_some() {
        catalog.database(&input.name("DatabaseName")?)?;
    }
    Ok(json!({"UserDefinedFunctions": []}))
}

fn described(input: &Input<'_>) -> Result<(String, Map<String, Value>), Refusal> {
    let mut database = input.object("DatabaseInput")?.clone();
    let name = fold(&database.get("Name").cloned().unwrap_or_default(), "DatabaseInput.Name")?;
    database.insert("Name".into(), name.clone().into());
    Ok((name, database))
}
