//! Views. As Presto does, the catalog keeps them as base64 of JSON in the text of the view.

use crate::answer::Column;
use crate::error::SqlError;
use crate::query::CATALOG;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use emulator_client::data_catalog::{Column as CatalogColumn, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const BEFORE: &str = "/* Presto View: ";
const AFTER: &str = " */";
/// The deepest nesting of views.
const DEPTH_MAX: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Encoded {
    original_sql: String,
    #[serde(default)]
    catalog: String,
    schema: String,
    #[serde(default)]
    columns: Vec<EncodedColumn>,
}

#[derive(Serialize, Deserialize)]
struct EncodedColumn {
    name: String,
    r#type: String,
}

/// The query of a view, and the database of its names.
pub(crate) fn text_of(view: &Table, depth: usize) -> Result<(String, String), SqlError> {
    let wrong = |why: String| {
        SqlError::user(format!("INVALID_VIEW: view {}.{} cannot be read: {why}", view.database, view.name))
    };
    if depth >= DEPTH_MAX {
        return Err(wrong(format!("views are nested more than {DEPTH_MAX} deep")));
    }
    let text = view.view.as_deref().unwrap_or_default();
    let inner = text.strip_prefix(BEFORE).and_then(|text| text.strip_suffix(AFTER));
    let inner = inner.ok_or_else(|| wrong("expected a Presto view".to_owned()))?;
    let bytes = STANDARD.decode(inner.trim()).map_err(|error| wrong(error.to_string()))?;
    let encoded: Encoded = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    Ok((encoded.original_sql, encoded.schema))
}

/// The entry of a view in the catalog.
pub(crate) fn entry(
    database: &str,
    name: &str,
    sql: &str,
    within: &str,
    columns: &[Column],
) -> Result<Table, SqlError> {
    let encoded = Encoded {
        original_sql: sql.to_owned(),
        catalog: CATALOG.to_owned(),
        schema: within.to_owned(),
        columns: columns
            .iter()
            .map(|column| EncodedColumn { name: column.name.clone(), r#type: column.kind.to_string() })
            .collect(),
    };
    let json = serde_json::to_string(&encoded).map_err(|error| SqlError::system(error.to_string()))?;
    let catalog_column = |column: &Column| CatalogColumn {
        name: column.name.to_lowercase(),
        kind: column.kind.to_hive().unwrap_or_else(|| "string".to_owned()),
        comment: None,
    };
    Ok(Table {
        database: database.to_owned(),
        name: name.to_owned(),
        kind: "VIRTUAL_VIEW".to_owned(),
        columns: columns.iter().map(catalog_column).collect(),
        parameters: BTreeMap::from([("presto_view".to_owned(), "true".to_owned())]),
        view: Some(format!("{BEFORE}{}{AFTER}", STANDARD.encode(json))),
        ..Table::default()
    })
}
