//! Files of many people's readings, which are found by bulk entries instead of an entry for each person.

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use formats::index_segment::IndexSegment;
use formats::manifest::FileManifest;
use functions::gate::Gate;
use functions::{World, customer, event, motion};
use ingest::index::LIMITS;
use model::hash::{IndexPart, KeyHash};
use model::lake_config::ConsentPolicy::{AtReading, Ever};
use model::layout::{self, FileName, Source};
use model::table::Table;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

const CUSTOMERS: &str = "customer/landing/c.json";
const FILES: usize = 12;
const ENTRIES_MAX: usize = LIMITS.entries_max;
const UNMERGED_MAX: usize = LIMITS.pending_max;

fn key_of(file: usize) -> String {
    format!("accelerometer/landing/{file:02}.json")
}

/// More people than get an entry each; the first one is in all files, the others are in one.
fn people(file: usize) -> Vec<String> {
    let others = (0..=ENTRIES_MAX).map(|person| format!("p{file}-{person}"));
    ["everywhere".to_owned()].into_iter().chain(others).collect()
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

/// Whether the function finishes before it makes so many requests; if not, it is killed there.
async fn finishes(world: &World, events: &Value, stop_before: usize) -> bool {
    let gate = Gate::new(world.http_client(), stop_before);
    let slow = world.over(SharedHttpClient::new(gate.clone()));
    tokio::select! {
        biased;
        _ = slow.invoke(Table::AccelerometerTrusted, events) => true,
        () = gate.stopped() => false,
    }
}

async fn entries(world: &World) -> BTreeSet<String> {
    let prefix = layout::index_segments(Source::Accelerometer);
    world.objects().await.into_keys().filter(|key| key.starts_with(&prefix)).collect()
}

async fn files_of(world: &World, name: &str) -> usize {
    world.land(CUSTOMERS, customer(name, 0, Some(0))).await;
    world.rows(Table::AccelerometerTrusted).await.len()
}

#[tokio::test]
async fn those_that_land_together_share_entries_and_each_is_found() {
    let world = World::new(Ever).await;
    put_all(&world).await;
    deliver(&world, 0..FILES).await;
    let entries = entries(&world).await;
    assert!((1..=FILES / 2).contains(&entries.len()), "{entries:?}");
    assert_eq!(files_of(&world, "everywhere").await, FILES);
    for file in 0..FILES {
        assert_eq!(files_of(&world, &people(file)[ENTRIES_MAX]).await, 1, "{file}");
    }
    assert_eq!(files_of(&world, "nobody").await, 0);
}

#[tokio::test]
async fn events_that_come_again_alone_or_in_another_company_write_nothing() {
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
async fn of_a_batch_of_which_some_are_known_all_are_found() {
    let world = World::new(Ever).await;
    put_all(&world).await;
    for known in [0, FILES - 1] {
        deliver(&world, known..=known).await;
    }
    deliver(&world, 0..FILES).await;
    assert_eq!(files_of(&world, "everywhere").await, FILES);
    let before = world.objects().await;
    deliver(&world, 0..FILES).await;
    assert_eq!(world.objects().await, before);
}

#[tokio::test]
async fn a_replaced_file_is_found_by_its_old_and_new_people() {
    let world = World::new(AtReading).await;
    put_all(&world).await;
    deliver(&world, 0..FILES).await;
    let mut changed = people(3);
    changed.push("new".into());
    let gone = changed.remove(1);
    world.land(&key_of(3), export(&changed, 6)).await;
    assert_eq!(files_of(&world, "new").await, 1);
    assert_eq!(files_of(&world, &gone).await, 0);
    // Who has readings was counted anew, from all files that have, or had, the person.
    assert!(world.rows(Table::CustomerCurated).await.is_empty());
    assert_eq!(files_of(&world, &changed[1]).await, 1);
}

/// Whatever is announced is in the index, so a change of trust finds it; and when the events come again all is as if nothing
/// had happened.
#[tokio::test]
async fn killed_before_any_request_a_batch_leaves_no_announced_file_that_is_not_found() {
    let mut announced_some = 0;
    for stop_before in 0.. {
        let world = World::new(Ever).await;
        put_all(&world).await;
        if finishes(&world, &batch(0..FILES), stop_before).await {
            break;
        }
        let mut entered: BTreeSet<(FileName, KeyHash)> = BTreeSet::new();
        for key in entries(&world).await {
            let entry = IndexSegment::decode(world.body(&key).await.unwrap()).unwrap();
            for (file, person) in (0..FILES).flat_map(|file| people(file).into_iter().map(move |name| (file, name))) {
                let hash = KeyHash::of(&format!("{person}@example.com"));
                let name = FileName::of(&world.lake.at(key_of(file)));
                if entry.files_with(&[hash].into()).any(|found| *found == name) {
                    entered.insert((name, hash));
                }
            }
        }
        for file in 0..FILES {
            let name = FileName::of(&world.lake.at(key_of(file)));
            let Some(body) = world.body(&layout::manifest(Source::Accelerometer, &name)).await else { continue };
            announced_some += 1;
            for hash in FileManifest::decode(&body).unwrap().hashes() {
                assert!(entered.contains(&(name.clone(), hash)), "{name}, stopped before request {stop_before}");
            }
        }
        assert!(files_of(&world, "everywhere").await <= FILES);
        deliver(&world, 0..FILES).await;
        let rows = world.rows(Table::AccelerometerTrusted).await.len();
        assert_eq!(rows, FILES, "stopped before request {stop_before}");
        let before = world.objects().await;
        deliver(&world, 0..FILES).await;
        assert_eq!(world.objects().await, before, "stopped before request {stop_before}");
    }
    assert!(announced_some > FILES, "{announced_some}");
}

/// So many exports, each with an entry of its own, that a search merges them.
const MANY: usize = UNMERGED_MAX + 1;

async fn land_one_by_one(world: &World, files: Range<usize>) {
    for file in files {
        world.put(&key_of(file), export(&people(file), 5)).await;
        deliver(world, file..=file).await;
    }
}

async fn merged(world: &World) -> BTreeMap<String, String> {
    let prefix = layout::compacted_index(Source::Accelerometer);
    world.objects().await.into_iter().filter(|(key, _)| key.starts_with(&prefix)).collect()
}

#[tokio::test]
async fn what_one_search_had_to_read_the_next_finds_merged() {
    let world = World::new(Ever).await;
    land_one_by_one(&world, 0..MANY - 1).await;
    assert_eq!(files_of(&world, "nobody").await, 0);
    assert!(merged(&world).await.is_empty(), "so few are not worth it");
    land_one_by_one(&world, MANY - 1..MANY).await;
    let entries = entries(&world).await;
    assert_eq!(entries.len(), MANY);
    assert_eq!(files_of(&world, "somebody").await, 0);
    let parts = merged(&world).await;
    assert_eq!(parts.len(), IndexPart::all().count());

    // Whoever reads one of them now fails, and who remembers one is not asked.
    for entry in &entries {
        world.put(entry, "damaged").await;
    }
    let functions = world.over(world.http_client());
    world.put(CUSTOMERS, customer("everywhere", 0, Some(0))).await;
    world.deliver(Table::CustomerTrusted, CUSTOMERS).await.unwrap();
    let shard = KeyHash::of("everywhere@example.com").shard(world.lake.config().customer_shards);
    let woken = event(world.lake.bucket(), &layout::customers(Table::CustomerTrusted, shard));
    let answer = functions.invoke(Table::AccelerometerTrusted, &woken).await;
    assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
    assert_eq!(world.rows(Table::AccelerometerTrusted).await.len(), MANY);
    assert_eq!(merged(&world).await, parts);

    // What lands later is found beside them.
    land_one_by_one(&world, MANY..MANY + 2).await;
    world.put(CUSTOMERS, customer("everywhere", 1, None)).await;
    world.deliver(Table::CustomerTrusted, CUSTOMERS).await.unwrap();
    let answer = functions.invoke(Table::AccelerometerTrusted, &woken).await;
    assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
    assert!(world.rows(Table::AccelerometerTrusted).await.is_empty());
}

#[tokio::test]
async fn a_part_that_cannot_be_read_is_merged_again() {
    let world = World::new(Ever).await;
    land_one_by_one(&world, 0..MANY).await;
    assert_eq!(files_of(&world, "nobody").await, 0);
    let parts = merged(&world).await;
    for part in parts.keys() {
        world.put(part, "damaged").await;
    }
    assert_eq!(files_of(&world, "everywhere").await, MANY);
    assert_eq!(merged(&world).await, parts);
}

#[tokio::test]
async fn killed_on_the_way_a_search_leaves_an_index_that_finds_all() {
    let mut half_merged = 0;
    // Each of the parts is read and put, so this stops among them some times.
    for stop_before in (0..).step_by(7) {
        let world = World::new(Ever).await;
        land_one_by_one(&world, 0..MANY).await;
        world.put(CUSTOMERS, customer("everywhere", 0, Some(0))).await;
        world.deliver(Table::CustomerTrusted, CUSTOMERS).await.unwrap();
        let shard = KeyHash::of("everywhere@example.com").shard(world.lake.config().customer_shards);
        let woken = event(world.lake.bucket(), &layout::customers(Table::CustomerTrusted, shard));
        if finishes(&world, &woken, stop_before).await {
            break;
        }
        let parts = merged(&world).await.len();
        half_merged += usize::from((1..IndexPart::all().count()).contains(&parts));
        let answer = world.invoke(Table::AccelerometerTrusted, &woken).await;
        assert_eq!(answer, Ok(json!({"batchItemFailures": []})), "stopped before request {stop_before}");
        let rows = world.rows(Table::AccelerometerTrusted).await.len();
        assert_eq!(rows, MANY, "stopped before request {stop_before}");
        let before = world.objects().await;
        world.invoke(Table::AccelerometerTrusted, &woken).await.unwrap();
        assert_eq!(world.objects().await, before, "stopped before request {stop_before}");
        for file in [0, MANY - 1] {
            let rows = files_of(&world, &people(file)[ENTRIES_MAX]).await;
            assert_eq!(rows, 1, "{file}, stopped before request {stop_before}");
        }
    }
    assert!(half_merged > 0, "never stopped among the parts");
}
