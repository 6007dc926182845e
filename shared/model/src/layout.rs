//! Every object key of the lake: functions that write it, and functions that parse it.
//!
//! `{source}` is `customer`, `accelerometer` or `step_trainer`; `{table}` is the name of a table; `{shard}` is a customer
//! shard such as `07`; `{file}` is the [`FileName`] of a landing file; `{hour}` is a partition such as
//! `dt=2022-06-18/hour=14`.
//!
//! Tables:
//!
//! | key | object | item |
//! |---|---|---|
//! | `{source}/landing/…` | a landing file, which the application writes | [`Source::landing`] |
//! | `customer/trusted/{shard}.parquet` | the consenting customers of a shard, and the state of all its records | [`customers`] |
//! | `customer/curated/{shard}.parquet` | the curated customers of a shard | [`customers`] |
//! | `accelerometer/trusted/{hour}/{file}.parquet` | the eligible readings of one landing file in one hour | [`readings`] |
//! | `step_trainer/trusted/{hour}/{file}.parquet` | the eligible readings of one landing file in one hour | [`readings`] |
//! | `step_trainer/curated/{hour}/part-0.parquet` | the training rows of one hour | [`training`] |
//!
//! Row counts and rejections:
//!
//! | key | object | item |
//! |---|---|---|
//! | `receipts/{source}/{file}.json` | the row counts of one landing file | [`receipt`] |
//! | `quarantine/{source}/{file}.jsonl` | the rejected records of one landing file | [`quarantine`] |
//!
//! State of the functions:
//!
//! | key | object | item |
//! |---|---|---|
//! | `_state/lake.json` | the lake config | [`LAKE_CONFIG`] |
//! | `_state/manifests/{source}/{file}` | the keys and partitions that one landing file may touch | [`manifest`] |
//! | `_state/index/{source}/{key hash}/{file}` | an index entry: the file has, or had, readings of the key | [`index_entry`] |
//! | `_state/segments/{source}/{content hash}` | an index segment: the keys of files with many keys | [`index_segment`] |
//! | `_state/compacted/{source}/{part}` | a compacted segment: many index segments for 1/16 of the keys | [`compacted_segment`] |
//! | `_state/checkpoints/{table}/{shard}` | the version of a shard up to which the table's function is done | [`checkpoint`] |
//! | `lookup/readings/{shard}` | the latest-reading index of a shard | [`latest_readings`] |

use crate::hash::{IndexPart, KeyHash, Shard, fingerprint};
use crate::table::Table;
use crate::time::Partition;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One of the three kinds of landing files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Customer records.
    Customer,
    /// Accelerometer readings of the phone app.
    Accelerometer,
    /// Step trainer readings.
    StepTrainer,
}

impl Source {
    /// All three kinds.
    pub const ALL: [Source; 3] = [Source::Customer, Source::Accelerometer, Source::StepTrainer];

