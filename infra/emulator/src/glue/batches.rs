//! Batch calls on partitions. A call succeeds even if some items fail; the response lists their errors.

use super::Answer;
use super::catalog::Catalog;
use super::error::Refusal;
use super::input::{Input, values};
use super::partitions::{from_input, not_found, replace, table_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// AWS's limits for one call.
const CREATED_MAX: usize = 100;
const READ_MAX: usize = 1000;
const UPDATED_MAX: usize = 100;
const DELETED_MAX: usize = 25;

pub(super) fn create(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = table_of(input)?;
    let batch = input.batch("PartitionInputList", CREATED_MAX)?;
    catalog.table(&database, &table)?;
    let (mut new, mut errors, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for item in batch {
        let item = item.as_object().ok_or_else(|| Refusal::invalid("a PartitionInput is not an object"))?;
        let made = from_input(catalog, &database, &table, item).and_then(|made| {
            match catalog.partitions(&database, &table)?.contains_key(&made.0) || !seen.insert(made.0.clone()) {
                true => Err(Refusal::exists("Partition")),
                false => Ok(made),
            }
        });
        match made {
            Ok(made) => new.push(made),
            Err(refusal) => errors.push(item_error(item.get("Values"), &refusal)),
        }
    }
    catalog.put_partitions(&database, &table, new)?;
    Ok(json!({"Errors": errors}))
}

/// Returns the partitions that exist and, as in Glue, omits the others.
pub(super) fn get(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = table_of(input)?;
    let batch = input.batch("PartitionsToGet", READ_MAX)?;
    let partitions = catalog.partitions(&database, &table)?;
    let wanted = batch.iter().map(values_of).collect::<Result<Vec<_>, _>>()?;
    let found = wanted.iter().filter_map(|wanted| Some(partitions.get(wanted)?.read()));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"Partitions": found, "UnprocessedKeys": []}))
}

pub(super) fn update(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = table_of(input)?;
    let batch = input.batch("Entries", UPDATED_MAX)?;
    catalog.table(&database, &table)?;
    let mut errors = Vec::new();
    for entry in batch {
        let old = values(entry.get("PartitionValueList").unwrap_or(&Value::Null))?;
        let new = entry.get("PartitionInput").and_then(Value::as_object);
        let new = new.ok_or_else(|| Refusal::invalid("a PartitionInput is missing"))?;
        if let Err(refusal) = replace(catalog, &database, &table, &old, new) {
            errors.push(json!({"PartitionValueList": old, "ErrorDetail": refusal.detail()}));
        }
    }
    Ok(json!({"Errors": errors}))
}

pub(super) fn delete(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = table_of(input)?;
    let batch = input.batch("PartitionsToDelete", DELETED_MAX)?;
    let (mut gone, mut errors) = (Vec::new(), Vec::new());
    for item in batch {
        let wanted = values_of(item)?;
        match catalog.partitions(&database, &table)?.contains_key(&wanted) {
            true => gone.push(wanted),
            false => errors.push(item_error(item.get("Values"), &not_found(&wanted))),
        }
    }
    catalog.delete_partitions(&database, &table, &gone)?;
    Ok(json!({"Errors": errors}))
}

fn values_of(item: &Value) -> Result<Vec<String>, Refusal> {
    values(item.get("Values").unwrap_or(&Value::Null))
}

fn item_error(values: Option<&Value>, refusal: &Refusal) -> Value {
    json!({"PartitionValues": values, "ErrorDetail": refusal.detail()})
}
