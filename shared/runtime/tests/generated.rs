//! Compares `infra/terraform/topology.json` and `tables.json` with the code. Terraform reads them, so a trigger, a column or
//! a permission is defined once.
//!
//! `REGENERATE=1 cargo test --workspace --release --locked --test generated` writes them again.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use formats::receipt;
use model::layout::RECEIPTS;
use model::table::{Format, Table};
use runtime::{metrics, settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use topology::TRIGGERS;
use topology::access::{self, Access};

fn topology() -> Value {
    let triggers = TRIGGERS.iter().map(|trigger| {
        let landing = Table::ALL.iter().any(|t| t.prefix() == trigger.prefix && t.format() == Format::Json);
        let name = trigger.prefix.trim_matches(['/', '_']).replace(['/', '_'], "-");
        json!({"prefix": trigger.prefix, "name": name, "landing": landing, "functions": trigger.functions})
    });
    let functions: BTreeMap<&str, Access> = Table::DERIVED.iter().map(|t| (t.name(), Access::of(*t))).collect();
    json!({
        "triggers": triggers.collect::<Vec<_>>(),
        "functions": functions,
        "derived": access::derived(),
        "settings": settings::NAMES,
        "metrics": {
            "namespace": metrics::NAMESPACE,
            "dimension": metrics::DIMENSION,
            "reason_dimension": metrics::REASON_DIMENSION,
            "names": metrics::METRICS.iter().map(|metric| (metric.name, metric.unit)).collect::<BTreeMap<_, _>>(),
        },
    })
}

fn tables() -> Value {
    let mut tables: BTreeMap<&str, Value> = BTreeMap::new();
    for table in Table::ALL {
        let definition = json!({
            "comment": table.comment(),
            "prefix": table.prefix(),
            "landing": table.format() == Format::Json,
            "format": table.format(),
            "columns": table.columns(),
            "partition_columns": table.partition_columns(),
        });
        tables.insert(table.name(), definition);
    }
    let receipts = json!({
        "comment": receipt::COMMENT,
        "prefix": RECEIPTS,
        "landing": false,
        "format": Format::Json,
        "columns": receipt::COLUMNS,
        "partition_columns": [],
    });
    tables.insert(receipt::TABLE, receipts);
    let formats: BTreeMap<_, _> =
        [Format::Json, Format::Parquet].map(|format| (format.name(), format.storage())).into();
    json!({"tables": tables, "formats": formats})
}

fn check(file: &str, is: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/terraform").join(file);
    let text = format!("{}\n", serde_json::to_string_pretty(is).unwrap());
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let was = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(was == text, "infra/terraform/{file} differs from the code; run this test with REGENERATE=1");
}

#[test]
fn topology_json_is_current() {
    check("topology.json", &topology());
}

#[test]
fn tables_json_is_current() {
    check("tables.json", &tables());
}
