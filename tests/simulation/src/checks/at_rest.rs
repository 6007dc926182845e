//! Checks the whole lake when no event is pending: convergence, withdrawal, row counts, catalog.

use super::watch::Watch;
use super::{Invariant, Violation};
use crate::oracle::{self, Expected, Histories, Latest, greatest, key_of};
use crate::scenario::{Files, Line, MIDNIGHT_MS, SPELLINGS, spelled_email};
use crate::tables::{histories_of, latest_of, rows_of};
use bytes::Bytes;
use formats::cell::Cell;
use formats::customer_shard::devices::DeviceShard;
use model::consent::ConsentHistory;
use model::hash::HashKey;
use model::lake_config::{ConsentPolicy, LakeConfig};
use model::layout::{self, FileId, Object, ObjectLocation, Source};
use model::table::Table;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use store::BoxError;
use store::Read;
use store::lake::Lake;

/// The tables whose partitions are registered.
const PARTITIONED: [Table; 3] = [Table::AccelerometerTrusted, Table::StepTrainerTrusted, Table::MachineLearningCurated];

/// How many rows a violation shows.
const SHOWN: usize = 3;

/// Everything that is in a lake.
pub struct Snapshot {
    objects: BTreeMap<String, Bytes>,
    /// Table → its registered partitions.
    registered: BTreeMap<Table, BTreeSet<String>>,
    bucket: String,
}

/// Reads everything that is in a lake.
pub async fn snapshot(lake: &Lake) -> Result<Snapshot, BoxError> {
    let mut objects = BTreeMap::new();
    for key in lake.store.list(lake.bucket(), "", true).await?.objects.into_keys() {
        if let Read::Found { body, .. } = lake.store.read(&lake.at(key.as_str()), None).await? {
            objects.insert(key, body);
        }
    }
    let mut registered = BTreeMap::new();
    for table in PARTITIONED {
        let partitions = lake.catalog.partitions(table).await?;
        registered.insert(table, partitions.iter().map(ToString::to_string).collect());
    }
    Ok(Snapshot { objects, registered, bucket: lake.bucket().to_owned() })
}

/// Compares the content of a lake with the tables that the oracle makes of the landing files.
pub fn check(
    snapshot: &Snapshot,
    config: LakeConfig,
    files: &Files<'_>,
    watch: &Watch,
) -> Result<Vec<Violation>, BoxError> {
    let mut violations = Violations::default();
    let histories = histories(snapshot, files, &mut violations);
    let latest = latest(snapshot, config, files, watch, &mut violations)?;
    let expected = oracle::tables(files, config, &histories, &latest);
    let rows = convergence(&expected, &snapshot.objects, &mut violations)?;
    withdrawal(&expected, watch, &snapshot.objects, &rows, &mut violations);
    row_counts(snapshot, &expected, files, &mut violations)?;
    for key in snapshot.objects.keys().filter(|key| key.starts_with("_state/work/")) {
        violations.add(Invariant::Withdrawal, true, || format!("{key} is not done"));
    }
    for (table, registered) in &snapshot.registered {
        let had_rows = watch.had_rows(*table);
        violations.add(Invariant::Catalog, *registered != had_rows, || {
            format!("{table}: registered are {registered:?}, but rows have been in {had_rows:?}")
        });
    }
    Ok(violations.0)
}

#[derive(Default)]
struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, invariant: Invariant, violated: bool, what: impl FnOnce() -> String) {
        if violated {
            self.0.push(Violation { invariant, what: what() });
        }
    }
}

/// Returns the histories of consent that the lake has. They must have everything that the current files say.
fn histories(snapshot: &Snapshot, files: &Files<'_>, violations: &mut Violations) -> Histories {
    let mut histories = Histories::new();
    for (key, body) in snapshot.objects.iter().filter(|(key, _)| key.starts_with(Table::CustomerTrusted.prefix())) {
        match histories_of(body.clone()) {
            Ok(of_shard) => histories.extend(of_shard),
            Err(error) => {
                violations.add(Invariant::Withdrawal, true, || format!("{key} has no histories of consent: {error}"));
            }
        }
    }
    for (name, current) in oracle::current_histories(files) {
        let history = histories.get(&key_of(&name)).copied().unwrap_or_default();
        // Without a suspension nothing asks when a valid record was seen.
        let seen_ms = current.valid_seen_at_ms.filter(|_| history.suspended_at_ms.is_some());
        let current = ConsentHistory { valid_seen_at_ms: seen_ms, ..current };
        violations.add(Invariant::Withdrawal, greatest(history, current) != history, || {
            format!("{name} has the history {history:?}, but the current files say {current:?}")
        });
    }
    histories
}

