//! Events that are delivered again or late, that go to the wrong function, or that name no object.

use functions::{T, World, cell, customer, event, motion, step};
use model::hash::HashKey;
use model::lake_config::ConsentPolicy::{AtReading, Ever};
use model::lake_config::{LakeConfig, Pairs};
use model::layout::Object;
use model::table::Table;
use runtime::function::{Failures, Function, Handling, Input, invoke};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use store::lake::Lake;

const CUSTOMERS: &str = "customer/landing/c.json";
const MOTIONS: &str = "accelerometer/landing/a.json";
const STEPS: &str = "step_trainer/landing/s.json";

#[tokio::test]
async fn redelivery_of_every_event_writes_nothing() {
    let world = World::new(Ever).await;
    world.ingest(MOTIONS, &[motion("ann", 5), motion("bob", 5), "broken".into()].join("\n")).await;
    world.ingest(CUSTOMERS, &[customer("ann", 0, Some(0)), customer("bob", 0, None)].join("\n")).await;
    world.ingest(STEPS, &[step("ann", 5), step("bob", 5)].join("\n")).await;
    world.ingest(MOTIONS, &[motion("ann", 6), motion("bob", 5)].join("\n")).await;
    world.ingest("customer/landing/later.json", &customer("ann", 1, None)).await;
    world
        .ingest("customer/landing/device.json", &customer("bob", 1, Some(0)).replace("serial-bob", "serial-ann"))
        .await;
    world.expire(MOTIONS);
    let before = world.objects().await;
    world.deliver_all(before.keys().filter(|key| Object::parse(key).is_some()).cloned().collect::<Vec<_>>()).await;
    assert_eq!(world.objects().await, before);
    world.assert_redelivery_writes_nothing("cold").await;
}

/// S3 sends a test event to every function when its notifications are configured. The lake config is written by the
/// first landing file only, and the roles of two functions do not allow it.
#[tokio::test]
async fn s3_test_event_makes_no_request() {
    let world = World::new(Ever).await;
    let before = world.requests();
    let test_event = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "stedi"});
    let message = json!({"messageId": "1", "eventSource": "aws:sqs", "body": test_event.to_string()});
    for function in Table::DERIVED {
        let answer = world.invoke(function, &json!({"Records": [message]})).await;
        assert_eq!(answer, Ok(json!({"batchItemFailures": []})), "{function}");
    }
    assert_eq!(world.requests(), before);
}

#[tokio::test]
async fn reprocessing_fences_cells_of_an_older_shard() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(0))).await;
    world.ingest(MOTIONS, &[motion("ann", 5), motion("ann", 5 + functions::HOUR_MS)].join("\n")).await;
    let cells = [0, functions::HOUR_MS].map(|t| cell(Table::AccelerometerTrusted, T + t));
    let before = [world.version(&cells[0]).await, world.version(&cells[1]).await];
    // Consent is withdrawn and given again before any function reads it: the rows stay the same.
    for (key, record) in [("w", customer("ann", 1, None)), ("g", customer("ann", 2, Some(0)))] {
        let key = format!("customer/landing/{key}.json");
        world.put(&key, &record).await;
        world.deliver(Table::CustomerTrusted, &key).await.unwrap();
    }
    let rows = world.rows(Table::AccelerometerTrusted).await;
    let shards = world.objects().await.into_keys().filter(|key| key.starts_with(Table::CustomerTrusted.prefix()));
    for shard in shards {
        world.deliver(Table::AccelerometerTrusted, &shard).await.unwrap();
    }
    assert_eq!(world.work_items(Table::AccelerometerTrusted).await.len(), 1);
    world.deliver_work(Table::AccelerometerTrusted).await;
    assert_eq!(world.rows(Table::AccelerometerTrusted).await, rows);
    for (cell, before) in cells.iter().zip(before) {
        assert_ne!(world.version(cell).await, before, "{cell}");
    }
}

#[tokio::test]
async fn fence_without_rows_is_written_and_registers_no_partition() {
    let world = World::new(Ever).await;
    world.ingest(MOTIONS, &motion("ann", 5)).await;
    let cell = cell(Table::AccelerometerTrusted, T);
    assert!(world.body(&cell).await.is_none());
    for (key, record) in [("g", customer("ann", 0, Some(0))), ("w", customer("ann", 1, None))] {
        let key = format!("customer/landing/{key}.json");
        world.put(&key, &record).await;
        world.deliver(Table::CustomerTrusted, &key).await.unwrap();
    }
    let shards = world.objects().await.into_keys().filter(|key| key.starts_with(Table::CustomerTrusted.prefix()));
    world.deliver_all(shards.collect::<Vec<_>>()).await;
    assert!(world.body(&cell).await.is_some());
    assert_eq!(world.counts().await, [0; 5]);
    assert!(world.lake.catalog.partitions(Table::AccelerometerTrusted).await.unwrap().is_empty());
}

