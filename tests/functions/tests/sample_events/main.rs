//! The events in `events/` name existing objects, and do what their README says.
//!
//! This test makes each event in the shape that AWS documents. Key, size and ETag are those of an object that
//! `stedi generate` or a function writes. To write the files:
//! `REGENERATE=1 cargo test --workspace --release --features stedi/query --test sample_events`

// A panic fails a test.
#![allow(clippy::unwrap_used)]

mod index;
mod json;
mod shapes;

use functions::World;
use index::{Answer, Row, folder, rows};
use json::Json;
use model::lake_config::ConsentPolicy::Ever;
use model::table::Table;
use serde_json::Value;
use shapes::{Object, SEQUENCER, TIME, created, event_bridge, md5, record, s3, sns, sqs, test_event};
use std::collections::BTreeSet;

const CUSTOMERS: &str = "customer/landing/customer-1709971680000-seed1-customers956.json";
const MOTIONS: &str = "accelerometer/landing/accelerometer-1709972680003-seed1-customers956.json";
const STEPS: &str = "step_trainer/landing/step_trainer-1709973680006-seed1-customers956.json";
/// The time of the events.
const STORED_MS: u64 = 1_709_973_000_000;
const MOTIONS_TRUSTED: &str = "accelerometer/trusted/dt=2024-03-09/hour=06/00.parquet";
const STEPS_TRUSTED: &str = "step_trainer/trusted/dt=2024-03-09/hour=07/00.parquet";

/// A lake with the files of `stedi generate`, before any function is invoked.
async fn lake_with_landing_files() -> World {
    let world = World::new(Ever).await;
    world.lake.check().await.unwrap();
    for file in sample_data::generate(&sample_data::Options::default()) {
        world.put(&file.path, file.bytes).await;
        // A customer shard has the time at which each landing file was stored.
        world.set_stored(&file.path, STORED_MS);
    }
    world
}

/// The current object of this key.
async fn object(world: &World, key: &str) -> Object {
    let body = world.body(key).await.unwrap_or_else(|| panic!("no object {key}"));
    Object { key: key.to_owned(), size: body.len() as u64, etag: md5(&body) }
}

/// An object that does not exist.
fn missing(key: &str) -> Object {
    let body = "{}\n";
    Object { key: key.to_owned(), size: body.len() as u64, etag: md5(body.as_bytes()) }
}

fn compact(json: &Json) -> String {
    serde_json::to_string(json).unwrap()
}

/// The event of this name.
async fn event(world: &World, name: &str) -> Json {
    let single = async |key: &str| s3(vec![created(&object(world, key).await)]);
    let work_item = async |function| match &world.work_items(function).await[..] {
        [item] => single(item).await,
        items => panic!("expected one work item of {function}: {items:?}"),
    };
    let customers = object(world, CUSTOMERS).await;
    let notification = || compact(&s3(vec![created(&customers)]));
    let to_customer_trusted = |bodies| sqs(Table::CustomerTrusted.name(), bodies);
    match name {
        "customer_landing.json" => single(CUSTOMERS).await,
        "accelerometer_landing.json" => single(MOTIONS).await,
        "step_trainer_landing.json" => single(STEPS).await,
        "customer_trusted.json" => single("customer/trusted/07.parquet").await,
        "latest_readings.json" => single("lookup/readings/03").await,
        "accelerometer_trusted.json" => single(MOTIONS_TRUSTED).await,
        "devices.json" => single("lookup/devices/07").await,
        "work_accelerometer_trusted.json" => work_item(Table::AccelerometerTrusted).await,
        "work_step_trainer_trusted.json" => work_item(Table::StepTrainerTrusted).await,
        "step_trainer_trusted.json" => single(STEPS_TRUSTED).await,
        "s3_inside_sqs.json" => to_customer_trusted(vec![notification()]),
        "sns_inside_sqs.json" => to_customer_trusted(vec![compact(&sns(CUSTOMERS, notification()))]),
        "event_bridge.json" => event_bridge(&customers),
        "sqs_batch_with_a_bad_body.json" => {
            let wrapped = compact(&sns(CUSTOMERS, notification()));
            to_customer_trusted(vec![notification(), "not JSON".to_owned(), wrapped])
        }
        "encoded_key.json" => s3(vec![created(&missing("customer/landing/a b+c/x=1.json"))]),
        "duplicate_records.json" => s3(vec![created(&customers), created(&customers)]),
        "out_of_order.json" => {
            let earlier = Object { key: CUSTOMERS.to_owned(), ..missing("") };
            let (time, sequencer) = ("2024-03-09T08:29:59.000Z", "0065EC1D27F0E1D2C3");
            s3(vec![created(&customers), record("ObjectCreated:Put", &earlier, time, sequencer)])
        }
        "no_input.json" => s3(vec![created(&missing("elsewhere/a.json"))]),
        "object_gone.json" => s3(vec![created(&missing("customer/landing/missing.json"))]),
        "test_event.json" => test_event(),
        "object_removed.json" => s3(vec![record("ObjectRemoved:Delete", &customers, TIME, SEQUENCER)]),
        _ => panic!("events/README.md lists {name}, which this test does not know"),
    }
}

