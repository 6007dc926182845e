//! Checks every object when it is stored: safety, withdrawal, no identifiers, determinism. Remembers which partitions ever
//! had rows.

use super::{Invariant, Violation};
use crate::oracle::{Histories, Statement, greatest, key_of};
use crate::scenario::{Line, MIDNIGHT_MS, Record, Upload, email, serial};
use crate::tables;
use bytes::Bytes;
use memchr::memmem::Finder;
use model::consent::ConsentHistory;
use model::hash::{HashKey, KeyHash};
use model::table::Table;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The uploads and objects of a run so far.
#[derive(Default)]
pub struct Watch {
    /// Email as any upload spells it, without blanks around it → the customer's name.
    names: BTreeMap<String, String>,
    /// The customers with an uploaded record.
    customers: BTreeSet<String>,
    /// The customers who consented in any uploaded record.
    consented: BTreeSet<String>,
    /// The devices that these records name.
    devices: BTreeSet<u8>,
    /// The times of the accelerometer readings of each customer.
    times_ms: BTreeMap<String, BTreeSet<i64>>,
    /// The number of each reading → its customer or device. The number stays in the training table.
    motions: BTreeMap<i64, String>,
    steps: BTreeMap<i64, u8>,
    /// Personal value, or hash of one → its description and a finder.
    personal: BTreeMap<Vec<u8>, (String, Finder<'static>)>,
    /// Tables and partitions that ever had rows.
    had_rows: BTreeSet<(Table, String)>,
    /// Table, rows and footer → the object's bytes.
    bytes: BTreeMap<(Table, String), Bytes>,
    /// What each uploaded record alone says about its customer.
    said: BTreeMap<KeyHash, Vec<ConsentHistory>>,
    /// The histories in the last version of each customer shard.
    histories: BTreeMap<String, Histories>,
}

impl Watch {
    /// Takes note of an upload that is stored at this time; call it before the landing file is put.
    pub fn add_upload(&mut self, upload: &Upload, stored_ms: i64) {
        for line in upload.content.lines() {
            match line {
                Line::Customer(record) => self.add_record(record, stored_ms),
                Line::Motion(motion) => {
                    self.times_ms.entry(motion.name.clone()).or_default().insert(MIDNIGHT_MS + motion.time);
                    self.motions.insert(motion.number.into(), motion.name.clone());
                }
                Line::Step(step) => drop(self.steps.insert(step.number.into(), step.device)),
                Line::Broken(_) => {}
            }
        }
    }

    fn add_record(&mut self, record: &Record, stored_ms: i64) {
        let statement = Statement::of(record, stored_ms);
        if let Statement::Grant { .. } = statement {
            self.consented.insert(record.name.clone());
            self.devices.extend(record.device);
        }
        self.customers.insert(record.name.clone());
        self.names.insert(record.email().trim().to_owned(), record.name.clone());
        self.said.entry(key_of(&record.name)).or_default().push(statement.history(stored_ms));
        let values = [record.email(), email(&record.name), record.full_name(), record.phone(), record.birthday()];
        let values = values.into_iter().chain(record.device.map(serial));
        values.for_each(|value| self.add_personal_value(value.trim()));
    }

    /// The customers with an uploaded record.
    pub fn customers(&self) -> &BTreeSet<String> {
        &self.customers
    }

    /// The times of the accelerometer readings that were uploaded, by the name of the customer.
    pub fn times_ms(&self) -> &BTreeMap<String, BTreeSet<i64>> {
        &self.times_ms
    }

