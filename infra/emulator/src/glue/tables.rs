//! Tables.

use super::Answer;
use super::catalog::Catalog;
use super::error::Refusal;
use super::input::{Input, fold, page};
use regex::RegexBuilder;
use serde_json::{Map, Value, json};

/// AWS's limits.
const DELETED_MAX: usize = 100;
const EXPRESSION_BYTES_MAX: usize = 2048;
/// What a pattern may grow to.
const PATTERN_BYTES_MAX: usize = 1 << 20;

pub(super) fn create(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let database = input.name("DatabaseName")?;
    let (name, table) = described(&database, input)?;
    catalog.database(&database)?;
    if catalog.table(&database, &name).is_ok() {
        return Err(Refusal::exists("Table"));
    }
    let table = stamped(catalog, table, catalog.now().into(), 0);
    catalog.new_table(&database, &name, &table)?;
    Ok(json!({}))
}

pub(super) fn get(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let (database, name) = (input.name("DatabaseName")?, input.name("Name")?);
    catalog.database(&database)?;
    Ok(json!({"Table": catalog.table(&database, &name)?}))
}

pub(super) fn get_all(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let database = input.name("DatabaseName")?;
    catalog.database(&database)?;
    let mut names = catalog.tables(&database)?;
    if let Some(expression) = input.optional("Expression") {
        let pattern = pattern(expression)?;
        names.retain(|name| pattern.is_match(name));
    }
    let (names, next) = page(names, input.optional("NextToken"), input.results_max()?);
    let tables = names.iter().map(|name| catalog.table(&database, name)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"TableList": tables, "NextToken": next}))
}

/// A pattern of whole names. As in Glue, a `*` that repeats nothing is any text: `acc*`, `*_landing`.
fn pattern(expression: &str) -> Result<regex::Regex, Refusal> {
    let wrong = |why: String| Refusal::invalid(format!("Expression {expression:?} is no pattern of names: {why}"));
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(wrong(format!("it is longer than {EXPRESSION_BYTES_MAX} bytes")));
    }
    let mut whole = String::from("^(?:");
    let mut before = None;
    for c in expression.chars() {
        if c == '*' && before.is_none_or(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '|' | '(' | '*')) {
            whole.push('.');
        }
        whole.push(c);
        before = Some(c);
    }
    whole.push_str(")$");
    let built = RegexBuilder::new(&whole).case_insensitive(true).size_limit(PATTERN_BYTES_MAX).build();
    built.map_err(|error| wrong(error.to_string()))
}

/// Replaces the whole definition, as Glue does: what the input does not name is gone.
pub(super) fn update(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let database = input.name("DatabaseName")?;
    let (name, table) = described(&database, input)?;
    catalog.database(&database)?;
    let old = catalog.table(&database, &name)?;
    let version = version_of(&old);
    if let Some(expected) = input.optional("VersionId").filter(|expected| *expected != version) {
        let message = format!("Table {name} has version {version}, the update is for version {expected}.");
        return Err(Refusal::new("ConcurrentModificationException", message));
    }
    let next = version.parse::<u64>().unwrap_or_default() + 1;
    let table = stamped(catalog, table, old.get("CreateTime").cloned().unwrap_or_default(), next);
    catalog.put_table(&database, &name, &table)?;
    Ok(json!({}))
}

/// Its partitions go with it; objects stay.
pub(super) fn delete(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let (database, name) = (input.name("DatabaseName")?, input.name("Name")?);
    catalog.database(&database)?;
    catalog.table(&database, &name)?;
    catalog.delete_table(&database, &name)?;
    Ok(json!({}))
}

pub(super) fn delete_batch(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let database = input.name("DatabaseName")?;
    let batch = input.batch("TablesToDelete", DELETED_MAX)?;
    catalog.database(&database)?;
    let names = batch.iter().map(|name| fold(name, "a member of TablesToDelete")).collect::<Result<Vec<_>, _>>()?;
    let mut errors = Vec::new();
    for name in names {
        let deleted = catalog.table(&database, &name).and_then(|_| catalog.delete_table(&database, &name));
        if let Err(refusal) = deleted {
            errors.push(json!({"TableName": name, "ErrorDetail": refusal.detail()}));
        }
    }
    Ok(json!({"Errors": errors}))
}

/// The current version is the only one that is kept, as after updates that skip the archive.
pub(super) fn get_versions(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let table = versioned(catalog, input)?;
    Ok(json!({"TableVersions": [{"VersionId": version_of(&table), "Table": table}]}))
}

pub(super) fn get_version(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let table = versioned(catalog, input)?;
    match input.optional("VersionId") {
        Some(version) if version != version_of(&table) => {
            Err(Refusal::missing(format_args!("Version {version} of the table")))
        }
        _ => Ok(json!({"TableVersion": {"VersionId": version_of(&table), "Table": table}})),
    }
}

fn versioned(catalog: &Catalog, input: &Input<'_>) -> Result<Map<String, Value>, Refusal> {
    let (database, name) = (input.name("DatabaseName")?, input.name("TableName")?);
    catalog.database(&database)?;
    catalog.table(&database, &name)
}

fn version_of(table: &Map<String, Value>) -> &str {
    table.get("VersionId").and_then(Value::as_str).unwrap_or_default()
}

fn described(database: &str, input: &Input<'_>) -> Result<(String, Map<String, Value>), Refusal> {
    let mut table = input.object("TableInput")?.clone();
    let name = fold(&table.get("Name").cloned().unwrap_or_default(), "TableInput.Name")?;
    table.insert("Name".into(), name.clone().into());
    table.insert("DatabaseName".into(), database.into());
    Ok((name, table))
}

fn stamped(catalog: &Catalog, mut table: Map<String, Value>, created: Value, version: u64) -> Map<String, Value> {
    table.insert("CreateTime".into(), created);
    table.insert("UpdateTime".into(), catalog.now().into());
    table.insert("VersionId".into(), version.to_string().into());
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::pattern;

    #[test]
    fn tables_are_found_by_patterns_of_their_names() {
        for (expression, name, expected) in [
            ("customer_landing", "customer_landing", true),
            ("customer", "customer_landing", false),
            ("customer*", "customer_landing", true),
            ("*_landing", "customer_landing", true),
            ("*mer*", "customer_landing", true),
            ("customer.*", "customer_landing", true),
            ("CUSTOMER_(landing|trusted)", "customer_trusted", true),
            ("customer_[a-l]*", "customer_landing", false),
            ("a|customer_l.+", "customer_landing", true),
        ] {
            assert_eq!(pattern(expression).unwrap().is_match(name), expected, "{expression} {name}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        for expression in ["(", "a{1000000000}", &"x".repeat(3000)] {
            assert_eq!(pattern(expression).unwrap_err().code, "InvalidInputException");
        }
    }
}
