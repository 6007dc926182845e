//! Reads random bytes and damaged objects as stored objects. The result is an object or an error, never a panic.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use arrow_array::RecordBatch;
use bytes::Bytes;
use formats::Corrupt;
use formats::cell::{self, Cell, Entry, ShardVersions};
use formats::columnar::Decoder;
use formats::compacted_segment::CompactedSegment;
use formats::customer_file::{Customers, FileCustomer};
use formats::customer_shard::consents::Consents;
use formats::customer_shard::curated::{CuratedFrom, CuratedShard};
use formats::customer_shard::devices::DeviceShard;
use formats::customer_shard::records::FileVersion;
use formats::customer_shard::trusted::{CustomerShard, TrustedShard};
use formats::index_segment::IndexSegment;
use formats::landing::{Collect, LandingReader};
use formats::latest_readings::LatestReadings;
use formats::manifest::FileManifest;
use formats::quarantine::Quarantine;
use formats::reading::{Accelerometer, EligibleReading, Key, Reading, Readings, ReadingsCollector, StepTrainer};
use formats::receipt::{LandingVersion, Receipt};
use formats::training::{self, TrainingFrom, TrainingRow};
use formats::work_item::WorkItem;
use model::hash::{HashKey, Shard, ShardCount};
use model::lake_config::{ConsentPolicy, LakeConfig, Pairs};
use model::layout::{self, FileId, FileSlice, Object, ObjectLocation, Source};
use model::slice::{Slice, SlicesPerHour};
use model::table::Table;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::LazyLock;

const TIME_MS: i64 = 1_655_564_444_103;

/// Reads an object as one kind, and uses the result.
type Reader = fn(Bytes) -> Result<(), Corrupt>;

/// Every kind of stored object: its name, a real object, and its reader.
static OBJECTS: LazyLock<Vec<(&str, Bytes, Reader)>> = LazyLock::new(|| {
    let trusted = customers_shard().encode().unwrap();
    let (motions, steps) = (cell_of(&motions()).encode().unwrap(), cell_of(&steps()).encode().unwrap());
    vec![
        ("trusted shard", trusted.clone(), trusted_shard as Reader),
        ("customer shard", trusted, customer_shard),
        ("curated shard", curated().encode().unwrap(), curated_shard),
        ("device lookup", devices().encode().unwrap(), device_shard),
        ("accelerometer cell", motions.clone(), read_cell::<Accelerometer>),
        ("step trainer cell", steps.clone(), read_cell::<StepTrainer>),
        ("cell without an object", Cell::empty(Table::StepTrainerTrusted).encode().unwrap(), read_cell::<StepTrainer>),
        ("accelerometer rows", motions.clone(), read_rows::<Accelerometer>),
        ("step trainer rows", steps.clone(), read_rows::<StepTrainer>),
        ("training object", training_object(), read_training),
        ("manifest", manifest().encode().unwrap(), read_manifest::<Slice>),
        ("customer manifest", customer_manifest().encode().unwrap(), read_manifest::<Shard>),
        ("latest-reading index", latest_readings().encode(), latest_reading_index),
        ("receipt", receipt().encode().unwrap(), read_receipt),
        ("index segment", index_segment(), read_index_segment),
        ("compacted segment", compacted_segment().encode().unwrap(), read_compacted_segment),
        ("work item", work_item(), read_work_item),
    ]
});

fn location(name: &str) -> ObjectLocation {
    ObjectLocation { bucket: "b".into(), key: format!("customer/landing/{name}.json") }
}

fn shard() -> Shard {
    HashKey::public().of("a").shard(Default::default())
}

fn collected<C: Collect>(collector: C, records: impl Iterator<Item = String>) -> C {
    let mut reader = LandingReader::new(collector);
    records.for_each(|record| reader.push(record.as_bytes()).unwrap());
    reader.finish().unwrap().0
}

fn customers() -> Vec<FileCustomer> {
    let record = |i: i64| {
        format!(
            r#"{{"email":"{i}@example.com","customerName":"Name {i}","serialNumber":"s{}","lastUpdateDate":{},"shareWithResearchAsOfDate":{}}}"#,
            i / 2,
            TIME_MS + i,
            if i % 3 == 0 { 0 } else { TIME_MS - i }
        )
    };
    collected(Customers::stored_at(TIME_MS, HashKey::public()), (0..20).map(record)).customers().cloned().collect()
}