    fn add_personal_value(&mut self, value: &str) {
        let digest = Sha256::digest(value.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let forms = [
            ("", value.as_bytes().to_vec()),
            ("the hash of ", digest[..8].to_vec()),
            ("the hash of ", hex[..16].into()),
            ("the hash of ", HashKey::public().of(value).to_string().into_bytes()),
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

    /// Checks an object that was just stored.
    pub fn check_object(&mut self, key: &str, body: &Bytes) -> Vec<Violation> {
        let Some(table) = Table::DERIVED.into_iter().find(|table| key.starts_with(table.prefix())) else {
            return Vec::new();
        };
        let mut violations = Vec::new();
        let mut violated = |invariant, what| violations.push(Violation { invariant, what });
        let (rows, footer) = match tables::rows_of(table, key, body.clone()).and_then(|rows| Ok((rows, footer(body)?)))
        {
            Ok(read) => read,
            Err(error) => {
                violated(Invariant::Convergence, format!("{key} cannot be read: {error}"));
                return violations;
            }
        };
        for row in &rows {
            if let Some(who) = self.without_consent(table, row) {
                violated(Invariant::Safety, format!("{key} has a row of {who}, who never consented: {row}"));
            }
        }
        if table == Table::CustomerTrusted {
            match tables::histories_of(body.clone()) {
                Ok(histories) => self.check_histories(key, histories).into_iter().for_each(|what| {
                    violated(Invariant::Withdrawal, what);
                }),
                Err(error) => violated(Invariant::Withdrawal, format!("{key} has no histories: {error}")),
            }
        }
        if table == Table::MachineLearningCurated {
            for (what, finder) in self.personal.values() {
                if [key.as_bytes(), body, footer.as_bytes()].iter().any(|bytes| finder.find(bytes).is_some()) {
                    violated(Invariant::NoIdentifiers, format!("{key} holds {what}"));
                }
            }
            if !is_of_training(&footer) {
                let what =
                    format!("{key} has more in its footer than column names and versions of its inputs: {footer}");
                violated(Invariant::NoIdentifiers, what);
            }
        }
        if let Some((partition, _)) = key[table.prefix().len()..].rsplit_once('/').filter(|_| !rows.is_empty()) {
            self.had_rows.insert((table, partition.to_owned()));
        }
        let same = self.bytes.entry((table, rows.join("\n") + &footer)).or_insert_with(|| body.clone());
        if same != body {
            violated(Invariant::Determinism, format!("{key}: the same rows and metadata gave other bytes before"));
        }
        violations
    }

    /// Finds times that no record said, and times that are earlier than in the version before.
    fn check_histories(&mut self, key: &str, histories: Histories) -> Vec<String> {
        let mut found = Vec::new();
        for (customer, history) in &histories {
            let said = self.said.get(customer).map(Vec::as_slice).unwrap_or_default();
            let is_said = |time: fn(&ConsentHistory) -> Option<i64>| {
                time(history).is_none() || said.iter().any(|said| time(said) == time(history))
            };
            let is_from_records = is_said(|of| of.withdrawn_at_ms)
                && is_said(|of| of.suspended_at_ms)
                && is_said(|of| of.valid_seen_at_ms);
            if !is_from_records {
                found.push(format!("{key}: no record of customer {customer} says all of {history:?}: {said:?}"));
            }
        }
        let before = self.histories.insert(key.to_owned(), histories.clone()).unwrap_or_default();
        for (customer, was) in before {
            let is = histories.get(&customer).copied().unwrap_or_default();
            if greatest(was, is) != is {
                found.push(format!("{key}: customer {customer} had {was:?}, and now has {is:?}"));
            }
        }
        found
    }

    /// The person in a row who never consented.
    fn without_consent(&self, table: Table, row: &str) -> Option<String> {
        let cells: Vec<&str> = row.split(' ').collect();
        if table != Table::MachineLearningCurated {
            let has_consented = |email: &str| self.names.get(email).is_some_and(|name| self.consented.contains(name));
            let mut emails = cells.iter().map(|cell| cell.trim()).filter(|cell| cell.contains('@'));
            return emails.find(|email| !has_consented(email)).map(str::to_owned);
        }
        let number = |i: usize| cells.get(i).and_then(|cell| cell.parse::<f64>().ok()).map(|number| number as i64);
        let [_, _, step, motion, ..] = cells.as_slice() else { return Some(format!("an unknown person ({row})")) };
        let device = number(2).and_then(|number| self.steps.get(&number));
        let user = number(3).and_then(|number| self.motions.get(&number));
        match (device, user) {
            (Some(device), Some(user)) if self.devices.contains(device) && self.consented.contains(user) => None,
            (Some(device), Some(user)) => Some(format!("{} or the owner of device {device}", email(user))),
            _ => Some(format!("an unknown person, whose readings {step} and {motion} were never uploaded")),
        }
    }
}

/// The length of the magic bytes that begin a Parquet file.
const MAGIC_BYTES: usize = 4;

/// Whether a footer of the training table has only what it may: the columns, the ETags of the two cells that it was computed
/// from, and whether the object had rows.
fn is_of_training(footer: &str) -> bool {
    let Some(pairs) = footer.strip_prefix("sensorreadingtime distancefromobject x y z same_customer;") else {
        return false;
    };
    let is_etag = |value: &str| value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'"');
    pairs.split(' ').all(|pair| match pair.split_once('=') {
        Some(("accelerometer_trusted" | "step_trainer_trusted", value)) => is_etag(value),
        Some(("had_rows", "")) => true,
        _ => pairs.is_empty(),
    })
}

/// The columns' names, the footer's metadata, and the bytes before the rows.
fn footer(body: &Bytes) -> Result<String, formats::Corrupt> {
    let reader = SerializedFileReader::new(body.clone()).map_err(|error| formats::Corrupt::new("parquet", error))?;
    let header = header(body, reader.metadata());
    let metadata = reader.metadata().file_metadata();
    let columns: Vec<&str> = metadata.schema_descr().columns().iter().map(|column| column.name()).collect();
    let pairs = metadata.key_value_metadata().into_iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|pair| format!("{}={}", pair.key, pair.value.as_deref().unwrap_or_default())).collect();
    Ok(format!("{};{}{}", columns.join(" "), pairs.join(" "), header.escape_ascii()))
}

/// The bytes of a Parquet file between its magic bytes and its first column.
pub fn header<'a>(body: &'a Bytes, metadata: &ParquetMetaData) -> &'a [u8] {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let end = columns.map(|column| column.byte_range().0 as usize).min().unwrap_or_else(|| {
        // Without rows, the footer follows. The file ends with the footer's length and the magic bytes.
        let length = body.last_chunk().map(|[a, b, c, d, ..]: &[u8; 8]| u32::from_le_bytes([*a, *b, *c, *d]));
        body.len().saturating_sub(8 + length.unwrap_or_default() as usize)
    });
    body.get(MAGIC_BYTES..end).unwrap_or_default()
}
