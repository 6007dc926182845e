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
/// The maximum size of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

pub(super) fn create(catalog: &mut Catalog, input: &Input<'_>) -> Answer {
    let database = input.name("DatabaseName")?;
    let (name, table) = from_input(&database, input)?;
    catalog.database(&database)?;
    if catalog.table(&database, &name).is_ok() {
        return Err(Refusal::exists("Table"));
    }
    let table = with_version(catalog, table, catalog.now().into(), 0);
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

/// Compiles a pattern of whole names. As in Glue, a `*` after no repeatable character matches any text: `acc*`, `*_raw`.
fn pattern(expression: &str) -> Result<regex::Regex, Refusal> {
    let wrong = |why: String| Refusal::invalid(format!("Expression {expression:?} is not a pattern of names: {why}"));
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(wrong(format!("it is longer than {EXPRESSION_BYTES_MAX} bytes")));
    }
    let mut whole = String::from("^(?:");
    let mut last = None;
    for c in expression.chars() {
        if c == '*' && last.is_none_or(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '|' | '(' | '*')) {
            whole.push('.');
        }
        whole.push(c);
        last = Some(c);
    }
    whole.push_str(")$");
    let built = RegexBuilder::new(&whole).case_insensitive(true).size_limit(PATTERN_BYTES_MAX).build();
    built.map_err(|error| wrong(error.to_string()))
}

/// Replaces the whole definition, as Glue does: a field that is not in the input is removed.
pub(super) fn update(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let database = input.name("DatabaseName")?;
    let (name, table) = from_input(&database, input)?;
    catalog.database(&database)?;
    let old = catalog.table(&database, &name)?;
    let version = version_of(&old);
    if let Some(expected) = input.optional("VersionId").filter(|expected| *expected != version) {
        let message = format!("Table {name} has version {version}, the update is for version {expected}.");
        return Err(Refusal::new("ConcurrentModificationException", message));
    }
    let next = version.parse::<u64>().unwrap_or_default() + 1;
    let table = with_version(catalog, table, old.get("CreateTime").cloned().unwrap_or_default(), next);
    catalog.put_table(&database, &name, &table)?;
    Ok(json!({}))
}

/// Deletes a table with its partitions, but not their objects.
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

/// Returns the current version, the only one that is kept, as after updates with SkipArchive.
pub(super) fn get_versions(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let table = find(catalog, input)?;
    Ok(json!({"TableVersions": [{"VersionId": version_of(&table), "Table": table}]}))
}

pub(super) fn get_version(catalog: &Catalog, input: &Input<'_>) -> Answer {
    let table = find(catalog, input)?;
    match input.optional("VersionId") {
        Some(version) if version != version_of(&table) => {
            Err(Refusal::missing(format_args!("Version {version} of the table")))
        }
        _ => Ok(json!({"TableVersion": {"VersionId": version_of(&table), "Table": table}})),
    }
}

fn find(catalog: &Catalog, input: &Input<'_>) -> Result<Map<String, Value>, Refusal> {
    let (database, name) = (input.name("DatabaseName")?, input.name("TableName")?);
    catalog.database(&database)?;
    catalog.table(&database, &name)
}

fn version_of(table: &Map<String, Value>) -> &str {
    table.get("VersionId").and_then(Value::as_str).unwrap_or_default()
}

fn from_input(database: &str, input: &Input<'_>) -> Result<(String, Map<String, Value>), Refusal> {
    let mut table = input.object("TableInput")?.clone();
    let name = fold(&table.get("Name").cloned().unwrap_or_default(), "TableInput.Name")?;
    table.insert("Name".into(), name.clone().into());
    table.insert("DatabaseName".into(), database.into());
    Ok((name, table))
}

fn with_version(catalog: &Catalog, mut table: Map<String, Value>, created: Value, version: u64) -> Map<String, Value> {
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
    fn patterns_match_names_as_in_glue() {
        for (expression, name, expected) in [
            ("photo_raw", "photo_raw", true),
            ("photo", "photo_raw", false),
            ("photo*", "photo_raw", true),
            ("*_raw", "photo_raw", true),
            ("*oto*", "photo_raw", true),
            ("photo.*", "photo_raw", true),
            ("PHOTO_(raw|small)", "photo_small", true),
            ("photo_[a-l]*", "photo_raw", false),
            ("a|photo_r.+", "photo_raw", true),
        ] {
            assert_eq!(pattern(expression).unwrap().is_match(name), expected, "{expression} {name}");
        }
    }

    #[test]
    fn an_invalid_pattern_is_refused() {
        for expression in ["(", "a{1000000000}", &"x".repeat(3000)] {
            assert_eq!(pattern(expression).unwrap_err().code, "InvalidInputException");
        }
    }
}
