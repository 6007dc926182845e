//! Files with readings of many people. The index finds them by segments instead of one entry per person.

use formats::index_segment::IndexSegment;
use formats::manifest::FileManifest;
use functions::{HOUR_MS, T, World, cell, customer, event, motion, slice_of};
use ingest::LIMITS;
use model::hash::{HashKey, IndexPart, KeyHash};
use model::lake_config::ConsentPolicy::{AtReading, Ever};
use model::layout::{self, FileSlice, Source};
use model::slice::Slice;
use model::table::Table;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

const CUSTOMERS: &str = "customer/landing/c.json";
const FILES: usize = 12;
const ENTRIES_MAX: usize = LIMITS.entries_max;
const PENDING_MAX: usize = LIMITS.pending_max;

fn key_of(file: usize) -> String {
    format!("accelerometer/landing/{file:02}.json")
}

/// More people than the index stores one by one. The first one is in all files, the others are in one each.
fn people(file: usize) -> Vec<String> {
    let others = (0..=ENTRIES_MAX).map(|person| format!("p{file}-{person}"));
    ["everywhere".to_owned()].into_iter().chain(others).collect()
}

/// The hashes of the keys of a file.
fn hashes(file: usize) -> Vec<KeyHash> {
    people(file).iter().map(|person| HashKey::public().of(&format!("{person}@example.com"))).collect()
}

fn export(people: &[String], time: i64) -> String {
    people.iter().map(|name| motion(name, time)).collect::<Vec<_>>().join("\n")
}

async fn put_all(world: &World) {
    for file in 0..FILES {
        world.put(&key_of(file), export(&people(file), 5)).await;
    }
}

/// The events of these files in one batch.
fn batch(files: impl Iterator<Item = usize>) -> Value {
    let records: Vec<Value> =
        files.flat_map(|file| event("stedi", &key_of(file))["Records"].as_array().cloned()).flatten().collect();
    json!({ "Records": records })
}

async fn deliver(world: &World, files: impl Iterator<Item = usize>) {
    let answer = world.invoke(Table::AccelerometerTrusted, &batch(files)).await;
    assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
}

async fn segments(world: &World) -> BTreeSet<String> {
    let prefix = layout::index_segments(Source::Accelerometer);
    world.objects().await.into_keys().filter(|key| key.starts_with(&prefix)).collect()
}

async fn files_with(world: &World, name: &str) -> usize {
    world.ingest(CUSTOMERS, customer(name, 0, Some(0))).await;
    world.rows(Table::AccelerometerTrusted).await.len()
}

#[tokio::test]
async fn files_of_a_batch_share_segments_and_each_is_found() {
    let world = World::new(Ever).await;
    put_all(&world).await;
    deliver(&world, 0..FILES).await;
    let segments = segments(&world).await;
    assert!((1..=FILES / 2).contains(&segments.len()), "{segments:?}");
    assert_eq!(files_with(&world, "everywhere").await, FILES);
    for file in 0..FILES {
        assert_eq!(files_with(&world, &people(file)[ENTRIES_MAX]).await, 1, "{file}");
    }
    assert_eq!(files_with(&world, "absent").await, 0);
}

#[tokio::test]
async fn redelivery_in_other_batches_writes_nothing() {
    let world = World::new(Ever).await;
    put_all(&world).await;
    deliver(&world, 0..FILES).await;
    let before = world.objects().await;
    for file in 0..FILES {
        deliver(&world, file..=file).await;
    }
    deliver(&world, (0..FILES).rev().step_by(2)).await;
    deliver(&world, 0..FILES).await;
    assert_eq!(world.objects().await, before);
}

#[tokio::test]
async fn batch_with_known_files_is_found_completely() {
    let world = World::new(Ever).await;
    put_all(&world).await;
    for known in [0, FILES - 1] {
        deliver(&world, known..=known).await;
    }
    deliver(&world, 0..FILES).await;
    assert_eq!(files_with(&world, "everywhere").await, FILES);
    let before = world.objects().await;
    deliver(&world, 0..FILES).await;
    assert_eq!(world.objects().await, before);
}

#[tokio::test]
async fn replaced_file_is_found_by_old_and_new_people() {
    let world = World::new(AtReading).await;
    put_all(&world).await;
    deliver(&world, 0..FILES).await;
    let mut changed = people(3);
    changed.push("new".into());
    let gone = changed.remove(1);
    world.ingest(&key_of(3), export(&changed, 6)).await;
    assert_eq!(files_with(&world, "new").await, 1);
    assert_eq!(files_with(&world, &gone).await, 0);
    // The latest reading is only raised, so it does not follow the correction.
    assert_eq!(world.rows(Table::CustomerCurated).await.len(), 1);
    assert_eq!(files_with(&world, &changed[1]).await, 1);
}