fn customers_shard() -> CustomerShard {
    ingest(CustomerShard::empty(HashKey::public()), "f").unwrap()
}

/// Ingests the customers as a file of this name, as the function does.
fn ingest(shard: CustomerShard, name: &str) -> Result<CustomerShard, Corrupt> {
    let (mut update, file) = (shard.update(), FileId::of(&HashKey::public(), &location(name)));
    update.ingest(FileVersion { file, generation: 1, stored_ms: TIME_MS }, customers().iter());
    let _ = update.wanted();
    let (shard, _) = update.settle()?;
    let _ = shard.row_counts(file, customers().iter().map(|customer| customer.key));
    Ok(shard)
}

fn latest_readings() -> LatestReadings {
    let latest_ms = customers().into_iter().map(|customer| (customer.key, TIME_MS));
    LatestReadings::default().raised(latest_ms, ConsentPolicy::AtReading).unwrap()
}

fn curate(shard: &CuratedShard, trusted: Bytes) -> Result<CuratedShard, Corrupt> {
    let trusted = TrustedShard::decode(trusted, &HashKey::public())?;
    let from = CuratedFrom { trusted: Some("etag".into()), trusted_version: trusted.version, latest_readings: None };
    shard.curate(from, &trusted, &latest_readings(), &LakeConfig::default())
}

fn curated() -> CuratedShard {
    curate(&CuratedShard::default(), customers_shard().encode().unwrap()).unwrap()
}

/// Takes the claims of all customers into the device shard of the first device, as the function does.
fn merged(devices: &DeviceShard, curated: &CuratedShard) -> DeviceShard {
    let (count, shard) = (ShardCount::default(), HashKey::public().of("s0").shard(ShardCount::default()));
    let keys = customers().into_iter().map(|customer| customer.key);
    let keys = keys.filter(|key| curated.device_shards(*key, count).any(|of| of == shard));
    devices.merged(shard, keys.map(|key| (curated, key)), count).unwrap_or_else(|| devices.clone())
}

fn devices() -> DeviceShard {
    merged(&DeviceShard::default(), &curated())
}

fn motions() -> Readings<Accelerometer> {
    let time = |i: i64| TIME_MS + i / 20 * 3_600_000;
    let record = |i| format!(r#"{{"user":"{}@example.com","timestamp":{},"x":{i},"y":-1.0,"z":0.5}}"#, i % 7, time(i));
    collected(ReadingsCollector::<Accelerometer>::default(), (0..60).map(record)).finish(&HashKey::public())
}

fn steps() -> Readings<StepTrainer> {
    let mut steps = ReadingsCollector::<StepTrainer>::default();
    (0..60).for_each(|i| steps.add("serial", TIME_MS + i, i as i32));
    steps.finish(&HashKey::public())
}

fn admitted<R: Reading>(readings: &Readings<R>) -> Vec<EligibleReading<'_, R::Value>> {
    let key = |position: u32| readings.keys()[position as usize].text.as_str();
    let rows = readings.rows().iter();
    rows.map(|row| EligibleReading { key: key(row.key), owner: "owner", time_ms: row.time_ms, value: row.value })
        .collect()
}

/// A cell with the rows of two files, and a file without rows.
fn cell_of<R: Reading>(readings: &Readings<R>) -> Cell {
    let rows = admitted(readings);
    let entries = [("f", 1, &rows[..]), ("g", 2, &rows[..9]), ("h", 3, &[])].map(|(name, generation, rows)| {
        (FileId::of(&HashKey::public(), &location(name)), Entry { generation, rows: cell::rows::<R>(rows).unwrap() })
    });
    let mut cell = Cell::empty(R::TRUSTED);
    cell.entries = entries.into();
    cell.consents.insert(shard(), 3);
    cell
}

/// The rows of a cell, as the training table reads them.
fn rows_of(table: Table, cell: Bytes) -> Result<Vec<RecordBatch>, Corrupt> {
    Decoder::new(cell, table.name())?.batches(table)?.collect()
}

fn training_rows() -> Vec<TrainingRow> {
    let rows = |cell: Cell, table| rows_of(table, cell.encode().unwrap()).unwrap();
    let steps = rows(cell_of(&steps()), Table::StepTrainerTrusted);
    let motions = rows(cell_of(&motions()), Table::AccelerometerTrusted);
    training::join(&steps, &motions, Pairs::SameInstant)
}

