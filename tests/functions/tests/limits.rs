//! Files that one invocation cannot handle are rejected as a whole, and harm nothing else.

#![allow(clippy::unwrap_used)]

use functions::{HOUR_MS, World, customer, motion, step};
use ingest::content::SLICES_MAX;
use model::lake_config::ConsentPolicy::Ever;
use model::layout::Source;
use std::io::Write;

const CUSTOMERS: &str = "customer/landing/c.json";
const MOTIONS: &str = "accelerometer/landing/a.json";
const STEPS: &str = "step_trainer/landing/s.json";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn assert_rejected(world: &World, source: Source, key: &str, reason: &str) {
    let receipt = world.receipt(source, key).await;
    assert_eq!((receipt.rows, receipt.kept, receipt.rejected.get(reason)), (1, 0, Some(&1)), "{receipt:?}");
    assert!(receipt.undecodable.unwrap().contains("split the file"));
}

#[tokio::test]
async fn a_file_that_takes_too_much_memory_is_rejected_as_a_whole() {
    let world = World::new(Ever).await.with_memory_mb(4);
    world.ingest(CUSTOMERS, customer("ann", 0, Some(0))).await;
    world.ingest(MOTIONS, motion("ann", 5)).await;
    world.ingest(STEPS, step("ann", 5)).await;
    world.assert_tables("before", [1, 1, 1, 1, 1]).await;
    let many = |line: &dyn Fn(i64) -> String| gzip(&(0..40_000).map(|n| line(n) + "\n").collect::<String>());
    for (source, line) in [
        (Source::Customer, &(|n| customer(&format!("c{n}"), 0, Some(0))) as &dyn Fn(i64) -> String),
        (Source::Accelerometer, &|n| motion("ann", n)),
        (Source::StepTrainer, &|n| step(&format!("device{n}"), 5)),
    ] {
        let key = format!("{source}/landing/many.json.gz");
        world.ingest(&key, many(line)).await;
        assert_rejected(&world, source, &key, "too_many_records").await;
    }
    world.assert_tables("after", [1, 1, 1, 1, 1]).await;
    // With more memory, an event of the same file is enough.
    let world = world.with_memory_mb(512);
    world.deliver_all(["accelerometer/landing/many.json.gz".to_owned()]).await;
    assert_eq!(world.counts().await[1], 40_001);
    world.deliver_all(["customer/landing/many.json.gz".to_owned()]).await;
    assert_eq!(world.counts().await[0], 40_001);
    // With less memory again, the file is rejected again, and no part of it stays.
    let world = world.with_memory_mb(4);
    world.deliver_all(["accelerometer/landing/many.json.gz".to_owned()]).await;
    assert_rejected(&world, Source::Accelerometer, "accelerometer/landing/many.json.gz", "too_many_records").await;
    assert_eq!(world.counts().await[1], 1);
}

#[tokio::test]
async fn a_file_with_readings_in_too_many_hours_is_rejected_as_a_whole() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, customer("ann", 0, Some(0))).await;
    let hours = SLICES_MAX as i64 + 1;
    let lines = |reading: fn(&str, i64) -> String| {
        (0..hours).map(|hour| reading("ann", hour * HOUR_MS) + "\n").collect::<String>()
    };
    world.ingest(MOTIONS, lines(motion)).await;
    assert_rejected(&world, Source::Accelerometer, MOTIONS, "too_many_slices").await;
    world.ingest(STEPS, lines(step)).await;
    assert_rejected(&world, Source::StepTrainer, STEPS, "too_many_slices").await;
    world.assert_tables("rejected", [1, 0, 0, 0, 0]).await;
}
