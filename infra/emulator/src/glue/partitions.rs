//! Calls on single partitions, and GetPartitions.

use super::Answer;
use super::catalog::{Catalog, Partition};
use super::error::Refusal;
use super::filter::{Filter, Key};
use super::input::{Input, values};
use serde_json::{Map, Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;

/// AWS's limit.
const SEGMENTS_MAX: u64 = 10;

pub(super) fn get(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = table_of(input)?;
    let values = input.values("PartitionValues")?;
    let partition = catalog.partitions(&database, &table)?.get(&values).ok_or_else(|| not_found(&values))?;
    Ok(json!({"Partition": partition.read()?}))
}

/// Returns a page of partitions, ordered by their values.
pub(super) fn get_all(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = table_of(input)?;
    let after = match input.optional("NextToken") {
        None => Bound::Unbounded,
        Some(token) => Bound::Excluded(
            serde_json::from_str::<Vec<String>>(token)
                .map_err(|_| Refusal::invalid(format!("NextToken {token:?} is not one of a GetPartitions answer")))?,
        ),
    };
    let (page, segment, without_columns) = (input.results_max()?, segment(input)?, input.flag("ExcludeColumnSchema")?);
    let keys = keys(catalog, &database, &table)?;
    let filter = input.optional("Expression").map(|expression| Filter::parse(expression, keys)).transpose()?.flatten();
    let matches = |values: &[String]| {
        filter.as_ref().is_none_or(|filter| filter.matches(values))
            && segment.is_none_or(|(number, total)| hash(values) % total == number)
    };
    let rest = catalog.partitions(&database, &table)?.range((after, Bound::Unbounded));
    let mut rest = rest.filter(|(values, _)| matches(values));
    let page: Vec<_> = rest.by_ref().take(page).collect();
    let last = page.last().map(|(values, _)| *values);
    let next = rest.next().and(last).map(|values| json!(values).to_string());
    let shown = |partition: &Partition| {
        let mut partition = partition.read()?;
        let descriptor = partition.get_mut("StorageDescriptor").and_then(Value::as_object_mut);
        if let Some(descriptor) = descriptor.filter(|_| without_columns) {
            descriptor.remove("Columns");
        }
        Ok(partition)
    };
    let partitions = page.into_iter().map(|(_, partition)| shown(partition)).collect::<Result<Vec<_>, Refusal>>()?;
    Ok(json!({"Partitions": partitions, "NextToken": next}))
}

/// Returns number and total of the requested segment of the partitions.
fn segment(input: &Input<'_>) -> Result<Option<(u64, u64)>, Refusal> {
    let Some(segment) = input.optional_object("Segment")? else { return Ok(None) };
    let number = |name: &str| segment.get(name).and_then(Value::as_u64);
    match (number("SegmentNumber"), number("TotalSegments")) {
        (Some(n), Some(total @ 1..=SEGMENTS_MAX)) if n < total => Ok(Some((n, total))),
        _ => {
            Err(Refusal::invalid(format!("Segment needs a SegmentNumber below TotalSegments, at most {SEGMENTS_MAX}")))
        }
    }
}

/// Hashes the values of a partition. The hasher has no random key: a partition must stay in its segment from page to page.
fn hash(values: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.hash(&mut hasher);
    hasher.finish()
}

pub(super) fn keys(catalog: &Catalog, database: &str, table: &str) -> Result<Vec<Key>, Refusal> {
    let definition = catalog.table(database, table)?;
    let keys = definition.get("PartitionKeys").and_then(Value::as_array);
    let text = |key: &Value, name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(keys.into_iter().flatten().map(|key| Key { name: text(key, "Name"), kind: text(key, "Type") }).collect())
}

pub(super) fn create(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = table_of(input)?;
    let new = from_input(catalog, &database, &table, input.object("PartitionInput")?)?;
    if catalog.partitions(&database, &table)?.contains_key(&new.0) {
        return Err(Refusal::exists("Partition"));
    }
    catalog.put_partitions(&database, &table, vec![new])?;
    Ok(json!({}))
}

pub(super) fn update(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = table_of(input)?;
    let old = input.values("PartitionValueList")?;
    replace(catalog, &database, &table, &old, input.object("PartitionInput")?)?;
    Ok(json!({}))
}

/// Replaces the partition with the values `old`; the new one may have other values.
pub(super) fn replace(
    catalog: &mut Catalog,
    database: &str,
    table: &str,
    old: &[String],
    input: &Map<String, Value>,
) -> Result<(), Refusal> {
    let (values, mut new) = match input.contains_key("Values") {
        true => from_input(catalog, database, table, input)?,
        false => {
            let mut input = input.clone();
            input.insert("Values".into(), json!(old));
            from_input(catalog, database, table, &input)?
        }
    };
    let partitions = catalog.partitions(database, table)?;
    let previous = partitions.get(old).ok_or_else(|| not_found(old))?.read()?;
    let created = previous.get("CreationTime").cloned().unwrap_or_default();
    let is_moved = values != old;
    if is_moved && partitions.contains_key(&values) {
        return Err(Refusal::exists("Partition"));
    }
    new.insert("CreationTime".into(), created);
    catalog.put_partitions(database, table, vec![(values, new)])?;
    if is_moved { catalog.delete_partitions(database, table, &[old.to_vec()]) } else { Ok(()) }
}

pub(super) fn delete(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, table) = table_of(input)?;
    let values = input.values("PartitionValues")?;
    if !catalog.partitions(&database, &table)?.contains_key(&values) {
        return Err(not_found(&values));
    }
    catalog.delete_partitions(&database, &table, &[values])?;
    Ok(json!({}))
}

pub(super) fn table_of(input: &Input<'_>) -> Result<(String, String), Refusal> {
    Ok((input.name("DatabaseName")?, input.name("TableName")?))
}

/// Returns the values and the stored form of the partition in an input.
pub(super) fn from_input(
    catalog: &Catalog,
    database: &str,
    table: &str,
    input: &Map<String, Value>,
) -> Result<(Vec<String>, Map<String, Value>), Refusal> {
    let values = values(input.get("Values").unwrap_or(&Value::Null))?;
    let keys = keys(catalog, database, table)?.len();
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

pub(super) fn not_found(values: &[String]) -> Refusal {
    Refusal::missing(format_args!("Partition {values:?}"))
}