fn training_object() -> Bytes {
    let rows = training_rows();
    assert!(!rows.is_empty());
    let from = TrainingFrom { step_trainer: Some("etag".into()), accelerometer: None, had_rows: true };
    training::encode(&rows, &from).unwrap()
}

fn manifest() -> FileManifest<Slice> {
    let touched = motions().slices(SlicesPerHour::default()).into_iter().map(|(slice, _)| slice).collect();
    FileManifest {
        landing: location("f"),
        etag: "etag".into(),
        stored_ms: None,
        undecodable: None,
        generation: 2,
        touched,
    }
}

fn customer_manifest() -> FileManifest<Shard> {
    let (landing, touched) = (location("f"), [shard()].into());
    let undecodable = Some("utf_16".into());
    FileManifest { landing, etag: "etag".into(), stored_ms: Some(TIME_MS), undecodable, generation: 1, touched }
}

fn receipt() -> Receipt {
    let landing = LandingVersion { location: location("f"), etag: "etag".into() };
    let mut receipt = Receipt::new(
        Source::Accelerometer,
        FileId::of(&HashKey::public(), &location("f")),
        landing,
        &Quarantine::default(),
    );
    receipt.keep("key".into(), 10);
    receipt.exclude("no_trusted_customer", 3);
    receipt.derived_from.insert(shard(), 3);
    receipt
}

fn trusted_shard(bytes: Bytes) -> Result<(), Corrupt> {
    if let Ok(consents) = Consents::decode(bytes.clone()) {
        let _ = (
            consents.owner(&Key { text: "a".into(), hash: HashKey::public().of("a") }),
            consents.versions().map(|versions| versions.changed(HashKey::public().of("a"))),
        );
    }
    curate(&CuratedShard::default(), bytes).map(drop)
}

fn customer_shard(bytes: Bytes) -> Result<(), Corrupt> {
    let shard = CustomerShard::decode(bytes, HashKey::public())?;
    assert!(shard.customers().is_sorted_by(|a, b| a.email < b.email));
    for name in ["f", "g"] {
        let _ = ingest(shard.clone(), name)?.encode().unwrap();
    }
    Ok(())
}

fn curated_shard(bytes: Bytes) -> Result<(), Corrupt> {
    let shard = CuratedShard::decode(bytes)?;
    let _ = merged(&DeviceShard::default(), &shard).encode()?;
    curate(&shard, customers_shard().encode()?)?.encode().map(drop)
}

fn device_shard(bytes: Bytes) -> Result<(), Corrupt> {
    let devices = DeviceShard::decode(bytes)?;
    let _ = devices.owner(HashKey::public().of("s0"));
    merged(&devices, &curated()).encode().map(drop)
}

/// Reads a cell as ingestion and a change of consent do, and writes it again.
fn read_cell<R: Reading>(bytes: Bytes) -> Result<(), Corrupt> {
    let cell = Cell::decode(R::TRUSTED, bytes)?;
    let rows: usize = cell.entries.values().map(|entry| entry.rows.num_rows()).sum();
    assert_eq!(cell.has_rows(), rows > 0);
    assert_eq!(cell.consents.iter().find(|(shard, version)| cell.consent(**shard) != **version), None);
    for Entry { rows, .. } in cell.entries.values() {
        let stored: Vec<_> = (0..rows.num_rows()).map(|row| R::stored(rows, row)).collect();
        assert_eq!(cell::rows::<R>(&stored)?.num_rows(), rows.num_rows());
        stored.iter().for_each(|row| drop(R::identity(row.key)));
    }
    let again = Cell::decode(R::TRUSTED, cell.encode()?)?;
    assert_eq!(again.entries.keys().collect::<Vec<_>>(), cell.entries.keys().collect::<Vec<_>>());
    assert_eq!(rows, again.entries.values().map(|entry| entry.rows.num_rows()).sum::<usize>());
    Ok(())
}