/// Returns the times of the latest readings that the lake has. Each must be one that was uploaded, and none may be earlier than
/// what is in the current files. Under the policy `ever` only whether there is a reading counts.
fn latest(
    snapshot: &Snapshot,
    config: LakeConfig,
    files: &Files<'_>,
    watch: &Watch,
    violations: &mut Violations,
) -> Result<Latest, BoxError> {
    let mut latest = Latest::new();
    let is_index = |key: &str| matches!(Object::parse(key), Some(Object::LatestReadings(_)));
    for (_, body) in snapshot.objects.iter().filter(|(key, _)| is_index(key)) {
        latest.extend(latest_of(body, watch.times_ms().keys().map(String::as_str), key_of)?);
    }
    let times_count = config.consent_policy == ConsentPolicy::AtReading;
    for (name, time_ms) in &latest {
        let is_uploaded = watch.times_ms().get(name).is_some_and(|times| times.contains(time_ms));
        violations.add(Invariant::Convergence, times_count && !is_uploaded, || {
            format!("{name} has a latest reading at {time_ms}, which was never uploaded")
        });
    }
    for line in files.values().flat_map(|version| version.content.lines()) {
        let Line::Motion(motion) = line else { continue };
        let known = latest.get(&motion.name);
        let is_known = known.is_some_and(|known| !times_count || *known >= MIDNIGHT_MS + motion.time);
        violations.add(Invariant::Convergence, !is_known, || {
            format!("{} has a reading at {}, but the latest is {known:?}", motion.name, MIDNIGHT_MS + motion.time)
        });
    }
    Ok(latest)
}

/// The rows of each object of a table.
type Rows = BTreeMap<String, Vec<String>>;

fn convergence(
    expected: &Expected,
    objects: &BTreeMap<String, Bytes>,
    violations: &mut Violations,
) -> Result<Rows, BoxError> {
    let mut all = Rows::new();
    for (table, expected) in Table::DERIVED.into_iter().zip(expected.all()) {
        let mut found = Vec::new();
        for (key, body) in objects.iter().filter(|(key, _)| key.starts_with(table.prefix())) {
            let rows = rows_of(table, key, body.clone())?;
            found.extend(rows.iter().cloned());
            all.insert(key.clone(), rows);
        }
        found.sort();
        violations.add(Invariant::Convergence, found != *expected, || {
            let missing = without(expected, &found);
            let more = without(&found, expected);
            format!("{table} has {} rows, not {}; missing: {missing}; too many: {more}", found.len(), expected.len())
        });
    }
    Ok(all)
}

/// Describes the rows of `a` that are not in `b`, each as often as it is missing.
fn without(a: &[String], b: &[String]) -> String {
    let mut rest = b.to_vec();
    let mut rows = Vec::new();
    for row in a {
        match rest.iter().position(|other| other == row) {
            Some(i) => drop(rest.swap_remove(i)),
            None => rows.push(row.as_str()),
        }
    }
    match rows.len() {
        0 => "none".to_owned(),
        n if n > SHOWN => format!("{} and {} more", rows[..SHOWN].join(" | "), n - SHOWN),
        _ => rows.join(" | "),
    }
}

