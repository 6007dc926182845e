//! Every object key of the lake: functions that write it, and functions that parse it.
//!
//! `{source}` is `customer`, `accelerometer` or `step_trainer`; `{table}` is the name of a table; `{shard}` is a customer
//! shard such as `07`; `{file}` is the [`FileId`] of a landing file; `{slice}` is a slice of an hour such as
//! `dt=2022-06-18/hour=14/00`.
//!
//! Tables:
//!
//! | key | object | item |
//! |---|---|---|
//! | `{source}/landing/…` | a landing file, which the application writes | [`Source::landing`] |
//! | `customer/trusted/{shard}.parquet` | the consenting customers of a shard, and the state of all its records | [`customers`] |
//! | `customer/curated/{shard}.parquet` | the curated customers of a shard | [`customers`] |
//! | `accelerometer/trusted/{slice}.parquet` | a cell: the eligible readings of all landing files in one slice | [`cell`] |
//! | `step_trainer/trusted/{slice}.parquet` | a cell: the eligible readings of all landing files in one slice | [`cell`] |
//! | `step_trainer/curated/{slice}.parquet` | the training rows of one slice | [`cell`] |
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
//! | `_state/manifests/{source}/{file}` | the generation of one landing file, and the cells or shards it may touch | [`manifest`] |
//! | `_state/index/{source}/{key hash}/{slice}/{file}` | an index entry: the file has, or had, readings of the key in the slice | [`index_entry`] |
//! | `_state/segments/{source}/{content hash}` | an index segment: the keys of files with many keys | [`index_segment`] |
//! | `_state/compacted/{source}/{part}` | a compacted segment: many index segments for 1/16 of the keys | [`compacted_segment`] |
//! | `_state/checkpoints/{table}/{shard}` | the version of a shard up to which the table's function has processed the changes | [`checkpoint`] |
//! | `_state/work/{table}/{content hash}` | a work item: cells that a change of consent concerns | [`work_item`] |
//! | `lookup/readings/{shard}` | the latest-reading index of a shard | [`latest_readings`] |
//! | `lookup/devices/{shard}` | the owners of the devices of a shard | [`devices`] |

use crate::hash::{HashKey, IndexPart, KeyHash, Shard};
use crate::slice::Slice;
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

/// The id of a landing file within the lake: a keyed hash of its bucket and key, as 32 hexadecimal digits.
///
/// The name of a landing file may contain personal data. So keys have the id, and the file's receipt has the name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileId(KeyHash);

impl FileId {
    /// Returns the id of the landing file at `location`.
    ///
    /// It depends on the bucket, because files of several landing buckets may have the same key.
    pub fn of(hash_key: &HashKey, location: &ObjectLocation) -> Self {
        Self(hash_key.of(&location.to_string()))
    }

    /// Parses an id as [`FileId`]'s `Display` writes it.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileId({self})")
    }
}

/// A landing file in one of the slices in which it has, or once had, readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileSlice {
    /// The slice.
    pub slice: Slice,
    /// The file.
    pub file: FileId,
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

/// The owners of the devices of `shard`.
pub fn devices(shard: Shard) -> String {
    format!("{DEVICES}{shard}")
}

/// The prefix of the device lookup.
pub const DEVICES: &str = "lookup/devices/";

/// The rows of one slice of `table`, of all landing files.
pub fn cell(table: Table, slice: Slice) -> String {
    format!("{}{slice}{CELL_END}", table.prefix())
}

/// How the key of a cell ends.
const CELL_END: &str = ".parquet";

/// The prefix of one partition of `table`, with the slash at the end.
pub fn partition_prefix(table: Table, partition: Partition) -> String {
    format!("{}{partition}/", table.prefix())
}

/// The row counts of one landing file.
pub fn receipt(source: Source, file: FileId) -> String {
    format!("{}{file}.json", receipts(source))
}

/// The prefix of the receipts of `source`.
pub fn receipts(source: Source) -> String {
    format!("{RECEIPTS}{source}/")
}