/// Reads a cell as the training table does, and joins its rows.
fn read_rows<R: Reading>(bytes: Bytes) -> Result<(), Corrupt> {
    let rows = rows_of(R::TRUSTED, bytes)?;
    let (steps, motions) =
        (rows_of(Table::StepTrainerTrusted, stored("step trainer cell"))?, stored("accelerometer cell"));
    let motions = rows_of(Table::AccelerometerTrusted, motions)?;
    let joined = match R::SOURCE {
        Source::StepTrainer => training::join(&rows, &motions, Pairs::SameCustomer),
        _ => training::join(&steps, &rows, Pairs::SameCustomer),
    };
    training::encode(&joined, &TrainingFrom::default()).map(drop)
}

/// Returns a real object.
fn stored(name: &str) -> Bytes {
    OBJECTS.iter().find(|(other, _, _)| *other == name).unwrap().1.clone()
}

fn read_training(bytes: Bytes) -> Result<(), Corrupt> {
    let from = TrainingFrom::of(bytes)?;
    training::encode(&[], &from).map(drop)
}

fn read_manifest<T: Ord + Clone + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned>(
    bytes: Bytes,
) -> Result<(), Corrupt> {
    let manifest = FileManifest::<T>::decode(&bytes)?;
    let next = FileManifest { generation: manifest.generation.saturating_add(1), ..manifest };
    assert_eq!(FileManifest::decode(&next.encode()?)?, next);
    Ok(())
}

fn latest_reading_index(bytes: Bytes) -> Result<(), Corrupt> {
    let latest_readings = LatestReadings::decode(&bytes)?;
    let raised = latest_readings.raised([(HashKey::public().of("a"), TIME_MS)], ConsentPolicy::AtReading);
    assert_eq!(raised.unwrap_or(latest_readings).latest_ms(HashKey::public().of("a")), Some(TIME_MS));
    Ok(())
}

fn index_segment() -> Bytes {
    let file_slice = |name, time_ms| FileSlice {
        slice: SlicesPerHour::default().slice_of(time_ms),
        file: FileId::of(&HashKey::public(), &location(name)),
    };
    let file_slices = [file_slice("f", TIME_MS), file_slice("f", TIME_MS + 3_600_000), file_slice("g", TIME_MS)];
    let keys = |_| (0..9).map(|key: u8| HashKey::public().of(&key.to_string()));
    IndexSegment::encode(file_slices.map(|file_slice| (file_slice, keys(file_slice)))).unwrap()
}

fn read_index_segment(bytes: Bytes) -> Result<(), Corrupt> {
    let segment = IndexSegment::decode(bytes)?;
    assert_eq!(segment.file_slices_with(&Default::default()).count(), 0);
    let _ = segment.file_slices_with(&[HashKey::public().of("1")].into()).count();
    let compacted = CompactedSegment::default().with(HashKey::public().of("1").index_part(), &[("name", &segment)]);
    compacted.unwrap().encode().map(drop)
}

fn compacted_segment() -> CompactedSegment {
    let segment = IndexSegment::decode(index_segment()).unwrap();
    CompactedSegment::default().with(HashKey::public().of("1").index_part(), &[("name", &segment)]).unwrap()
}

fn read_compacted_segment(bytes: Bytes) -> Result<(), Corrupt> {
    let compacted = CompactedSegment::decode(bytes)?;
    assert_eq!(compacted.file_slices_with(&Default::default()).count(), 0);
    let _ = compacted.file_slices_with(&[HashKey::public().of("1")].into()).count();
    let segment = IndexSegment::decode(index_segment())?;
    let with = compacted.with(HashKey::public().of("1").index_part(), &[("other", &segment)]);
    with.map_or(Ok(()), |with| with.encode().map(drop))
}

fn work_item() -> Bytes {
    let shards: ShardVersions = ShardCount::default().all().zip(3..).take(2).collect();
    let files = ["f", "g"].map(|name| FileId::of(&HashKey::public(), &location(name)));
    let keys = ["a", "b"].map(|key| (HashKey::public().of(key), files.into()));
    let cells = [(SlicesPerHour::default().slice_of(TIME_MS), keys.into())].into();
    WorkItem { planned: shards.clone(), changed: shards, cells }.encode().unwrap()
}

fn read_work_item(bytes: Bytes) -> Result<(), Corrupt> {
    let item = WorkItem::decode(&bytes)?;
    let _ = item.keys();
    item.encode().map(drop)
}

fn read_receipt(bytes: Bytes) -> Result<(), Corrupt> {
    let receipt = Receipt::decode(&bytes)?;
    receipt.encode().map(drop)
}

