//! Stored objects trigger functions at least once, through all failures.

use crate::support::{Batch, Calls, Gated, cloud_with_bucket, create_bucket, failures, key, one, put, records, send};
use emulator::{Cloud, DispatchError, Dispatcher, Handler, Options, Progress, Subscription};
use futures::FutureExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

#[tokio::test]
async fn an_event_has_the_form_of_aws() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(|| UNIX_EPOCH + Duration::from_millis(1_655_560_800_123));
    let cloud = Cloud::open_with_clock(directory.path(), clock).unwrap();
    create_bucket(&cloud).await;
    let seen = Arc::new(std::sync::Mutex::new(String::new()));
    let record = Arc::clone(&seen);
    let handler: Handler = Arc::new(move |event| {
        *record.lock().unwrap() = event;
        async { Ok(String::new()) }.boxed()
    });
    let dispatcher = Dispatcher::start(&cloud, one("photos/raw/", handler), Options::default()).unwrap();
    put(&cloud, "photos/raw/2022%2006/a%2Bb=%C3%A9.json", "hello").await;
    let report = dispatcher.wait_until_quiet().await;
    assert_eq!((report.events, report.deliveries, report.invocations), (1, 1, 1));

    let event: serde_json::Value = serde_json::from_str(&seen.lock().unwrap()).unwrap();
    let message = &event["Records"][0];
    assert_eq!(message["eventSource"], "aws:sqs");
    assert_eq!(message["eventSourceARN"], "arn:aws:sqs:us-east-1:000000000000:function");
    assert_eq!(message["attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(message["attributes"]["SentTimestamp"], "1655560800123");
    assert_eq!(message["md5OfBody"].as_str().unwrap().len(), 32);
    let (_, record) = &records(&event.to_string())[0];
    assert_eq!(record["eventVersion"], "2.1");
    assert_eq!(record["eventSource"], "aws:s3");
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["eventTime"], "2022-06-18T14:00:00.123Z");
    assert_eq!(record["s3"]["bucket"]["name"], "bucket");
    assert_eq!(record["s3"]["bucket"]["arn"], "arn:aws:s3:::bucket");
    assert_eq!(record["s3"]["object"]["key"], "photos/raw/2022+06/a%2Bb%3D%C3%A9.json");
    assert_eq!(record["s3"]["object"]["size"], 5);
    assert_eq!(record["s3"]["object"]["eTag"], "5d41402abc4b2a76b9719d911017c592");
    assert!(!record["s3"]["object"]["sequencer"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn an_object_triggers_each_function_with_its_prefix_once() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let (both, small, none) = (Calls::default(), Calls::default(), Calls::default());
    let subscriptions = vec![
        Subscription::new("both", "bucket", ["raw/", "small/", "small/a"], both.succeeding()),
        Subscription::new("small", "bucket", ["small/"], small.succeeding()),
        Subscription::new("none", "bucket", ["none/"], none.succeeding()),
    ];
    let dispatcher = Dispatcher::start(&cloud, subscriptions, Options::default()).unwrap();
    for key in ["raw/1", "small/a1", "small/", "elsewhere/1", "raw"] {
        put(&cloud, key, "").await;
    }
    // An object of another bucket triggers nothing.
    for path in ["other", "other/raw/2"] {
        assert_eq!(send(&cloud, "PUT", path, &[], "").await.0, 200);
    }
    let report = dispatcher.wait_until_quiet().await;
    assert_eq!(both.keys(), ["raw/1", "small/a1"]);
    assert_eq!(small.keys(), ["small/a1"]);
    assert!(none.keys().is_empty());
    assert_eq!(report.events, 3);
}

#[tokio::test]
async fn messages_of_a_busy_function_gather_into_a_batch() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let calls = Calls::default();
    let Gated { subscriptions, gate, started } = Gated::new(calls.succeeding(), 4);
    let dispatcher = Dispatcher::start(&cloud, subscriptions, Options::default()).unwrap();
    put(&cloud, "in/0", "").await;
    started.acquire().await.unwrap().forget();
    for number in 1..8 {
        put(&cloud, &format!("in/{number}"), "").await;
    }
    assert_eq!(
        *dispatcher.progress().borrow(),
        Progress { pending: 8, deliveries: 1, invocations: 1, ..Progress::default() }
    );
    gate.add_permits(3);
    dispatcher.wait_until_quiet().await;
    let sizes: Vec<_> = calls.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 4, 3]);
    assert_eq!(calls.keys(), (0..8).map(|number| format!("in/{number}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_one_function_trigger_the_next() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let last = Calls::default();
    let writer = cloud.clone();
    let copy: Handler = Arc::new(move |event| {
        let writer = writer.clone();
        async move {
            for (_, record) in records(&event) {
                put(&writer, &key(&record).replace("first/", "second/"), "copy").await;
            }
            Ok(String::new())
        }
        .boxed()
    });
    let subscriptions = vec![
        Subscription::new("copy", "bucket", ["first/"], copy),
        Subscription::new("last", "bucket", ["second/"], last.succeeding()),
    ];
    let dispatcher = Dispatcher::start(&cloud, subscriptions, Options::default()).unwrap();
    for number in 0..200 {
        put(&cloud, &format!("first/{number}"), "").await;
    }
    let report = dispatcher.wait_until_quiet().await;
    assert_eq!(report.events, 400);
    assert_eq!(last.keys().len(), 200);
    let requests = cloud.requests();
    assert_eq!((requests.put, requests.other, requests.get), (400, 1, 0));
}

#[tokio::test]
async fn only_failed_messages_are_delivered_again() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let calls = Calls::default();
    let attempts = AtomicUsize::new(0);
    let fails_twice = calls.answering(move |batch| {
        let bad = batch.iter().filter(|(_, record)| key(record) == "in/bad").map(|(id, _)| id);
        let bad: Vec<_> = bad.filter(|_| attempts.fetch_add(1, Ordering::SeqCst) < 2).collect();
        Ok(failures(bad))
    });
    let Gated { subscriptions, gate, started } = Gated::new(fails_twice, 100);
    let dispatcher = Dispatcher::start(&cloud, subscriptions, Options::default()).unwrap();
    put(&cloud, "in/first", "").await;
    started.acquire().await.unwrap().forget();
    for key in ["in/good", "in/bad", "in/better"] {
        put(&cloud, key, "").await;
    }
    gate.add_permits(4);
    let report = dispatcher.wait_until_quiet().await;
    let keys = |batch: &Batch| batch.iter().map(|(_, record)| key(record)).collect::<Vec<_>>();
    let batches: Vec<_> = calls.batches().iter().map(keys).collect();
    assert_eq!(batches, [vec!["in/first"], vec!["in/good", "in/bad", "in/better"], vec!["in/bad"], vec!["in/bad"]]);
    assert_eq!((report.events, report.deliveries, report.dead_letters), (4, 6, vec![]));
}

#[tokio::test]
async fn an_error_a_panic_or_an_invalid_answer_fails_the_whole_batch() {
    type Answer = fn(&[(String, serde_json::Value)]) -> Result<String, String>;
    let answers: [(Answer, &str); 5] = [
        (|_| Err("bucket is on fire".into()), "bucket is on fire"),
        (|_| panic!("index {} out of range", 7), "the function panicked: index 7 out of range"),
        (|_| Ok("oops".into()), "the answer is not a batch response: oops"),
        (|_| Ok(failures([&"other".to_owned()])), "names no message of the batch"),
        (|_| Ok(r#"{"batchItemFailures":[{}]}"#.into()), "names no message of the batch"),
    ];
    for (answer, text) in answers {
        let (_directory, cloud) = cloud_with_bucket().await;
        let calls = Calls::default();
        let options = Options { receives_max: 2, ..Options::default() };
        let dispatcher = Dispatcher::start(&cloud, one("in/", calls.answering(answer)), options).unwrap();
        put(&cloud, "in/1", "").await;
        let report = dispatcher.wait_until_quiet().await;
        assert_eq!(calls.keys(), ["in/1"; 2]);
        let error = report.dead_letters[0].error.clone().unwrap();
        assert!(error.contains(text), "{error}");
    }
}

#[tokio::test]
async fn an_empty_answer_acknowledges_the_batch() {
    for answer in ["", "null", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
        let (_directory, cloud) = cloud_with_bucket().await;
        let calls = Calls::default();
        let handler = calls.answering(move |_| Ok(answer.into()));
        let dispatcher = Dispatcher::start(&cloud, one("in/", handler), Options::default()).unwrap();
        put(&cloud, "in/1", "").await;
        assert!(dispatcher.wait_until_quiet().await.dead_letters.is_empty());
        assert_eq!(calls.keys(), ["in/1"], "{answer:?}");
    }
}

#[tokio::test]
async fn duplicate_delivers_every_event_several_times() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let calls = Calls::default();
    let options = Options { duplicate: 3, ..Options::default() };
    let dispatcher = Dispatcher::start(&cloud, one("in/", calls.succeeding()), options).unwrap();
    put(&cloud, "in/1", "").await;
    let report = dispatcher.wait_until_quiet().await;
    assert_eq!(calls.keys(), ["in/1"; 3]);
    let ids: BTreeSet<_> = calls.batches().into_iter().flatten().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 3, "the messages have different ids");
    assert_eq!(report.events, 3);
}

#[tokio::test]
async fn the_seed_decides_a_shuffled_order() {
    let order = async |seed: Option<u64>| {
        let (_directory, cloud) = cloud_with_bucket().await;
        let calls = Calls::default();
        let Gated { subscriptions, gate, started } = Gated::new(calls.succeeding(), 3);
        let dispatcher =
            Dispatcher::start(&cloud, subscriptions, Options { shuffle: seed, ..Options::default() }).unwrap();
        put(&cloud, "in/first", "").await;
        started.acquire().await.unwrap().forget();
        for number in 0..12 {
            put(&cloud, &format!("in/{number:02}"), "").await;
        }
        gate.add_permits(5);
        dispatcher.wait_until_quiet().await;
        calls.keys()
    };
    let in_order = order(None).await;
    assert!(in_order[1..].is_sorted());
    assert_eq!(order(Some(7)).await, order(Some(7)).await);
    assert_ne!(order(Some(7)).await, in_order);
    assert_ne!(order(Some(7)).await, order(Some(8)).await);
}

#[tokio::test]
async fn a_refused_put_triggers_nothing() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let calls = Calls::default();
    let dispatcher = Dispatcher::start(&cloud, one("in/", calls.succeeding()), Options::default()).unwrap();
    put(&cloud, "in/1", "first").await;
    let (status, _) = send(&cloud, "PUT", "bucket/in/1", &[("if-none-match", "*")], "second").await;
    assert_eq!(status, 412);
    let report = dispatcher.wait_until_quiet().await;
    assert_eq!((report.events, calls.keys()), (1, vec!["in/1".to_owned()]));
}