/// The prefix of all receipts.
pub const RECEIPTS: &str = "receipts/";

/// The rejected records of one landing file.
pub fn quarantine(source: Source, file: FileId) -> String {
    format!("{}{file}.jsonl", quarantined(source))
}

/// The prefix of the quarantine files of `source`.
pub fn quarantined(source: Source) -> String {
    format!("quarantine/{source}/")
}

/// The manifest of one landing file.
pub fn manifest(source: Source, file: FileId) -> String {
    format!("{}{file}", manifests(source))
}

/// The prefix of the manifests of `source`.
pub fn manifests(source: Source) -> String {
    format!("_state/manifests/{source}/")
}

/// An index entry. Its existence says that the file has, or once had, readings of `key` in the slice.
pub fn index_entry(source: Source, key: KeyHash, FileSlice { slice, file }: FileSlice) -> String {
    format!("{}{slice}/{file}", index_of_key(source, key))
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

/// Parses the key of an index entry of `source` into the key hash and the file slice.
pub fn parse_index_entry(source: Source, key: &str) -> Option<(KeyHash, FileSlice)> {
    let (hash, file_slice) = key.strip_prefix(&index(source))?.split_once('/')?;
    let (slice, file) = file_slice.rsplit_once('/')?;
    Some((hash.parse().ok()?, FileSlice { slice: Slice::parse(slice)?, file: FileId::parse(file)? }))
}

/// A checkpoint: the version of a shard up to which `table`'s function has processed the changes.
pub fn checkpoint(table: Table, shard: Shard) -> String {
    format!("{}{shard}", checkpoints(table))
}

/// The prefix of the checkpoints of `table`'s function.
pub fn checkpoints(table: Table) -> String {
    format!("_state/checkpoints/{table}/")
}

/// A work item for the function of `table`. `name` is a hash of its content.
pub fn work_item(table: Table, name: &str) -> String {
    format!("{}{name}", work_items(table))
}

/// The prefix of the work items of `table`'s function.
pub const fn work_items(table: Table) -> &'static str {
    match table {
        Table::AccelerometerTrusted => "_state/work/accelerometer_trusted/",
        Table::StepTrainerTrusted => "_state/work/step_trainer_trusted/",
        _ => "",
    }
}

/// The tables whose functions have work items.
const TABLES_OF_WORK: [Table; 2] = [Table::AccelerometerTrusted, Table::StepTrainerTrusted];

/// An object whose creation triggers a function, by its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A landing file.
    Landing(Source),
    /// A shard of `customer_trusted`.
    CustomerTrusted(Shard),
    /// A latest-reading index.
    LatestReadings(Shard),
    /// A shard of the device lookup.
    Devices(Shard),
    /// A cell of `accelerometer_trusted`.
    AccelerometerTrusted(Slice),
    /// A cell of `step_trainer_trusted`.
    StepTrainerTrusted(Slice),
    /// A work item of the function of this table.
    WorkItem(Table),
}

