//! Partitions, one by one and in batches.

use super::Answer;
use super::catalog::Catalog;
use super::error::Refusal;
use super::input::{Input, values};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::ops::Bound;

/// AWS's limits for one call.
const CREATED_MAX: usize = 100;
const DELETED_MAX: usize = 25;

pub(super) fn get(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = of(input)?;
    let values = input.values("PartitionValues")?;
    let partition = catalog.partitions(&database, &table)?.get(&values).ok_or_else(|| missing(&values))?;
    Ok(json!({"Partition": partition}))
}

/// A page in the order of the values.
pub(super) fn get_all(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = of(input)?;
    let after = match input.optional("NextToken") {
        None => Bound::Unbounded,
        Some(token) => Bound::Excluded(
            serde_json::from_str::<Vec<String>>(token)
                .map_err(|_| Refusal::invalid(format!("NextToken {token:?} is not one of a GetPartitions answer")))?,
        ),
    };
    let page = input.results_max()?;
    let mut rest = catalog.partitions(&database, &table)?.range((after, Bound::Unbounded));
    let taken: Vec<_> = rest.by_ref().take(page).collect();
    let last = taken.last().map(|(values, _)| *values);
    let next = rest.next().and(last).map(|values| json!(values).to_string());
    let partitions: Vec<_> = taken.into_iter().map(|(_, partition)| partition).collect();
    Ok(json!({"Partitions": partitions, "NextToken": next}))
}

pub(super) fn create(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = of(input)?;
    let new = partition(catalog, &database, &table, input.object("PartitionInput")?)?;
    if catalog.partitions(&database, &table)?.contains_key(&new.0) {
        return Err(Refusal::exists("Partition"));
    }
    catalog.put_partitions(&database, &table, vec![new])?;
    Ok(json!({}))
}

/// Creates what it can; what exists already or is wrong is listed in the answer, which is a success all the same.
pub(super) fn create_batch(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = of(input)?;
    let batch = input.batch("PartitionInputList", CREATED_MAX)?;
    catalog.table(&database, &table)?;
    let (mut new, mut errors, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for item in batch {
        let item = item.as_object().ok_or_else(|| Refusal::invalid("a PartitionInput is not an object"))?;
        let made = partition(catalog, &database, &table, item).and_then(|made| {
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

pub(super) fn delete(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = of(input)?;
    let values = input.values("PartitionValues")?;
    if !catalog.partitions(&database, &table)?.contains_key(&values) {
        return Err(missing(&values));
    }
    catalog.delete_partitions(&database, &table, &[values])?;
    Ok(json!({}))
}

pub(super) fn delete_batch(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = of(input)?;
    let batch = input.batch("PartitionsToDelete", DELETED_MAX)?;
    let (mut gone, mut errors) = (Vec::new(), Vec::new());
    for item in batch {
        let item = item.get("Values").unwrap_or(&Value::Null);
        let wanted = values(item)?;
        match catalog.partitions(&database, &table)?.contains_key(&wanted) {
            true => gone.push(wanted),
            false => errors.push(item_error(Some(item), &missing(&wanted))),
        }
    }
    catalog.delete_partitions(&database, &table, &gone)?;
    Ok(json!({"Errors": errors}))
}

fn of(input: &Input<'_>) -> Result<(String, String), Refusal> {
    Ok((input.name("DatabaseName")?, input.name("TableName")?))
}

/// The partition that an input describes: its values and what is stored.
fn partition(
    catalog: &Catalog,
    database: &str,
    table: &str,
    input: &Map<String, Value>,
) -> Result<(Vec<String>, Map<String, Value>), Refusal> {
    let values = values(input.get("Values").unwrap_or(&Value::Null))?;
    let definition = catalog.table(database, table)?;
    let keys = definition.get("PartitionKeys").and_then(Value::as_array).map_or(0, Vec::len);
    if values.len() != keys {
        let message = "The number of partition keys do not match the number of partition values";
        return Err(Refusal::invalid(format!("{message}: {keys} keys, {} values", values.len())));
    }
    let mut partition = input.clone();
    partition.insert("DatabaseName".into(), database.into());
    partition.insert("TableName".into(), table.into());
    partition.insert("CreationTime".into(), catalog.now().into());
    Ok((values, partition))
}

fn item_error(values: Option<&Value>, refusal: &Refusal) -> Value {
    json!({"PartitionValues": values, "ErrorDetail": refusal.detail()})
}

fn missing(values: &[String]) -> Refusal {
    Refusal::missing(format_args!("Partition {values:?}"))
}