#[tokio::test]
async fn error_names_the_key_that_is_not_an_input() {
    let world = World::new(Ever).await;
    for (function, key) in [
        (Table::CustomerTrusted, MOTIONS),
        (Table::AccelerometerTrusted, STEPS),
        (Table::CustomerCurated, "customer/trusted/readme.txt"),
        (Table::StepTrainerTrusted, "_state/work/accelerometer_trusted/0123"),
        (Table::StepTrainerTrusted, "customer/curated/00.parquet"),
        (Table::CustomerCurated, "lookup/devices/00"),
        (Table::CustomerCurated, "_state/work/customer_curated/0123"),
        (Table::MachineLearningCurated, "step_trainer/curated/dt%3D2022-06-18/hour%3D15/00.parquet"),
        (Table::MachineLearningCurated, "step_trainer/trusted/dt%3D2022-06-18/hour%3D15/x.parquet"),
    ] {
        let error = world.deliver(function, key).await.unwrap_err();
        let key = key.replace("%3D", "=");
        assert!(error.contains(&key) && error.contains(function.name()), "{error}");
    }
    let other = world.invoke(Table::CustomerCurated, &event("other", "customer/trusted/00.parquet")).await;
    assert!(other.unwrap_err().contains("s3://other/customer/trusted/00.parquet"));
}

#[tokio::test]
async fn events_of_deleted_objects_and_folders_are_acknowledged() {
    let world = World::new(Ever).await;
    for (function, key) in [
        (Table::CustomerTrusted, CUSTOMERS),
        (Table::AccelerometerTrusted, MOTIONS),
        (Table::StepTrainerTrusted, "step_trainer/landing/2022/"),
        (Table::AccelerometerTrusted, "customer/trusted/00.parquet"),
        (Table::CustomerCurated, "lookup/readings/00"),
        (Table::StepTrainerTrusted, "lookup/devices/00"),
        (Table::StepTrainerTrusted, "_state/work/step_trainer_trusted/0123"),
        (Table::MachineLearningCurated, "step_trainer/trusted/dt=2022-06-18/hour=15/00.parquet"),
    ] {
        let before = world.objects().await;
        assert_eq!(world.deliver(function, key).await, Ok(json!({"batchItemFailures": []})), "{function} {key}");
        let mut after = world.objects().await;
        after.remove(model::layout::LAKE_CONFIG);
        assert!(before.keys().filter(|key| *key != model::layout::LAKE_CONFIG).eq(after.keys()), "{function} {key}");
    }
}

#[tokio::test]
async fn only_bad_messages_of_a_batch_fail() {
    let world = World::new(Ever).await;
    world.put(CUSTOMERS, &customer("ann", 0, Some(0))).await;
    let message = |id: &str, body: String| json!({"messageId": id, "eventSource": "aws:sqs", "body": body});
    let batch = json!({"Records": [
        message("bad", "{".into()),
        message("good", event("stedi", CUSTOMERS).to_string()),
        message("wrong", event("stedi", MOTIONS).to_string()),
    ]});
    let response = world.invoke(Table::CustomerTrusted, &batch).await.unwrap();
    assert_eq!(response, json!({"batchItemFailures": [{"itemIdentifier": "bad"}, {"itemIdentifier": "wrong"}]}));
    assert_eq!(world.rows(Table::CustomerTrusted).await.len(), 1);
}

/// Two files of readings in one hour, and messages that were delivered so often.
async fn two_files(receives: u32) -> (World, Value) {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &[customer("ann", 0, Some(0)), customer("bob", 0, Some(0))].join("\n")).await;
    let mut messages = Vec::new();
    for name in ["ann", "bob"] {
        let key = format!("accelerometer/landing/{name}.json");
        world.put(&key, &motion(name, 5)).await;
        messages.push(json!({"messageId": name, "eventSource": "aws:sqs", "body": event("stedi", &key).to_string(),
            "attributes": {"ApproximateReceiveCount": receives.to_string()}}));
    }
    (world, json!({"Records": messages}))
}

/// A batch that ended an invocation by its size must not end it each time.
#[tokio::test]
async fn messages_that_were_delivered_several_times_are_handled_alone() {
    for (receives, puts_of_the_cell) in [(1, 1), (2, 1), (3, 2)] {
        let (world, batch) = two_files(receives).await;
        let before = world.requests().put;
        let answer = world.invoke(Table::AccelerometerTrusted, &batch).await;
        assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
        // Each file has an index entry, a manifest, a receipt, and the latest reading of its customer.
        assert_eq!(world.requests().put - before, 8 + puts_of_the_cell, "{receives}");
        assert_eq!(world.rows(Table::AccelerometerTrusted).await.len(), 2);
    }
}