impl Object {
    /// Parses a key; `None` if the object triggers no function.
    pub fn parse(key: &str) -> Option<Self> {
        if let Some(source) = Source::ALL.into_iter().find(|source| key.starts_with(source.landing().prefix())) {
            return Some(Self::Landing(source));
        }
        let shard = |prefix: &str, end: &str| Shard::parse(key.strip_prefix(prefix)?.strip_suffix(end)?);
        let slice = |table: Table| Slice::parse(key.strip_prefix(table.prefix())?.strip_suffix(CELL_END)?);
        None.or_else(|| shard(Table::CustomerTrusted.prefix(), ".parquet").map(Self::CustomerTrusted))
            .or_else(|| shard(LATEST_READINGS, "").map(Self::LatestReadings))
            .or_else(|| shard(DEVICES, "").map(Self::Devices))
            .or_else(|| slice(Table::AccelerometerTrusted).map(Self::AccelerometerTrusted))
            .or_else(|| slice(Table::StepTrainerTrusted).map(Self::StepTrainerTrusted))
            .or_else(|| {
                TABLES_OF_WORK.into_iter().find(|table| key.starts_with(work_items(*table))).map(Self::WorkItem)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slice::SlicesPerHour;

    fn location(key: &str) -> ObjectLocation {
        ObjectLocation { bucket: "stedi".into(), key: key.into() }
    }

    #[test]
    fn ids_of_files_differ_by_key_and_survive_their_text() {
        let id = FileId::of(&HashKey::public(), &location("accelerometer/landing/2022/ann@example.com.json"));
        assert_eq!(FileId::parse(&id.to_string()), Some(id));
        assert_ne!(id, FileId::of(&HashKey::public(), &location("accelerometer/landing/2023/ann@example.com.json")));
        assert_eq!(id.to_string().len(), 32);
        assert_eq!(FileId::parse("ann"), None);
    }

    #[test]
    fn files_of_two_buckets_are_two_files() {
        let other = ObjectLocation { bucket: "other".into(), key: "customer/landing/a.json".into() };
        assert_ne!(
            FileId::of(&HashKey::public(), &other),
            FileId::of(&HashKey::public(), &location("customer/landing/a.json"))
        );
    }

    #[test]
    fn keys_are_parsed_as_they_are_written() {
        let file = FileId::of(&HashKey::public(), &location("x/a.json"));
        let slice = SlicesPerHour::default().slice_of(1_655_564_444_103);
        let shard = HashKey::public().of("a").shard(Default::default());
        for (key, object) in [
            (customers(Table::CustomerTrusted, shard), Object::CustomerTrusted(shard)),
            (latest_readings(shard), Object::LatestReadings(shard)),
            (devices(shard), Object::Devices(shard)),
            (cell(Table::AccelerometerTrusted, slice), Object::AccelerometerTrusted(slice)),
            (cell(Table::StepTrainerTrusted, slice), Object::StepTrainerTrusted(slice)),
            ("customer/landing/deep/er/x".into(), Object::Landing(Source::Customer)),
            (work_item(Table::StepTrainerTrusted, "0123"), Object::WorkItem(Table::StepTrainerTrusted)),
        ] {
            assert_eq!(Object::parse(&key), Some(object), "{key}");
        }
        for none in [
            &cell(Table::MachineLearningCurated, slice),
            &customers(Table::CustomerCurated, shard),
            LAKE_CONFIG,
            &receipt(Source::Customer, file),
            "customer/trusted/x.parquet",
            "accelerometer/trusted/dt=2022-06-18/hour=14/other.parquet",
            "",
        ] {
            assert_eq!(Object::parse(none), None, "{none}");
        }
        let (key, file_slice) = (HashKey::public().of("a"), FileSlice { slice, file });
        let entry = index_entry(Source::Accelerometer, key, file_slice);
        assert_eq!(parse_index_entry(Source::Accelerometer, &entry), Some((key, file_slice)));
    }

    #[test]
    fn state_receipts_and_quarantine_are_outside_the_tables_prefixes() {
        let file = FileId::of(&HashKey::public(), &location("x/a.json"));
        let key = HashKey::public().of("a");
        let shard = key.shard(Default::default());
        for other in [
            LAKE_CONFIG.to_owned(),
            latest_readings(shard),
            devices(shard),
            receipt(Source::Customer, file),
            quarantine(Source::Customer, file),
            manifest(Source::Customer, file),
            index_entry(Source::Accelerometer, key, FileSlice { slice: SlicesPerHour::default().slice_of(0), file }),
            index_segment(Source::Accelerometer, "0123"),
            compacted_segment(Source::Accelerometer, key.index_part()),
            checkpoint(Table::AccelerometerTrusted, shard),
            work_item(Table::AccelerometerTrusted, "0123"),
        ] {
            assert!(Table::ALL.iter().all(|table| !other.starts_with(table.prefix())), "{other}");
        }
    }
}
