//! Receipts: the row counts of a landing file. Every row is kept, excluded or quarantined, and the sums agree.
//!
//! A receipt counts what became of the rows when the file was ingested. A later file or change of consent does not change it.

use crate::Corrupt;
use crate::cell::ShardVersions;
use crate::quarantine::Quarantine;
use bytes::Bytes;
use model::layout::{FileId, ObjectLocation, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The row counts of one landing file in its current version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The kind of file.
    pub source: Source,
    /// Its id in the lake.
    pub file: FileId,
    /// The landing object and its version.
    pub landing: LandingVersion,
    /// Why the file as a whole cannot be decoded. Then it counts as one quarantined row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecodable: Option<String>,
    /// The number of records and rejected pieces: kept, excluded and quarantined together.
    pub rows: u64,
    /// How many of them were rows of the outputs when the file was ingested.
    pub kept: u64,
    /// How many of them are legal records but not rows of the outputs, by reason.
    pub excluded: BTreeMap<String, u64>,
    /// How many records withdraw a consent, rejected ones included. Only customer files have them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub withdrew: u64,
    /// How many records suspend a customer, because their consent cannot be read. Only customer files have them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suspended: u64,
    /// How many pieces are in quarantine.
    pub quarantined: u64,
    /// How many pieces are in quarantine, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// The objects that these rows are in.
    pub outputs: Vec<OutputRows>,
    /// The generation of the file's manifest.
    pub generation: u64,
    /// The versions of the consent shards that decided which rows are eligible.
    pub derived_from: ShardVersions,
}

/// A column of the receipts table.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReceiptColumn {
    /// Its name, which is the name of the field.
    pub name: &'static str,
    /// Its type, spelled as in Athena.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its meaning, for the catalog.
    pub comment: &'static str,
}

const fn column(name: &'static str, kind: &'static str, comment: &'static str) -> ReceiptColumn {
    ReceiptColumn { name, kind, comment }
}

/// The name of the receipts table in the catalog.
pub const TABLE: &str = "receipts";

/// The comment of the receipts table in the catalog.
pub const COMMENT: &str = "the row counts of each landing file: rows = kept + excluded + quarantined";

/// The columns of the receipts table.
pub const COLUMNS: &[ReceiptColumn] = &[
    column("source", "string", "customer, accelerometer or step_trainer"),
    column("file", "string", "the landing file's id in the lake"),
    column("landing", "struct<bucket:string,key:string,etag:string>", "the landing object and its version"),
    column(
        "undecodable",
        "string",
        "why the file could not be decoded as a whole; it then counts as one quarantined row",
    ),
    column("rows", "bigint", "records and rejected pieces: kept, excluded and quarantined together"),
    column("kept", "bigint", "how many of them were rows of the outputs when the file was ingested"),
    column("excluded", "map<string,bigint>", "how many were legal records but not rows of the outputs, by reason"),
    column("withdrew", "bigint", "how many records withdraw a consent, rejected ones included"),
    column("suspended", "bigint", "how many records suspend a customer, because their consent cannot be read"),
    column("quarantined", "bigint", "how many pieces are in quarantine"),
    column("rejected", "map<string,bigint>", "how many pieces are in quarantine, by reason"),
    column("outputs", "array<struct<key:string,rows:bigint>>", "the objects that these rows are in"),
    column("generation", "bigint", "the generation of the file's manifest"),
    column(
        "derived_from",
        "map<string,bigint>",
        "the versions of the consent shards that decided which rows are eligible",
    ),
];

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A landing object in one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandingVersion {
    /// Its location.
    #[serde(flatten)]
    pub location: ObjectLocation,
    /// The ETag of its version.
    pub etag: String,
}

/// An output object, and how many rows of the file it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRows {
    /// The object's key.
    pub key: String,
    /// The number of rows.
    pub rows: u64,
}

impl Receipt {
    /// Returns a receipt that has only the quarantine: no row is kept or excluded yet.
    pub fn new(source: Source, file: FileId, landing: LandingVersion, quarantine: &Quarantine) -> Self {
        Self {
            source,
            file,
            landing,
            undecodable: None,
            rows: quarantine.count(),
            kept: 0,
            excluded: BTreeMap::new(),
            withdrew: 0,
            suspended: 0,
            quarantined: quarantine.count(),
            rejected: quarantine.reasons().clone(),
            outputs: Vec::new(),
            generation: 0,
            derived_from: ShardVersions::new(),
        }
    }

    /// Adds `rows` kept in the output `key`.
    pub fn keep(&mut self, key: String, rows: u64) {
        self.rows += rows;
        self.kept += rows;
        self.outputs.push(OutputRows { key, rows });
    }

    /// Adds `rows` excluded for `reason`.
    pub fn exclude(&mut self, reason: &str, rows: u64) {
        if rows > 0 {
            self.rows += rows;
            *self.excluded.entry(reason.to_owned()).or_default() += rows;
        }
    }

    /// Reads an object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        serde_json::from_slice(bytes).map_err(|error| Corrupt::new("receipt", error))
    }

    /// Writes the object: JSON on one line, as the receipts table requires.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        let mut line = serde_json::to_vec(self).map_err(|error| Corrupt::new("receipt", error))?;
        line.push(b'\n');
        Ok(line.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::hash::HashKey;

    #[test]
    fn columns_are_the_fields_in_order() {
        let location = ObjectLocation { bucket: "lake".into(), key: "accelerometer/landing/a.json".into() };
        let file = FileId::of(&HashKey::public(), &location);
        let version = LandingVersion { location, etag: "e".into() };
        let mut receipt = Receipt::new(Source::Accelerometer, file, version, &Quarantine::default());
        // Fields that are left out if they are empty.
        receipt.undecodable = Some("damaged".into());
        (receipt.withdrew, receipt.suspended) = (1, 1);
        let line = receipt.encode().unwrap();
        // A parsed object does not keep the order in which the fields are written.
        let text = String::from_utf8(line.to_vec()).unwrap();
        let parsed: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        let mut fields: Vec<&str> = parsed.keys().map(String::as_str).collect();
        fields.sort_by_key(|field| text.find(&format!("\"{field}\":")));
        assert_eq!(fields, COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>());
        assert_eq!(text.matches('\n').count(), 1, "one line, as the table's format requires");
    }
}
