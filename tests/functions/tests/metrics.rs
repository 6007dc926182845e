//! The metrics of an invocation equal what it did.

// A panic fails a test.
#![allow(clippy::unwrap_used)]

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use emulator::Requests;
use formats::receipt::Receipt;
use functions::{T, World, customer, event, motion, step};
use model::lake_config::ConsentPolicy::{AtReading, Ever};
use model::layout::Source;
use model::table::Table;
use model::time::Partition;
use serde_json::json;
use simulation::functions::AnyFunction;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::counters::Counts;
use store::lake::Lake;
use store::{Put, Version};

const CUSTOMERS: &str = "customer/landing/c.json";
const MOTIONS: &str = "accelerometer/landing/a.json";
const STEPS: &str = "step_trainer/landing/s.json";

/// The metrics of a function that handles the event of one object.
async fn counts_of(world: &World, function: Table, key: &str) -> Counts {
    world.lake.counters.drain();
    world.deliver(function, key).await.unwrap();
    world.lake.counters.drain()
}

fn s3_requests(requests: Requests) -> u64 {
    let Requests { get, head, put, list, delete, glue: _, other } = requests;
    get + head + put + list + delete + other
}

fn assert_rows(counts: &Counts, receipt: &Receipt, rows: [u64; 4]) {
    let excluded = counts.rows_excluded.values().sum();
    assert_eq!([counts.rows_read, counts.rows_kept, excluded, counts.rows_quarantined], rows);
    assert_eq!([receipt.rows, receipt.kept, counts.rows_excluded.values().sum(), receipt.quarantined], rows);
    assert_eq!(counts.rows_excluded, receipt.excluded);
}

#[tokio::test]
async fn row_metrics_of_a_file_equal_its_receipt() {
    let world = World::new(AtReading).await;
    let customers = [customer("ann", 0, Some(3)), customer("bob", 0, None), customer("ann", -1, None), "{".into()];
    world.put(CUSTOMERS, customers.join("\n")).await;
    let counts = counts_of(&world, Table::CustomerTrusted, CUSTOMERS).await;
    assert_rows(&counts, &world.receipt(Source::Customer, CUSTOMERS).await, [4, 1, 2, 1]);

    let motions = [motion("ann", 2), motion("ann", 3), motion("ann", 4), motion("bob", 4), "broken".into()];
    world.put(MOTIONS, motions.join("\n")).await;
    let counts = counts_of(&world, Table::AccelerometerTrusted, MOTIONS).await;
    assert_rows(&counts, &world.receipt(Source::Accelerometer, MOTIONS).await, [5, 2, 2, 1]);
    assert_eq!(counts.rows_excluded.keys().collect::<Vec<_>>(), ["before_consent", "no_trusted_customer"]);

    world.put(STEPS, step("eve", 4)).await;
    let counts = counts_of(&world, Table::StepTrainerTrusted, STEPS).await;
    assert_rows(&counts, &world.receipt(Source::StepTrainer, STEPS).await, [1, 0, 1, 0]);
}

#[tokio::test]
async fn rows_of_each_version_of_a_file_are_counted_once() {
    let world = World::new(Ever).await;
    for (function, file, record) in [
        (Table::AccelerometerTrusted, MOTIONS, (|time| motion("ann", time)) as fn(i64) -> String),
        (Table::StepTrainerTrusted, STEPS, |time| step("ann", time)),
        (Table::CustomerTrusted, CUSTOMERS, |time| customer("ann", time, Some(0))),
    ] {
        for times in [[5, 6], [5, 7]] {
            world.put(file, times.map(record).join("\n")).await;
            for is_new in [true, false] {
                let counts = counts_of(&world, function, file).await;
                let rows = if is_new { 2 } else { 0 };
                assert_eq!((counts.rows_read, counts.objects_written > 0), (rows, is_new), "{file}: {times:?}");
            }
        }
        world.expire(file);
        assert_eq!(counts_of(&world, function, file).await.rows_read, 0, "{file}");
    }
}

#[tokio::test]
async fn reprocessing_counts_no_rows() {
    let world = World::new(Ever).await;
    world.ingest(MOTIONS, motion("ann", 5)).await;
    world.put(CUSTOMERS, customer("ann", 0, Some(0))).await;
    world.deliver(Table::CustomerTrusted, CUSTOMERS).await.unwrap();
    let shard = world.objects().await.into_keys().find(|key| key.starts_with(Table::CustomerTrusted.prefix()));
    let counts = counts_of(&world, Table::AccelerometerTrusted, &shard.unwrap()).await;
    // The work item, the checkpoint.
    assert_eq!((counts.rows_read, counts.rows_kept, counts.objects_written), (0, 0, 2));
    let item = world.work_items(Table::AccelerometerTrusted).await.remove(0);
    let before = world.requests();
    let counts = counts_of(&world, Table::AccelerometerTrusted, &item).await;
    let after = world.requests();
    assert_eq!((counts.s3_requests, after.delete - before.delete), (s3_requests(after) - s3_requests(before), 1));
    assert_eq!(world.counts().await[1], 1);
    // The cell.
    assert_eq!((counts.rows_read, counts.rows_kept, counts.objects_written), (0, 0, 1));
}