fn withdrawal(
    expected: &Expected,
    watch: &Watch,
    objects: &BTreeMap<String, Bytes>,
    rows: &Rows,
    violations: &mut Violations,
) {
    // Quarantine holds original bytes, not rows.
    let outside = |key: &str| !key.contains("/landing/") && !key.starts_with("quarantine/");
    // The device lookup is compressed.
    let lookups = objects.iter().filter(|(key, _)| matches!(Object::parse(key), Some(Object::Devices(_))));
    let lookups: BTreeMap<&String, String> =
        lookups.map(|(key, body)| (key, format!("{:?}", DeviceShard::decode(body.clone())))).collect();
    for name in watch.customers().difference(&expected.eligible) {
        let emails = (0..SPELLINGS).map(|spelling| spelled_email(name, spelling).trim().to_owned());
        let others = [format!("Dr. {name} Surname"), format!("555-{name}"), format!("1399-{name}")];
        for value in emails.chain(others) {
            for (key, body) in objects.iter().filter(|(key, _)| outside(key)) {
                let within = memchr::memmem::find(body, value.as_bytes()).is_some()
                    || rows.get(key).is_some_and(|rows| rows.iter().any(|row| row.contains(&value)))
                    || lookups.get(key).is_some_and(|lookup| lookup.contains(&value));
                violations.add(Invariant::Withdrawal, within, || format!("{key} holds {value}, who is not eligible"));
            }
        }
    }
}

fn row_counts(
    snapshot: &Snapshot,
    expected: &Expected,
    files: &Files<'_>,
    violations: &mut Violations,
) -> Result<(), BoxError> {
    let rows_of_files = rows_of_files(snapshot)?;
    for key in files.keys() {
        let Some(source) = Source::ALL.into_iter().find(|source| key.starts_with(source.landing().prefix())) else {
            continue;
        };
        let location = ObjectLocation { bucket: snapshot.bucket.clone(), key: (*key).to_owned() };
        let file = FileId::of(&HashKey::public(), &location);
        let receipt_key = layout::receipt(source, file);
        let Some(body) = snapshot.objects.get(&receipt_key) else {
            violations.add(Invariant::RowCounts, true, || format!("{key} has no receipt"));
            continue;
        };
        let receipt: Value = serde_json::from_slice(body)?;
        let count = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
        let excluded: u64 = receipt["excluded"].as_object().into_iter().flatten().map(|(_, rows)| count(rows)).sum();
        let (all, kept, quarantined) =
            (count(&receipt["rows"]), count(&receipt["kept"]), count(&receipt["quarantined"]));
        let outputs = receipt["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let counts = expected.row_counts.get(*key).copied().unwrap_or_default();
        let say = |what: &str| format!("{receipt_key}: {what}: {receipt}; expected {counts:?}");
        violations.add(Invariant::RowCounts, all != kept + excluded + quarantined, || say("the sum is wrong"));
        violations.add(Invariant::RowCounts, all != counts.rows, || say("rows are wrong"));
        violations.add(Invariant::RowCounts, quarantined != counts.quarantined, || say("quarantined is wrong"));
        let quarantine = snapshot.objects.get(&layout::quarantine(source, file));
        let lines = quarantine.map_or(0, |lines| memchr::memchr_iter(b'\n', lines).count()) as u64;
        violations
            .add(Invariant::RowCounts, lines != quarantined, || say(&format!("its quarantine has {lines} lines")));
        let in_outputs: u64 = outputs.iter().map(|output| count(&output["rows"])).sum();
        violations.add(Invariant::RowCounts, kept != in_outputs, || say("kept is not the sum of the outputs"));
        // Of customer files the definitions fix no number of rows: several may hold the record that counts.
        if source == Source::Customer {
            continue;
        }
        // The receipt counts what was kept when the file was ingested; the cells have what is kept now.
        let in_cells = rows_of_files.get(&file).copied().unwrap_or_default();
        violations.add(Invariant::RowCounts, counts.kept.is_some_and(|expected| in_cells != expected), || {
            say(&format!("the cells have {in_cells} rows of the file"))
        });
    }
    Ok(())
}

/// The number of rows of each landing file of readings in the cells.
fn rows_of_files(snapshot: &Snapshot) -> Result<BTreeMap<FileId, u64>, BoxError> {
    let mut rows = BTreeMap::new();
    for table in [Table::AccelerometerTrusted, Table::StepTrainerTrusted] {
        for (_, body) in snapshot.objects.iter().filter(|(key, _)| key.starts_with(table.prefix())) {
            for (file, entry) in Cell::decode(table, body.clone())?.entries {
                *rows.entry(file).or_default() += entry.rows.num_rows() as u64;
            }
        }
    }
    Ok(rows)
}
