//! The account of one landing file: every row is kept, excluded or quarantined, and the sums agree.

use crate::Corrupt;
use crate::quarantine::Quarantine;
use crate::reading_rows::ShardVersions;
use bytes::Bytes;
use model::layout::{FileName, ObjectLocation, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The account of one landing file, in its current version and under the current trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The kind of file.
    pub source: Source,
    /// Its name in the lake.
    pub file: FileName,
    /// Which object in which version.
    pub landing: LandingVersion,
    /// Why the file could not be decoded as a whole; then it counts as one quarantined row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecodable: Option<String>,
    /// How many records and rejected pieces the file has: kept, excluded and quarantined together.
    pub rows: u64,
    /// How many are rows of its outputs.
    pub kept: u64,
    /// How many are not, by reason.
    pub excluded: BTreeMap<String, u64>,
    /// How many of those another record of the same file excludes; only of customer files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub superseded_within: BTreeMap<String, u64>,
    /// How many were no records.
    pub quarantined: u64,
    /// How many were no records, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Every object its rows are in, or ever were.
    pub outputs: Vec<OutputRows>,
    /// The version of the file's manifest; only of files of readings.
    #[serde(default, skip_serializing_if = "is_none")]
    pub generation: u64,
    /// The versions of the customer shards that decided.
    pub derived_from: ShardVersions,
}

/// A column of the receipts as a table: its name, its type as Athena spells it, and what it means.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReceiptColumn {
    /// Its name, that of the field.
    pub name: &'static str,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it means, for the catalog.
    pub comment: &'static str,
}

const fn column(name: &'static str, kind: &'static str, comment: &'static str) -> ReceiptColumn {
    ReceiptColumn { name, kind, comment }
}

/// What the table of the receipts holds, for the catalog.
pub const COMMENT: &str = "one account per landing file: rows = kept + excluded + quarantined";

/// The columns of the receipts as a table.
pub const COLUMNS: &[ReceiptColumn] = &[
    column("source", "string", "customer, accelerometer or step_trainer"),
    column("file", "string", "the landing file's name in the lake"),
    column("landing", "struct<bucket:string,key:string,etag:string>", "which object in which version"),
    column(
        "undecodable",
        "string",
        "why the file could not be decoded as a whole; it then counts as one quarantined row",
    ),
    column("rows", "bigint", "records and rejected pieces: kept, excluded and quarantined together"),
    column("kept", "bigint", "how many are rows of its outputs"),
    column("excluded", "map<string,bigint>", "how many are not, by reason"),
    column("superseded_within", "map<string,bigint>", "how many of those another record of the same file excludes"),
    column("quarantined", "bigint", "how many were no records"),
    column("rejected", "map<string,bigint>", "how many were no records, by reason"),
    column("outputs", "array<struct<key:string,rows:bigint>>", "every object its rows are in, or ever were"),
    column("generation", "bigint", "the generation of the file's manifest"),
    column("derived_from", "map<string,bigint>", "the versions of the customer shards that decided"),
];

fn is_none(version: &u64) -> bool {
    *version == 0
}

/// An object in a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandingVersion {
    /// Where it landed.
    #[serde(flatten)]
    pub location: ObjectLocation,
    /// Its version.
    pub etag: String,
}

/// An object and how many of the file's rows are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRows {
    /// The object's key.
    pub key: String,
    /// The number of rows.
    pub rows: u64,
}

impl Receipt {
    /// A receipt without outputs: nothing kept, nothing excluded yet.
    pub fn new(source: Source, file: &FileName, landing: LandingVersion, quarantine: &Quarantine) -> Self {
        Self {
            source,
            file: file.clone(),
            landing,
            undecodable: None,
            rows: quarantine.count(),
            kept: 0,
            excluded: BTreeMap::new(),
            superseded_within: BTreeMap::new(),
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

    /// Moves what was kept in output `key` beyond `rows` to what is excluded for `reason`.
    pub fn withdraw(&mut self, key: &str, rows: u64, reason: &str) {
        if let Some(output) = self.outputs.iter_mut().find(|output| output.key == key) {
            let gone = output.rows.saturating_sub(rows);
            output.rows -= gone;
            self.kept -= gone;
            self.rows -= gone;
            self.exclude(reason, gone);
        }
    }

    /// Whether this says the same, derived from whatever versions.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let Self { derived_from: _, .. } = self;
        let mut other = other.clone();
        other.derived_from.clone_from(&self.derived_from);
        *self == other
    }

    /// Reads a receipt's object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        serde_json::from_slice(bytes).map_err(|error| Corrupt::new("receipt", error))
    }

    /// The receipt's object: JSON on one line, as a receipts table wants it.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        let mut line = serde_json::to_vec(self).map_err(|error| Corrupt::new("receipt", error))?;
        line.push(b'\n');
        Ok(line.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_the_fields() {
        let location = ObjectLocation { bucket: "lake".into(), key: "accelerometer/landing/a.json".into() };
        let file = FileName::of(&location);
        let version = LandingVersion { location, etag: "e".into() };
        let mut receipt = Receipt::new(Source::Accelerometer, &file, version, &Quarantine::default());
        // Fields that are left out where there is nothing to say.
        receipt.undecodable = Some("damaged".into());
        receipt.superseded_within.insert("duplicate".into(), 1);
        receipt.generation = 1;
        let line = receipt.encode().unwrap();
        // In the order in which they are written, which a parsed object does not keep.
        let text = String::from_utf8(line.to_vec()).unwrap();
        let parsed: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        let mut fields: Vec<&str> = parsed.keys().map(String::as_str).collect();
        fields.sort_by_key(|field| text.find(&format!("\"{field}\":")));
        assert_eq!(fields, COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>());
        assert_eq!(text.matches('\n').count(), 1, "one line, as the table's format wants it");
    }
}