#[tokio::test]
async fn every_request_and_every_written_object_is_counted() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, customer("ann", 0, Some(0))).await;
    world.put(MOTIONS, motion("ann", 5)).await;
    let objects = world.objects().await;
    world.lake.counters.drain();
    let before = world.requests();
    world.deliver(Table::AccelerometerTrusted, MOTIONS).await.unwrap();
    let (after, counts) = (world.requests(), world.lake.counters.drain());
    let of_s3 = s3_requests(after) - s3_requests(before);
    assert_eq!((counts.s3_requests, counts.glue_requests), (of_s3, after.glue - before.glue));
    assert_eq!(counts.glue_requests, 1);
    let written = world.objects().await.into_iter().filter(|(key, etag)| objects.get(key) != Some(etag)).count();
    assert_eq!(counts.objects_written, written as u64);
    assert_eq!((counts.conflicts, counts.retries), (0, 0));
}

#[tokio::test]
async fn conflicting_put_counts_as_a_conflict_and_not_as_written() {
    let world = World::new(Ever).await;
    world.put("x", "another's").await;
    let stale = Version::Etag("\"0\"".into());
    for (key, expected) in [("x", Version::Absent), ("x", stale.clone()), ("gone", stale)] {
        world.lake.counters.drain();
        let put = world.lake.store.put(&world.lake.at(key), Bytes::from_static(b"mine"), &expected).await.unwrap();
        assert_eq!(put, Put::Conflict);
        let expected_counts = Counts { conflicts: 1, s3_requests: 1, ..Counts::default() };
        assert_eq!(world.lake.counters.drain(), expected_counts, "{key}, {expected:?}");
    }
}

/// Refuses the first few requests.
#[derive(Clone, Debug)]
struct RefusingClient {
    inner: SharedHttpClient,
    refusals: Arc<AtomicUsize>,
    answer: (u16, &'static str),
}

#[derive(Debug)]
struct RefusingConnector {
    inner: SharedHttpConnector,
    client: RefusingClient,
}

impl HttpClient for RefusingClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(RefusingConnector { inner, client: self.clone() })
    }
}

impl HttpConnector for RefusingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let RefusingClient { refusals, answer: (status, body), .. } = &self.client;
        let one_less = |left: usize| left.checked_sub(1);
        if refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err() {
            return self.inner.call(request);
        }
        let status = (*status).try_into().unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(*body))))
    }
}

impl RefusingClient {
    fn lake(world: &World, refusals: usize, answer: (u16, &'static str)) -> Lake {
        let refusals = Arc::new(AtomicUsize::new(refusals));
        world.lake_over(SharedHttpClient::new(Self { inner: world.http_client(), refusals, answer }))
    }
}

const SLOW_DOWN: (u16, &str) = (503, "<Error><Code>SlowDown</Code></Error>");
const CONFLICT: (u16, &str) = (409, "<Error><Code>ConditionalRequestConflict</Code></Error>");
const THROTTLED: (u16, &str) = (400, r#"{"__type": "ThrottlingException"}"#);
const CONCURRENT: (u16, &str) = (400, r#"{"__type": "ConcurrentModificationException"}"#);

#[tokio::test(start_paused = true)]
async fn repeated_put_counts_as_a_retry() {
    let world = World::new(Ever).await;
    for (key, refusals, answer, conflicts) in [("slow", 2, SLOW_DOWN, 0), ("conflict", 3, CONFLICT, 3)] {
        let lake = RefusingClient::lake(&world, refusals, answer);
        lake.store.put(&lake.at(key), Bytes::from_static(b"mine"), &Version::Absent).await.unwrap();
        let retries = refusals as u64;
        let expected_counts =
            Counts { objects_written: 1, conflicts, retries, s3_requests: retries + 1, ..Counts::default() };
        assert_eq!(lake.counters.drain(), expected_counts, "{key}");
    }
    // The last attempt is not repeated.
    let lake = RefusingClient::lake(&world, usize::MAX, CONFLICT);
    lake.store.put(&lake.at("x"), Bytes::from_static(b"mine"), &Version::Absent).await.unwrap_err();
    assert_eq!(lake.counters.drain(), Counts { conflicts: 6, retries: 5, s3_requests: 6, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn repeated_registration_counts_as_a_retry() {
    let world = World::new(Ever).await;
    for answer in [THROTTLED, CONCURRENT] {
        let lake = RefusingClient::lake(&world, 1, answer);
        let partitions = BTreeSet::from([Partition::of(T)]);
        lake.catalog.register(Table::AccelerometerTrusted, &partitions).await.unwrap();
        assert_eq!(lake.counters.drain(), Counts { retries: 1, glue_requests: 2, ..Counts::default() }, "{answer:?}");
    }
}

#[tokio::test]
async fn only_processed_events_have_an_age() {
    let world = World::new(Ever).await;
    let function = AnyFunction::new(Table::CustomerTrusted, world.lake.clone()).unwrap();
    world.put(CUSTOMERS, customer("ann", 0, Some(0))).await;
    let message = |id: &str, body: String| json!({"messageId": id, "eventSource": "aws:sqs", "body": body});
    let batch = json!({"Records": [
        message("bad", "{".into()),
        message("good", event("stedi", CUSTOMERS).to_string()),
        message("wrong", event("stedi", MOTIONS).to_string()),
        message("again", event("stedi", CUSTOMERS).to_string()),
    ]});
    assert_eq!(function.invoke(&batch, None).await.unwrap().times.len(), 2);
}