    /// Returns its name in keys and receipts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Accelerometer => "accelerometer",
            Self::StepTrainer => "step_trainer",
        }
    }

    /// Returns the table of its landing files.
    pub const fn landing(self) -> Table {
        match self {
            Self::Customer => Table::CustomerLanding,
            Self::Accelerometer => Table::AccelerometerLanding,
            Self::StepTrainer => Table::StepTrainerLanding,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The location of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectLocation {
    /// Its bucket.
    pub bucket: String,
    /// Its key, decoded.
    pub key: String,
}

impl fmt::Display for ObjectLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// The name of a landing file within the lake. It is readable, unique, and safe in every key, path and Hive location.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileName(String);

impl FileName {
    const BASE_BYTES_MAX: usize = 80;

    /// Returns the name of the landing file at `location`: the base name of its key, and a hash of its bucket and key.
    ///
    /// The hash contains the bucket because files of several landing buckets may have the same key.
    pub fn of(location: &ObjectLocation) -> Self {
        let base = location.key.rsplit('/').next().unwrap_or_default();
        let base =
            [".gz", ".zst", ".json", ".jsonl", ".ndjson"].iter().fold(base, |b, end| b.strip_suffix(end).unwrap_or(b));
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') { c } else { '-' };
        // Hive and Athena ignore files whose names start with a dot or an underscore.
        let base: String = base.trim_start_matches(['.', '_']).chars().map(safe).take(Self::BASE_BYTES_MAX).collect();
        let base = if base.is_empty() { "file" } else { &base };
        Self(format!("{base}-{}", fingerprint(&location.to_string())))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The lake config.
pub const LAKE_CONFIG: &str = "_state/lake.json";

/// The customers of `shard` in `table`, which is `customer_trusted` or `customer_curated`.
pub fn customers(table: Table, shard: Shard) -> String {
    format!("{}{shard}.parquet", table.prefix())
}

/// The latest-reading index of `shard`.
pub fn latest_readings(shard: Shard) -> String {
    format!("{LATEST_READINGS}{shard}")
}

/// The prefix of the latest-reading indexes.
pub const LATEST_READINGS: &str = "lookup/readings/";

/// The eligible rows of one landing file in one partition of `table`.
pub fn readings(table: Table, partition: Partition, file: &FileName) -> String {
    format!("{}{file}.parquet", partition_prefix(table, partition))
}

/// The training rows of one partition. The name is fixed, because the name of a landing file may contain personal data.
pub fn training(partition: Partition) -> String {
    format!("{}part-0.parquet", partition_prefix(Table::MachineLearningCurated, partition))
}

/// The prefix of one partition of `table`, with the slash at the end.
pub fn partition_prefix(table: Table, partition: Partition) -> String {
    format!("{}{partition}/", table.prefix())
}

/// The row counts of one landing file.
pub fn receipt(source: Source, file: &FileName) -> String {
    format!("{}{file}.json", receipts(source))
}

/// The prefix of the receipts of `source`.
pub fn receipts(source: Source) -> String {
    format!("{RECEIPTS}{source}/")
}

/// The prefix of all receipts.
pub const RECEIPTS: &str = "receipts/";

/// The rejected records of one landing file.
pub fn quarantine(source: Source, file: &FileName) -> String {
    format!("{}{file}.jsonl", quarantined(source))
}

/// The prefix of the quarantine files of `source`.
pub fn quarantined(source: Source) -> String {
    format!("quarantine/{source}/")
}

/// The manifest of one landing file: the keys and partitions that it may touch.
pub fn manifest(source: Source, file: &FileName) -> String {
    format!("{}{file}", manifests(source))
}

/// The prefix of the manifests of `source`.
pub fn manifests(source: Source) -> String {
    format!("_state/manifests/{source}/")
}

/// An index entry. Its existence says that `file` has, or once had, readings of `key`.
pub fn index_entry(source: Source, key: KeyHash, file: &FileName) -> String {
    format!("{}{file}", index_of_key(source, key))
}

/// The prefix of the index entries of one key.
pub fn index_of_key(source: Source, key: KeyHash) -> String {
    format!("{}{key}/", index(source))
}

/// The prefix of the index entries of all keys.
pub fn index(source: Source) -> String {
    format!("_state/index/{source}/")
}

/// An index segment: the keys of files that have too many keys for one entry each. `name` is a hash of its content.
pub fn index_segment(source: Source, name: &str) -> String {
    format!("{}{name}", index_segments(source))
}

/// The prefix of the index segments of `source`.
pub fn index_segments(source: Source) -> String {
    format!("_state/segments/{source}/")
}

/// A compacted segment: the content of many index segments for one part of the keys.
pub fn compacted_segment(source: Source, part: IndexPart) -> String {
    format!("{}{part}", compacted_index(source))
}

/// The prefix of the compacted segments of `source`.
pub fn compacted_index(source: Source) -> String {
    format!("_state/compacted/{source}/")
}

/// Parses the key of an index entry of `source` into the key hash and the file.
pub fn parse_index_entry(source: Source, key: &str) -> Option<(KeyHash, FileName)> {
    let (hash, file) = key.strip_prefix(&index(source))?.split_once('/')?;
    Some((hash.parse().ok()?, FileName(file.to_owned())))
}

/// A checkpoint: the version of `shard` up to which `table`'s function has applied the changes.
pub fn checkpoint(table: Table, shard: Shard) -> String {
    format!("{}{shard}", checkpoints(table))
}

/// The prefix of the checkpoints of `table`'s function.
pub fn checkpoints(table: Table) -> String {
    format!("_state/checkpoints/{table}/")
}

/// An object whose creation triggers a function, by its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A landing file.
    Landing(Source),
    /// A shard of `customer_trusted`.
    CustomerTrusted(Shard),
    /// A shard of `customer_curated`.
    CustomerCurated(Shard),
    /// A latest-reading index.
    LatestReadings(Shard),
    /// The rows of one landing file in one partition of `accelerometer_trusted`.
    AccelerometerTrusted(Partition),
    /// The rows of one landing file in one partition of `step_trainer_trusted`.
    StepTrainerTrusted(Partition),
}

impl Object {
    /// Parses a key; `None` if the object triggers no function.
    pub fn parse(key: &str) -> Option<Self> {
        if let Some(source) = Source::ALL.into_iter().find(|source| key.starts_with(source.landing().prefix())) {
            return Some(Self::Landing(source));
        }
        let shard = |prefix: &str, end: &str| Shard::parse(key.strip_prefix(prefix)?.strip_suffix(end)?);
        let partition = |table: Table| {
            let (partition, file) = key.strip_prefix(table.prefix())?.rsplit_once('/')?;
            file.ends_with(".parquet").then(|| Partition::parse(partition))?
        };
        None.or_else(|| shard(Table::CustomerTrusted.prefix(), ".parquet").map(Self::CustomerTrusted))
            .or_else(|| shard(Table::CustomerCurated.prefix(), ".parquet").map(Self::CustomerCurated))
            .or_else(|| shard(LATEST_READINGS, "").map(Self::LatestReadings))
            .or_else(|| partition(Table::AccelerometerTrusted).map(Self::AccelerometerTrusted))
            .or_else(|| partition(Table::StepTrainerTrusted).map(Self::StepTrainerTrusted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(key: &str) -> ObjectLocation {
        ObjectLocation { bucket: "stedi".into(), key: key.into() }
    }

    #[test]
    fn file_names_are_readable_unique_and_visible_to_hive() {
        let name = FileName::of(&location("accelerometer/landing/2022/accelerometer-1691348231445.json"));
        assert!(name.as_str().starts_with("accelerometer-1691348231445-"), "{name}");
        assert_ne!(name, FileName::of(&location("accelerometer/landing/2023/accelerometer-1691348231445.json")));
        for odd in ["a/_hidden.json", "a/.json", "a/", "a/dt=1 ü?.json", &format!("a/{}", "x".repeat(900))] {
            let name = FileName::of(&location(odd));
            assert!(!name.as_str().starts_with(['.', '_']) && !name.as_str().contains(['=', '/', ' ']), "{name}");
            assert!(name.as_str().len() <= 100, "{name}");
        }
    }

    #[test]
    fn files_of_two_buckets_are_two_files() {
        let other = ObjectLocation { bucket: "other".into(), key: "customer/landing/a.json".into() };
        assert_ne!(FileName::of(&other), FileName::of(&location("customer/landing/a.json")));
    }

    #[test]
    fn keys_are_parsed_as_they_are_written() {
        let file = FileName::of(&location("x/a.json"));
        let partition = Partition::of(1_655_564_444_103);
        let shard = KeyHash::of("a").shard(Default::default());
        for (key, object) in [
            (customers(Table::CustomerTrusted, shard), Object::CustomerTrusted(shard)),
            (customers(Table::CustomerCurated, shard), Object::CustomerCurated(shard)),
            (latest_readings(shard), Object::LatestReadings(shard)),
            (readings(Table::AccelerometerTrusted, partition, &file), Object::AccelerometerTrusted(partition)),
            (readings(Table::StepTrainerTrusted, partition, &file), Object::StepTrainerTrusted(partition)),
            ("customer/landing/deep/er/x".into(), Object::Landing(Source::Customer)),
        ] {
            assert_eq!(Object::parse(&key), Some(object), "{key}");
        }
        for none in
            [&training(partition), LAKE_CONFIG, &receipt(Source::Customer, &file), "customer/trusted/x.parquet", ""]
        {
            assert_eq!(Object::parse(none), None, "{none}");
        }
        let key = KeyHash::of("a");
        assert_eq!(
            parse_index_entry(Source::Accelerometer, &index_entry(Source::Accelerometer, key, &file)),
            Some((key, file))
        );
    }

    #[test]
    fn state_receipts_and_quarantine_are_outside_the_tables_prefixes() {
        let file = FileName::of(&location("x/a.json"));
        let key = KeyHash::of("a");
        let shard = key.shard(Default::default());
        for other in [
            LAKE_CONFIG.to_owned(),
            latest_readings(shard),
            receipt(Source::Customer, &file),
            quarantine(Source::Customer, &file),
            manifest(Source::Customer, &file),
            index_entry(Source::Accelerometer, key, &file),
            index_segment(Source::Accelerometer, "0123"),
            compacted_segment(Source::Accelerometer, key.index_part()),
            checkpoint(Table::AccelerometerTrusted, shard),
        ] {
            assert!(Table::ALL.iter().all(|table| !other.starts_with(table.prefix())), "{other}");
        }
    }
}
