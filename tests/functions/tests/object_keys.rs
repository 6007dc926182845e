//! The name of a landing file may contain personal data. It is in no object key outside landing.
//!
//! The tests of logs run in another process, because logs name the landing file of each event.

#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use functions::{World, customer, motion, step};
use model::hash::HashKey;
use model::lake_config::ConsentPolicy::Ever;
use model::layout;
use model::table::Table;

const NAMES: [&str; 3] = ["ann", "bob", "eve"];

#[tokio::test]
async fn keys_outside_landing_have_no_name_of_a_file_and_no_email() {
    let world = World::new(Ever).await;
    let file = |source: &str, name: &str| format!("{source}/landing/{name}@example.com/upload-of-{name}.json");
    let records = [customer("ann", 0, Some(0)), customer("bob", 0, None), customer("eve", 0, Some(0))];
    for (name, record) in NAMES.iter().zip(records) {
        world.ingest(&file("customer", name), record + "\nbroken").await;
        world.ingest(&file("accelerometer", name), motion(name, 5) + "broken").await;
        world.ingest(&file("step_trainer", name), step(name, 5) + "broken").await;
    }
    // An export, whose keys are in a segment.
    let people = (0..=ingest::LIMITS.entries_max).map(|person| motion(&format!("bob{person}"), 5));
    world.ingest(&file("accelerometer", "export"), people.collect::<String>()).await;
    // A withdrawal that is planned and not done.
    let later = file("customer", "later");
    world.put(&later, customer("eve", 1, None)).await;
    world.deliver(Table::CustomerTrusted, &later).await.unwrap();
    let shard = HashKey::public().of("eve@example.com").shard(world.lake.config().customer_shards);
    let changed = layout::customers(Table::CustomerTrusted, shard);
    world.deliver(Table::AccelerometerTrusted, &changed).await.unwrap();
    check_keys(&world, &["_state/work/"]).await;
    let items = world.work_items(Table::AccelerometerTrusted).await;
    world.deliver_all(items.into_iter().chain([changed])).await;
    world.assert_tables("a file for each person", [1; 5]).await;
    check_keys(&world, &[]).await;
}

/// Checks the keys of all objects outside landing. Some must be below each of `prefixes`.
async fn check_keys(world: &World, prefixes: &[&str]) {
    let objects = world.objects().await;
    let always = ["quarantine/", "receipts/", "_state/manifests/", "_state/index/", "_state/segments/"];
    for prefix in always.iter().chain(prefixes) {
        assert!(objects.keys().any(|key| key.starts_with(prefix)), "{prefix}");
    }
    for key in objects.keys().filter(|key| !key.contains("/landing/")) {
        let personal =
            NAMES.iter().flat_map(|name| [format!("{name}@"), format!("555{name}"), format!("serial-{name}")]);
        for text in personal.chain(["@".to_owned(), "example.com".to_owned(), "upload-of".to_owned()]) {
            assert!(!key.contains(&text), "{text} in {key}");
        }
        // A receipt has the name, and so has the manifest.
        let has_names = key.starts_with("receipts/") || key.starts_with("_state/manifests/");
        let body = world.body(key).await.unwrap();
        assert!(has_names || !body.windows(9).any(|text| text == b"upload-of"), "the name of a file in {key}");
    }
}