#[tokio::test]
async fn invalid_subscriptions_and_a_second_dispatcher_are_refused() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let calls = Calls::default();
    let start = |subscriptions, options| Dispatcher::start(&cloud, subscriptions, options);
    let twice = [one("a/", calls.succeeding()), one("b/", calls.succeeding())].concat();
    assert!(matches!(start(twice, Options::default()), Err(DispatchError::Invalid { .. })));
    let mut idle = one("a/", calls.succeeding());
    idle[0].concurrency = 0;
    assert!(matches!(start(idle, Options::default()), Err(DispatchError::Invalid { .. })));
    let never = Options { duplicate: 0, ..Options::default() };
    assert!(matches!(start(one("a/", calls.succeeding()), never), Err(DispatchError::Options("duplicate"))));

    let dispatcher = start(one("a/", calls.succeeding()), Options::default()).unwrap();
    assert!(matches!(start(one("a/", calls.succeeding()), Options::default()), Err(DispatchError::AlreadyStarted)));
    dispatcher.stop().await;
    start(one("a/", calls.succeeding()), Options::default()).unwrap().stop().await;
}

#[tokio::test]
async fn a_listener_is_called_before_the_object_triggers_a_function() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let calls = Calls::default();
    let dispatcher = Dispatcher::start(&cloud, one("in/", calls.succeeding()), Options::default()).unwrap();
    let (progress, pending) = (dispatcher.progress(), Arc::new(std::sync::Mutex::new(Vec::new())));
    let record = Arc::clone(&pending);
    cloud.on_stored(move |_| record.lock().unwrap().push(progress.borrow().pending));
    put(&cloud, "in/1", "").await;
    assert_eq!(*pending.lock().unwrap(), [0]);
    assert_eq!(dispatcher.wait_until_quiet().await.events, 1);
}