/// A function of the files of readings that hangs on some, and panics on others.
struct Faulty(Lake);

impl Function for Faulty {
    const TABLE: Table = Table::AccelerometerTrusted;

    fn lake(&self) -> &Lake {
        &self.0
    }

    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_> {
        Box::pin(async move {
            let has = |what: &str| inputs.iter().any(|(location, _)| location.key.contains(what));
            assert!(!has("panics"), "as the test wants it");
            if has("hangs") {
                std::future::pending::<()>().await;
            }
            Failures::new()
        })
    }
}

#[tokio::test]
async fn a_message_that_hangs_or_panics_alone_does_not_fail_the_others() {
    let world = World::new(Ever).await;
    let names = ["hangs", "panics", "good"];
    let message = |name: &str| {
        let body = event("stedi", &format!("accelerometer/landing/{name}.json")).to_string();
        let attributes = json!({"ApproximateReceiveCount": "3"});
        json!({"messageId": name, "eventSource": "aws:sqs", "body": body, "attributes": attributes})
    };
    let batch = json!({"Records": names.map(message)});
    let answer = invoke(&Faulty(world.lake.clone()), &batch, Some(Duration::from_secs(1))).await.unwrap();
    let failed = json!({"batchItemFailures": [{"itemIdentifier": "hangs"}, {"itemIdentifier": "panics"}]});
    assert_eq!(answer.response, failed);
}

#[tokio::test]
async fn what_is_not_done_in_time_is_given_back() {
    let given_back = |ids: &[&str]| {
        let ids: Vec<Value> = ids.iter().map(|id| json!({"itemIdentifier": id})).collect();
        Ok(json!({"batchItemFailures": ids}))
    };
    let function = Table::AccelerometerTrusted;
    for receives in [1, 3] {
        let (world, batch) = two_files(receives).await;
        let answer = world.invoke_for(function, &batch, Some(Duration::ZERO)).await;
        assert_eq!(answer, given_back(&["ann", "bob"]));
        assert_eq!(world.rows(function).await.len(), 0);
        let mut answers = Vec::new();
        for hang_at in 1.. {
            let (world, batch) = two_files(receives).await;
            let answer = world.hang(function, &batch, hang_at, Duration::from_millis(50)).await;
            let is_done = answer == given_back(&[]);
            if answers.last() != Some(&answer) {
                answers.push(answer);
            }
            let answer = world.invoke_for(function, &batch, Some(Duration::from_secs(600))).await;
            assert_eq!(answer, given_back(&[]), "{hang_at}");
            assert_eq!(world.rows(function).await.len(), 2, "{hang_at}");
            world.assert_row_counts("given back").await;
            if is_done {
                break;
            }
        }
        let expected = match receives {
            1 => vec![given_back(&["ann", "bob"]), given_back(&[])],
            _ => vec![given_back(&["ann"]), given_back(&["bob"]), given_back(&[])],
        };
        assert_eq!(answers, expected);
    }
}

#[tokio::test]
async fn lake_with_another_hash_key_is_refused() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(0))).await;
    let error = world.with_hash_key(HashKey::new(&[1; 32])).check().await.unwrap_err().to_string();
    assert!(error.contains("HASH_KEY") && error.contains(&HashKey::public().fingerprint()), "{error}");
}

#[tokio::test]
async fn lake_with_other_settings_is_refused() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(0))).await;
    let other = world.with_settings(LakeConfig { consent_policy: AtReading, ..LakeConfig::default() });
    let error = other.check().await.unwrap_err().to_string();
    assert!(error.contains("CONSENT_POLICY=ever") && error.contains("CONSENT_POLICY=at-reading"), "{error}");
    let shards = LakeConfig { customer_shards: 8.try_into().unwrap(), ..LakeConfig::default() };
    let error = world.with_settings(shards).check().await.unwrap_err().to_string();
    assert!(error.contains("CUSTOMER_SHARDS=16") && error.contains("CUSTOMER_SHARDS=8"), "{error}");
    let pairs = LakeConfig { pairs: Pairs::SameCustomer, ..LakeConfig::default() };
    let error = world.with_settings(pairs).check().await.unwrap_err().to_string();
    assert!(error.contains("PAIRS=same-instant") && error.contains("PAIRS=same-customer"), "{error}");
    let slices = LakeConfig { slices_per_hour: 60.try_into().unwrap(), ..LakeConfig::default() };
    let error = world.with_settings(slices).check().await.unwrap_err().to_string();
    assert!(error.contains("SLICES_PER_HOUR=1,") && error.contains("SLICES_PER_HOUR=60"), "{error}");
}