/// Reads the event in the file, and asserts that it equals the generated one.
async fn checked(world: &World, name: &str) -> Value {
    let expected = serde_json::to_string_pretty(&event(world, name).await).unwrap() + "\n";
    let path = folder().join(name);
    let mut found = std::fs::read_to_string(&path).unwrap_or_default();
    if found != expected && std::env::var("REGENERATE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, &expected).unwrap();
        found.clone_from(&expected);
    }
    assert!(
        found == expected,
        "events/{name} is outdated: rewrite it with REGENERATE=1, and review the difference\n{found}\n\
         expected:\n{expected}"
    );
    serde_json::from_str(&found).unwrap()
}

/// Invokes the row's function with the row's event, and compares the answer and the written objects with the row. Returns the
/// event.
async fn check(world: &World, row: &Row) -> Value {
    let event = checked(world, &row.event).await;
    let before = world.objects().await;
    let answer = world.invoke(row.function, &event).await;
    match (&row.answer, answer) {
        (Answer::Json(expected), Ok(found)) => assert_eq!(&found, expected, "{row:?}"),
        (Answer::Error(expected), Err(found)) => assert!(found.contains(expected.as_str()), "{row:?}: {found}"),
        (_, answer) => panic!("{row:?}: {answer:?}"),
    }
    let after = world.objects().await;
    match &row.writes {
        Some(key) => {
            assert!(after.keys().any(|found| found == key || key.ends_with('/') && found.starts_with(key)), "{row:?}")
        }
        None => assert_eq!(after, before, "{row:?}"),
    }
    event
}

fn is_of_a_trigger(row: &Row) -> bool {
    row.function != Table::CustomerTrusted || row.event == "customer_landing.json"
}

#[tokio::test]
async fn events_in_order_fill_all_tables() {
    let world = lake_with_landing_files().await;
    let (mut triggered, mut expected) = (BTreeSet::new(), BTreeSet::new());
    for row in rows() {
        let before = world.objects().await;
        let event = check(&world, &row).await;
        if !is_of_a_trigger(&row) {
            continue;
        }
        // Each of these events writes a new object.
        let writes = row.writes.clone().unwrap();
        assert!(!before.keys().any(|key| key.starts_with(&writes)), "{writes} was there before {row:?}");
        let key = runtime::events::parse(&event).remove(0).objects.unwrap().remove(0).key;
        let trigger = topology::TRIGGERS.iter().find(|trigger| key.starts_with(trigger.prefix)).unwrap();
        triggered.insert((trigger.prefix, row.function));
    }
    for trigger in topology::TRIGGERS {
        expected.extend(trigger.functions.iter().map(|function| (trigger.prefix, *function)));
    }
    assert_eq!(triggered, expected);
    assert!(world.counts().await.iter().all(|rows| *rows > 0), "{:?}", world.counts().await);
    world.assert_row_counts("the sample events").await;
}

#[tokio::test]
async fn traps_do_the_same_in_an_empty_lake() {
    for row in rows().into_iter().filter(|row| !is_of_a_trigger(row)) {
        check(&lake_with_landing_files().await, &row).await;
    }
}

#[tokio::test]
async fn encoded_key_is_decoded() {
    let world = lake_with_landing_files().await;
    let key = "customer/landing/a b+c/x=1.json";
    world.put(key, functions::customer("ann", 0, Some(0))).await;
    let event = checked(&world, "encoded_key.json").await;
    world.invoke(Table::CustomerTrusted, &event).await.unwrap();
    assert_eq!(world.receipt(model::layout::Source::Customer, key).await.kept, 1);
}

#[test]
fn every_file_is_listed() {
    let listed: BTreeSet<String> = rows().into_iter().map(|row| row.event).collect();
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = names.filter(|name| name.ends_with(".json")).collect();
    assert_eq!(files, listed);
}