/// A change of stored bytes.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
    Digit(Index, u8),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            8 => (any::<Index>(), 1_u8..).prop_map(|(at, mask)| Self::Flip(at, mask)),
            1 => any::<Index>().prop_map(Self::Cut),
            2 => (any::<Index>(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Self::Repeat(from, to)),
            3 => (any::<Index>(), b'0'..=b'9').prop_map(|(at, digit)| Self::Digit(at, digit)),
        ]
    }

    fn applied_to(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if bytes.is_empty() {
            return bytes;
        }
        let length = bytes.len();
        match self {
            Self::Flip(at, mask) => bytes[at.index(length)] ^= mask,
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Insert(at, inserted) => drop(bytes.splice(at.index(length)..at.index(length), inserted.clone())),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
            // Changing a digit keeps JSON legal.
            Self::Digit(at, digit) => {
                let digits: Vec<usize> = (0..length).filter(|i| bytes[*i].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    bytes[digits[at.index(digits.len())]] = *digit;
                }
            }
        }
        bytes
    }
}

#[test]
fn real_objects_are_read() {
    for (name, bytes, read) in OBJECTS.iter() {
        read(bytes.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn any_bytes_are_an_object_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
        for (_, _, read) in OBJECTS.iter() {
            let _ = read(bytes.clone().into());
        }
    }

    #[test]
    fn a_damaged_object_is_an_object_or_an_error(damages in vec(Damage::any(), 1..5)) {
        for (_, real, read) in OBJECTS.iter() {
            let damaged = damages.iter().fold(real.to_vec(), |bytes, damage| damage.applied_to(bytes));
            let _ = read(damaged.into());
        }
    }

    #[test]
    fn any_key_is_parsed_or_refused(any in "\\PC{0,60}", damaged in damaged_key()) {
        for key in [any, damaged] {
            if let Some((hash, file_slice)) = layout::parse_index_entry(Source::Accelerometer, &key) {
                prop_assert_eq!(layout::index_entry(Source::Accelerometer, hash, file_slice), key.as_str());
            }
            let id = FileId::of(&HashKey::public(), &ObjectLocation { bucket: "b".into(), key: key.clone() });
            prop_assert_eq!(FileId::parse(&id.to_string()), Some(id));
            prop_assert!(id.to_string().len() == 32 && id.to_string().bytes().all(|byte| byte.is_ascii_hexdigit()));
            match Object::parse(&key) {
                Some(Object::CustomerTrusted(shard)) => {
                    prop_assert_eq!(layout::customers(Table::CustomerTrusted, shard), key)
                }
                Some(Object::Devices(shard)) => prop_assert_eq!(layout::devices(shard), key),
                Some(Object::LatestReadings(shard)) => prop_assert_eq!(layout::latest_readings(shard), key),
                Some(Object::AccelerometerTrusted(partition)) => {
                    prop_assert_eq!(layout::cell(Table::AccelerometerTrusted, partition), key)
                }
                Some(Object::StepTrainerTrusted(partition)) => {
                    prop_assert_eq!(layout::cell(Table::StepTrainerTrusted, partition), key)
                }
                Some(Object::WorkItem(table)) => prop_assert!(key.starts_with(layout::work_items(table))),
                Some(Object::Landing(source)) => prop_assert!(key.starts_with(source.landing().prefix())),
                None => {}
            }
        }
    }
}

/// Generates a real key in which one character is replaced.
fn damaged_key() -> impl Strategy<Value = String> {
    const KEYS: [&str; 6] = [
        "customer/trusted/07.parquet",
        "customer/curated/07.parquet",
        "lookup/readings/07",
        "accelerometer/trusted/dt=2022-06-18/hour=15/00.parquet",
        "step_trainer/trusted/dt=2022-06-18/hour=15/00.parquet",
        "_state/index/accelerometer/0123456789abcdef0123456789abcdef/dt=2022-06-18/hour=15/fedcba9876543210fedcba9876543210",
    ];
    let replacement = prop_oneof![any::<char>(), prop::char::range('0', '9')];
    (select(&KEYS[..]), any::<Index>(), replacement).prop_map(|(key, at, replacement)| {
        let at = at.index(key.len());
        format!("{}{replacement}{}", &key[..at], &key[at + 1..])
    })
}
