//! An event stays in the journal until all functions have acknowledged it.

use crate::support::{Calls, Gated, cloud_with_bucket, create_bucket, failures, key, one, put, send};
use emulator::{Cloud, Dispatcher, Handler, Options};
use futures::FutureExt;
use std::path::Path;
use std::sync::Arc;

fn journal(directory: &Path) -> String {
    std::fs::read_to_string(directory.join(".emulator/events")).unwrap_or_default()
}

/// Dropping a runtime with all its tasks simulates a kill within a test.
#[test]
fn the_next_start_delivers_unacknowledged_events() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let calls = Calls::default();
    let killed = runtime();
    killed.block_on(async {
        let cloud = Cloud::open(directory.path()).unwrap();
        create_bucket(&cloud).await;
        let Gated { subscriptions, gate, started } = Gated::new(calls.succeeding(), 100);
        let dispatcher = Dispatcher::start(&cloud, subscriptions, Options::default()).unwrap();
        put(&cloud, "in/done", "").await;
        gate.add_permits(1);
        dispatcher.wait_until_quiet().await;
        started.acquire().await.unwrap().forget();
        put(&cloud, "in/handled", "").await;
        started.acquire().await.unwrap().forget();
        for key in ["in/queued", "in/deleted", "elsewhere"] {
            put(&cloud, key, "").await;
        }
        assert!(!journal(directory.path()).contains("elsewhere"));
    });
    drop(killed);

    runtime().block_on(async {
        let cloud = Cloud::open(directory.path()).unwrap();
        send(&cloud, "DELETE", "bucket/in/deleted", &[], "").await;
        let again = Calls::default();
        let dispatcher = Dispatcher::start(&cloud, one("in/", again.succeeding()), Options::default()).unwrap();
        let report = dispatcher.wait_until_quiet().await;
        assert_eq!(calls.keys(), ["in/done"]);
        assert_eq!(again.keys(), ["in/handled", "in/queued"]);
        assert_eq!(report.events, 2);
        dispatcher.stop().await;
        let dispatcher = Dispatcher::start(&cloud, one("in/", again.succeeding()), Options::default()).unwrap();
        assert_eq!(dispatcher.wait_until_quiet().await.events, 0);
    });
}

#[tokio::test]
async fn a_stopped_dispatcher_releases_the_directory() {
    let (directory, cloud) = cloud_with_bucket().await;
    // A function that puts objects owns the cloud, and the cloud its dispatcher: stop must break that cycle.
    let writer = cloud.clone();
    let handler: Handler = Arc::new(move |_| {
        let _writer = writer.clone();
        async { Ok(String::new()) }.boxed()
    });
    let dispatcher = Dispatcher::start(&cloud, one("in/", handler), Options::default()).unwrap();
    put(&cloud, "in/1", "").await;
    dispatcher.wait_until_quiet().await;
    dispatcher.stop().await;
    drop(cloud);
    Cloud::open(directory.path()).unwrap();
}

/// The journal is written before the object. After a kill between the two it has an event of an object whose version is
/// older, or that does not exist.
#[tokio::test]
async fn events_of_unfinished_puts_are_harmless() {
    let (directory, cloud) = cloud_with_bucket().await;
    put(&cloud, "in/older", "").await;
    let lines = "{\"Undelivered\":[7,\"bucket\",\"in/older\"]}\n{\"Undelivered\":[8,\"bucket\",\"in/missing\"]}\n{\"Undelivered\":[9,\"bu";
    std::fs::write(directory.path().join(".emulator/events"), lines).unwrap();
    let calls = Calls::default();
    let dispatcher = Dispatcher::start(&cloud, one("in/", calls.succeeding()), Options::default()).unwrap();
    dispatcher.wait_until_quiet().await;
    assert_eq!(calls.keys(), ["in/older"]);
    dispatcher.stop().await;
    assert!(!journal(directory.path()).contains("missing\"]}\n{\"Undelivered"));
}

#[tokio::test]
async fn stop_finishes_the_call_in_progress_and_keeps_the_rest() {
    let (directory, cloud) = cloud_with_bucket().await;
    let calls = Calls::default();
    let Gated { subscriptions, gate, started } = Gated::new(calls.succeeding(), 100);
    let dispatcher = Dispatcher::start(&cloud, subscriptions, Options::default()).unwrap();
    put(&cloud, "in/1", "").await;
    started.acquire().await.unwrap().forget();
    put(&cloud, "in/2", "").await;
    let stopping = tokio::spawn(dispatcher.stop());
    // The runtime has one thread: yielding lets the stop begin before the gate opens.
    tokio::task::yield_now().await;
    gate.add_permits(1);
    let report = stopping.await.unwrap();
    assert_eq!((report.events, calls.keys()), (1, vec!["in/1".to_owned()]));
    assert!(journal(directory.path()).contains("in/2"));
}

#[tokio::test]
async fn a_message_that_always_fails_becomes_a_dead_letter() {
    let (directory, cloud) = cloud_with_bucket().await;
    let calls = Calls::default();
    let bad = |batch: &[(String, serde_json::Value)]| {
        let bad: Vec<_> =
            batch.iter().filter(|(_, record)| key(record) == "in/bad").map(|(id, _)| id.clone()).collect();
        Ok(failures(&bad))
    };
    let dispatcher = Dispatcher::start(&cloud, one("in/", calls.answering(bad)), Options::default()).unwrap();
    for name in ["in/1", "in/bad", "in/2"] {
        put(&cloud, name, "").await;
    }
    let report = dispatcher.wait_until_quiet().await;
    let [dead] = &report.dead_letters[..] else { panic!("one dead letter: {report:?}") };
    assert_eq!((dead.function.as_str(), dead.bucket.as_str(), dead.key.as_str()), ("function", "bucket", "in/bad"));
    assert_eq!((dead.receives, &dead.error), (5, &None));
    assert_eq!((report.events, report.deliveries), (3, 7));
    dispatcher.stop().await;

    // A dead letter stays in the journal: the next start delivers it again, and nothing else.
    let again = Calls::default();
    let dispatcher = Dispatcher::start(&cloud, one("in/", again.succeeding()), Options::default()).unwrap();
    dispatcher.wait_until_quiet().await;
    assert_eq!(again.keys(), ["in/bad"]);
    dispatcher.stop().await;
    let dispatcher = Dispatcher::start(&cloud, one("in/", again.succeeding()), Options::default()).unwrap();
    dispatcher.wait_until_quiet().await;
    assert_eq!(again.keys(), ["in/bad"]);
    assert!(!journal(directory.path()).contains("in/bad"));
}