/// The index finds the hours in which a person has readings. So the limit counts a person once in each hour.
#[tokio::test]
async fn keys_are_indexed_and_counted_in_each_hour() {
    for (persons, in_segment) in [(ENTRIES_MAX / 2, false), (ENTRIES_MAX / 2 + 1, true)] {
        let world = World::new(Ever).await;
        let people = &people(0)[..persons];
        let hours = [0, 1].map(|hour| export(people, hour * HOUR_MS));
        // One person has readings in a third hour only.
        world.ingest(&key_of(0), [&hours[..], &[motion("late", 2 * HOUR_MS)]].concat().join("\n")).await;
        world.ingest(&key_of(1), [hours[0].clone(), hours[1].clone()].join("\n")).await;
        let entries = world.objects().await.into_keys();
        let entries = entries.filter(|key| key.starts_with(&layout::index(Source::Accelerometer))).count();
        // The first file has one hour of a file more than the second.
        let of_files = if in_segment { (2, 0) } else { (1, 2 * persons) };
        assert_eq!((segments(&world).await.len(), entries), of_files, "{persons} persons");

        let records = [customer("everywhere", 0, Some(0)), customer("late", 0, Some(0))];
        world.ingest(CUSTOMERS, records.join("\n")).await;
        assert_eq!(world.rows(Table::AccelerometerTrusted).await.len(), 5, "{persons} persons");
        let written = world.written_by(async || {
            world.ingest("customer/landing/later.json", customer("everywhere", 1, None)).await;
        });
        let cells: BTreeSet<String> = written.await;
        let cells: BTreeSet<String> = cells.into_iter().filter(|key| key.ends_with("/00.parquet")).collect();
        let expected = [0, HOUR_MS].map(|time| cell(Table::AccelerometerTrusted, T + time));
        assert_eq!(cells, expected.into(), "{persons} persons: only the hours of that person are filtered");
        assert_eq!(world.rows(Table::AccelerometerTrusted).await.len(), 1, "{persons} persons");
    }
}

/// Every file with a manifest is in the index, so a consent change finds it. Redelivery then completes the batch.
#[tokio::test]
async fn killed_batch_leaves_no_manifest_without_index_entries() {
    let mut manifests = 0;
    for stop_before in 0.. {
        let world = World::new(Ever).await;
        put_all(&world).await;
        if world.finishes(Table::AccelerometerTrusted, &batch(0..FILES), stop_before).await {
            break;
        }
        let mut indexed: BTreeSet<(FileSlice, KeyHash)> = BTreeSet::new();
        for key in segments(&world).await {
            let segment = IndexSegment::decode(world.body(&key).await.unwrap()).unwrap();
            for hash in (0..FILES).flat_map(hashes) {
                indexed.extend(segment.file_slices_with(&[hash].into()).map(|(key, file_slice)| (file_slice, key)));
            }
        }
        for file in 0..FILES {
            let id = world.file(&key_of(file));
            let Some(body) = world.body(&layout::manifest(Source::Accelerometer, id)).await else { continue };
            manifests += 1;
            let slices = FileManifest::<Slice>::decode(&body).unwrap().touched;
            assert_eq!(slices, [slice_of(T)].into());
            for hash in hashes(file) {
                let file_slice = FileSlice { slice: slice_of(T), file: id };
                assert!(indexed.contains(&(file_slice, hash)), "{file}, stopped before request {stop_before}");
            }
        }
        assert!(files_with(&world, "everywhere").await <= FILES);
        deliver(&world, 0..FILES).await;
        let rows = world.rows(Table::AccelerometerTrusted).await.len();
        assert_eq!(rows, FILES, "stopped before request {stop_before}");
        let before = world.objects().await;
        deliver(&world, 0..FILES).await;
        assert_eq!(world.objects().await, before, "stopped before request {stop_before}");
    }
    assert!(manifests > FILES, "{manifests}");
}

/// So many files, each with a segment of its own, that a search compacts them.
const MANY: usize = PENDING_MAX + 1;

async fn ingest_one_by_one(world: &World, files: Range<usize>) {
    for file in files {
        world.put(&key_of(file), export(&people(file), 5)).await;
        deliver(world, file..=file).await;
    }
}

