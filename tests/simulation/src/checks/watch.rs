//! Looks at every object as it is stored: safety, anonymity, determinism; and remembers which partitions ever had rows.

use super::{Invariant, Violation};
use crate::scenario::{Landing, Line, Research, email};
use crate::tables;
use bytes::Bytes;
use memchr::memmem::Finder;
use model::hash::KeyHash;
use model::table::Table;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What was seen so far.
#[derive(Default)]
pub struct Watch {
    /// The emails of those who ever consented in a record that landed.
    consented: BTreeSet<String>,
    /// The devices that such a record names.
    devices: BTreeSet<u8>,
    /// The number of each reading, which stays when it is anonymous → whose it is.
    motions: BTreeMap<i64, String>,
    steps: BTreeMap<i64, u8>,
    /// Whatever tells of a person: value or hash → what it is.
    personal: BTreeMap<Vec<u8>, (String, Finder<'static>)>,
    /// Table and partition.
    had_rows: BTreeSet<(Table, String)>,
    /// Table, rows and footer → the object's bytes.
    bytes: BTreeMap<(Table, String), Bytes>,
}

impl Watch {
    /// A version of a landing file is about to be put.
    pub fn landed(&mut self, landing: &Landing) {
        for line in landing.content.lines() {
            match line {
                Line::Customer(record) => {
                    if matches!(record.research, Research::Since(_)) {
                        self.consented.insert(record.email());
                        self.devices.extend(record.device);
                    }
                    let values = [record.email(), record.full_name(), record.phone(), record.birthday()];
                    values.into_iter().chain(record.serial()).for_each(|value| self.tells_of_somebody(&value));
                }
                Line::Motion(motion) => drop(self.motions.insert(motion.number.into(), email(&motion.name))),
                Line::Step(step) => drop(self.steps.insert(step.number.into(), step.device)),
                Line::Broken(_) => {}
            }
        }
    }

    fn tells_of_somebody(&mut self, value: &str) {
        let digest = Sha256::digest(value.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let forms = [
            ("", value.as_bytes().to_vec()),
            ("the hash of ", digest[..8].to_vec()),
            ("the hash of ", hex[..16].into()),
            ("the hash of ", KeyHash::of(value).to_string().into_bytes()),
        ];
        for (what, bytes) in forms {
            let finder = Finder::new(&bytes).into_owned();
            self.personal.insert(bytes, (format!("{what}{value}"), finder));
        }
    }

    /// The partitions that ever had rows.
    pub fn had_rows(&self, table: Table) -> BTreeSet<String> {
        self.had_rows.iter().filter(|(of, _)| *of == table).map(|(_, partition)| partition.clone()).collect()
    }

    /// An object was stored.
    pub fn stored(&mut self, key: &str, body: &Bytes) -> Vec<Violation> {
        let Some(table) = Table::DERIVED.into_iter().find(|table| key.starts_with(table.prefix())) else {
            return Vec::new();
        };
        let mut violations = Vec::new();
        let mut broken = |invariant, what| violations.push(Violation { invariant, what });
        let (rows, footer) = match tables::rows_of(table, key, body.clone()).and_then(|rows| Ok((rows, footer(body)?)))
        {
            Ok(read) => read,
            Err(error) => {
                broken(Invariant::Convergence, format!("{key} cannot be read: {error}"));
                return violations;
            }
        };
        for row in &rows {
            if let Some(who) = self.without_consent(table, row) {
                broken(Invariant::Safety, format!("{key} has a row of {who}, who never consented: {row}"));
            }
        }
        if table == Table::MachineLearningCurated {
            for (what, finder) in self.personal.values() {
                if [key.as_bytes(), body, footer.as_bytes()].iter().any(|bytes| finder.find(bytes).is_some()) {
                    broken(Invariant::Anonymity, format!("{key} holds {what}"));
                }
            }
            if footer != TRAINING_FOOTER {
                broken(Invariant::Anonymity, format!("{key} has a footer that says more than it should: {footer}"));
            }
        }
        if let Some((partition, _)) = key[table.prefix().len()..].rsplit_once('/').filter(|_| !rows.is_empty()) {
            self.had_rows.insert((table, partition.to_owned()));
        }
        let same = self.bytes.entry((table, rows.join("\n") + &footer)).or_insert_with(|| body.clone());
        if same != body {
            broken(Invariant::Determinism, format!("{key}: the same rows and metadata gave other bytes before"));
        }
        violations
    }

    /// Who of a row never consented.
    fn without_consent(&self, table: Table, row: &str) -> Option<String> {
        let cells: Vec<&str> = row.split(' ').collect();
        if table != Table::MachineLearningCurated {
            return cells
                .iter()
                .find(|cell| cell.contains('@') && !self.consented.contains(**cell))
                .map(|c| (*c).into());
        }
        let number = |i: usize| cells.get(i).and_then(|cell| cell.parse::<f64>().ok()).map(|number| number as i64);
        let [_, _, step, motion, ..] = cells.as_slice() else { return Some(format!("nobody knows whom ({row})")) };
        let device = number(2).and_then(|number| self.steps.get(&number));
        let user = number(3).and_then(|number| self.motions.get(&number));
        match (device, user) {
            (Some(device), Some(user)) if self.devices.contains(device) && self.consented.contains(user) => None,
            (Some(device), Some(user)) => Some(format!("{user} or the owner of device {device}")),
            _ => Some(format!("somebody whose readings {step} and {motion} never landed")),
        }
    }
}

/// Those at the begin of a file.
const MAGIC_BYTES: usize = 4;

const TRAINING_FOOTER: &str = "sensorreadingtime distancefromobject x y z same_customer;";

/// The columns' names, whatever else the footer says, and what stands in front of the rows.
fn footer(body: &Bytes) -> Result<String, formats::Corrupt> {
    let reader = SerializedFileReader::new(body.clone()).map_err(|error| formats::Corrupt::new("parquet", error))?;
    let front = front(body, reader.metadata());
    let metadata = reader.metadata().file_metadata();
    let columns: Vec<&str> = metadata.schema_descr().columns().iter().map(|column| column.name()).collect();
    let pairs = metadata.key_value_metadata().into_iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|pair| format!("{}={}", pair.key, pair.value.as_deref().unwrap_or_default())).collect();
    Ok(format!("{};{}{}", columns.join(" "), pairs.join(" "), front.escape_ascii()))
}

/// What stands in front of the rows of a Parquet file: whatever is between its magic bytes and its first column.
pub fn front<'a>(body: &'a Bytes, metadata: &ParquetMetaData) -> &'a [u8] {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let end = columns.map(|column| column.byte_range().0 as usize).min().unwrap_or_else(|| {
        // Without rows the footer follows. Its length and the magic bytes end the file.
        let length = body.last_chunk().map(|[a, b, c, d, ..]: &[u8; 8]| u32::from_le_bytes([*a, *b, *c, *d]));
        body.len().saturating_sub(8 + length.unwrap_or_default() as usize)
    });
    body.get(MAGIC_BYTES..end).unwrap_or_default()
}