async fn compacted(world: &World) -> BTreeMap<String, String> {
    let prefix = layout::compacted_index(Source::Accelerometer);
    world.objects().await.into_iter().filter(|(key, _)| key.starts_with(&prefix)).collect()
}

#[tokio::test]
async fn search_compacts_the_segments_that_it_reads() {
    let world = World::new(Ever).await;
    ingest_one_by_one(&world, 0..MANY - 1).await;
    assert_eq!(files_with(&world, "absent").await, 0);
    assert!(compacted(&world).await.is_empty(), "too few to compact");
    ingest_one_by_one(&world, MANY - 1..MANY).await;
    let segments = segments(&world).await;
    assert_eq!(segments.len(), MANY);
    assert_eq!(files_with(&world, "another").await, 0);
    let parts = compacted(&world).await;
    assert_eq!(parts.len(), IndexPart::all().count());

    // A function that reads a segment now fails. A new instance has none in its cache.
    for segment in &segments {
        world.put(segment, "damaged").await;
    }
    let functions = world.over(world.http_client());
    world.put(CUSTOMERS, customer("everywhere", 0, Some(0))).await;
    world.deliver(Table::CustomerTrusted, CUSTOMERS).await.unwrap();
    let shard = HashKey::public().of("everywhere@example.com").shard(world.lake.config().customer_shards);
    let trigger = event(world.lake.bucket(), &layout::customers(Table::CustomerTrusted, shard));
    let answer = functions.invoke(Table::AccelerometerTrusted, &trigger).await;
    assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
    world.deliver_work(Table::AccelerometerTrusted).await;
    assert_eq!(world.rows(Table::AccelerometerTrusted).await.len(), MANY);
    assert_eq!(compacted(&world).await, parts);

    // Files that are ingested later are found too.
    ingest_one_by_one(&world, MANY..MANY + 2).await;
    world.put(CUSTOMERS, customer("everywhere", 1, None)).await;
    world.deliver(Table::CustomerTrusted, CUSTOMERS).await.unwrap();
    let answer = functions.invoke(Table::AccelerometerTrusted, &trigger).await;
    assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
    world.deliver_work(Table::AccelerometerTrusted).await;
    assert!(world.rows(Table::AccelerometerTrusted).await.is_empty());
}

#[tokio::test]
async fn damaged_compacted_segment_is_compacted_again() {
    let world = World::new(Ever).await;
    ingest_one_by_one(&world, 0..MANY).await;
    assert_eq!(files_with(&world, "absent").await, 0);
    let parts = compacted(&world).await;
    for part in parts.keys() {
        world.put(part, "damaged").await;
    }
    assert_eq!(files_with(&world, "everywhere").await, MANY);
    assert_eq!(compacted(&world).await, parts);
}

#[tokio::test]
async fn killed_search_leaves_a_complete_index() {
    let mut partly_compacted = 0;
    // Each part is read and put, so some of these runs stop between two parts.
    for stop_before in (0..).step_by(7) {
        let world = World::new(Ever).await;
        ingest_one_by_one(&world, 0..MANY).await;
        world.put(CUSTOMERS, customer("everywhere", 0, Some(0))).await;
        world.deliver(Table::CustomerTrusted, CUSTOMERS).await.unwrap();
        let shard = HashKey::public().of("everywhere@example.com").shard(world.lake.config().customer_shards);
        let trigger = event(world.lake.bucket(), &layout::customers(Table::CustomerTrusted, shard));
        if world.finishes(Table::AccelerometerTrusted, &trigger, stop_before).await {
            break;
        }
        let parts = compacted(&world).await.len();
        partly_compacted += usize::from((1..IndexPart::all().count()).contains(&parts));
        let answer = world.invoke(Table::AccelerometerTrusted, &trigger).await;
        assert_eq!(answer, Ok(json!({"batchItemFailures": []})), "stopped before request {stop_before}");
        world.deliver_work(Table::AccelerometerTrusted).await;
        let rows = world.rows(Table::AccelerometerTrusted).await.len();
        assert_eq!(rows, MANY, "stopped before request {stop_before}");
        let before = world.objects().await;
        world.invoke(Table::AccelerometerTrusted, &trigger).await.unwrap();
        assert_eq!(world.objects().await, before, "stopped before request {stop_before}");
        for file in [0, MANY - 1] {
            let rows = files_with(&world, &people(file)[ENTRIES_MAX]).await;
            assert_eq!(rows, 1, "{file}, stopped before request {stop_before}");
        }
    }
    assert!(partly_compacted > 0, "no run stopped between two parts");
}
