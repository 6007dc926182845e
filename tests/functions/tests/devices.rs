//! Devices that are sold, and customers who move to another device.

// A panic fails a test.
#![allow(clippy::unwrap_used)]

use functions::{HOUR_MS, Stopped, T, World, customer, event, motion, step};
use model::hash::{HashKey, Shard, ShardCount};
use model::lake_config::ConsentPolicy::Ever;
use model::layout;
use model::table::Table;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CUSTOMERS: &str = "customer/landing/c.json";
const LATER: &str = "customer/landing/later.json";
const MOTIONS: &str = "accelerometer/landing/a.json";
const STEPS: &str = "step_trainer/landing/s.json";

/// A record of a customer who registers the device of another one: see [`customer`].
fn with_device_of(other: &str, name: &str, date: i64, since: Option<i64>) -> String {
    customer(name, date, since).replace(&format!("serial-{name}"), &format!("serial-{other}"))
}

#[tokio::test]
async fn a_device_that_a_customer_without_consent_registers_later_has_no_rows() {
    // Bob, who has not consented, registers the device of Ann.
    let (of_ann, of_bob) = (customer("ann", 0, Some(0)), with_device_of("ann", "bob", 1, None));
    let (of_ann, of_bob) = ((CUSTOMERS, of_ann), (LATER, of_bob));
    for (first, counts, second) in [(&of_ann, [1, 1, 1, 2, 1], &of_bob), (&of_bob, [0; 5], &of_ann)] {
        let what = format!("first {}", first.0);
        let world = World::new(Ever).await;
        world.ingest(MOTIONS, [motion("ann", 5), motion("bob", 6)].join("\n")).await;
        world.ingest(STEPS, [step("ann", 5), step("ann", 6)].join("\n")).await;
        world.ingest(first.0, &first.1).await;
        world.assert_tables(&what, counts).await;
        world.ingest(second.0, &second.1).await;
        world.assert_tables(&what, [1, 1, 1, 0, 0]).await;
        world.ingest("step_trainer/landing/new.json", step("ann", 5)).await;
        world.assert_tables(&format!("{what}: a new file of readings"), [1, 1, 1, 0, 0]).await;
        world.ingest("customer/landing/withdrawn.json", with_device_of("ann", "bob", 2, None)).await;
        world.assert_tables(&format!("{what}: Bob withdraws"), [1, 1, 1, 0, 0]).await;
        world.assert_redelivery_writes_nothing(&what).await;
    }
}

/// The name in a serial number that is in another device shard than that of Ann.
fn other_device() -> String {
    let shard = |name: &str| HashKey::public().of(&format!("serial-{name}")).shard(ShardCount::default());
    (0..99).map(|n| format!("other{n}")).find(|name| shard(name) != shard("ann")).unwrap()
}

/// Returns a lake in which Ann has one device, and another one has readings too.
async fn world_before_the_move() -> World {
    let (world, other) = (World::new(Ever).await, other_device());
    world.ingest(CUSTOMERS, [customer("ann", 0, Some(0)), customer("bob", 0, Some(0))].join("\n")).await;
    world.ingest(MOTIONS, [motion("ann", 5), motion("bob", 5)].join("\n")).await;
    let steps = [step("ann", 5), step("ann", HOUR_MS), step("bob", 5), step(&other, 6), step(&other, HOUR_MS)];
    world.ingest(STEPS, steps.join("\n")).await;
    world.assert_tables("before", [2, 2, 2, 3, 4]).await;
    world
}

/// The rows of Ann's devices.
async fn steps_of_ann(world: &World) -> Vec<String> {
    let rows = world.rows(Table::StepTrainerTrusted).await;
    let (ann, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.ends_with(" ann@example.com"));
    assert!(others.len() == 1 && others[0].contains(" serial-bob "), "{others:?}");
    ann
}

fn expected_steps(device: &str, times: [i64; 2]) -> Vec<String> {
    let row = |time, hour| format!("dt=2022-06-18/hour={hour} {} serial-{device} 218 ann@example.com", T + time);
    vec![row(times[0], 15), row(times[1], 16)]
}

/// The function that is stopped, and what triggers it.
fn events_of(world: &World, function: Table) -> BTreeSet<String> {
    let shard = |key: &str| -> Shard { HashKey::public().of(key).shard(world.lake.config().customer_shards) };
    match function {
        Table::CustomerTrusted => [LATER.to_owned()].into(),
        Table::CustomerCurated => [layout::customers(Table::CustomerTrusted, shard("ann@example.com"))].into(),
        _ => ["ann", &other_device()].map(|device| layout::devices(shard(&format!("serial-{device}")))).into(),
    }
}

/// One batch with the events of some objects.
fn batch(world: &World, keys: &BTreeSet<String>) -> Value {
    let records = keys.iter().map(|key| event(world.lake.bucket(), key)["Records"][0].clone());
    json!({ "Records": records.collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_customer_who_moves_to_another_device_has_its_readings_only() {
    let world = world_before_the_move().await;
    assert_eq!(steps_of_ann(&world).await, expected_steps("ann", [5, HOUR_MS]));
    world.ingest(LATER, with_device_of(&other_device(), "ann", 1, Some(0))).await;
    assert_eq!(steps_of_ann(&world).await, expected_steps(&other_device(), [6, HOUR_MS]));
    world.assert_tables("moved", [2, 2, 2, 3, 2]).await;
    world.assert_redelivery_writes_nothing("moved").await;
}

/// Stops each function on the way before each of its requests. Meanwhile other instances do the whole change, or the function
/// is killed and its events are delivered again.
#[tokio::test]
async fn a_move_to_another_device_that_is_stopped_anywhere_ends_the_same() {
    for (function, upstream) in [
        (Table::CustomerTrusted, &[][..]),
        (Table::CustomerCurated, &[Table::CustomerTrusted, Table::AccelerometerTrusted]),
        (Table::StepTrainerTrusted, &[Table::CustomerTrusted, Table::AccelerometerTrusted, Table::CustomerCurated]),
    ] {
        for stopped in [Stopped::Continued, Stopped::Killed] {
            let mut stops = 0;
            for stop_before in 0.. {
                let what = format!("{function}, stopped before request {stop_before}, {stopped:?}");
                let world = world_before_the_move().await;
                world.put(LATER, with_device_of(&other_device(), "ann", 1, Some(0))).await;
                world.deliver_to(upstream, [LATER.to_owned()]).await;
                let events = events_of(&world, function);
                let payload = batch(&world, &events);
                let mut is_stopped = false;
                let written = world.written_by(async || {
                    let meanwhile = async || {
                        if stopped == Stopped::Continued {
                            world.deliver_all(events.clone()).await;
                        }
                    };
                    is_stopped = world.stop(function, &payload, stop_before, stopped, meanwhile).await;
                });
                let written = written.await;
                if !is_stopped {
                    break;
                }
                stops += 1;
                let due = if stopped == Stopped::Killed { events } else { BTreeSet::new() };
                world.deliver_all(due.into_iter().chain(written)).await;
                assert_eq!(steps_of_ann(&world).await, expected_steps(&other_device(), [6, HOUR_MS]), "{what}");
                world.assert_tables(&what, [2, 2, 2, 3, 2]).await;
                world.assert_redelivery_writes_nothing(&what).await;
            }
            // At least what the function reads, and what it puts.
            assert!(stops >= 6, "{function}: only {stops} requests");
        }
    }
}

/// The shard of the first device remembers the customer, so it is written again when the customer comes back.
#[tokio::test]
async fn a_customer_who_moves_back_has_the_readings_of_the_first_device() {
    let world = world_before_the_move().await;
    world.ingest(LATER, with_device_of(&other_device(), "ann", 1, Some(0))).await;
    world.ingest("customer/landing/back.json", customer("ann", 2, Some(0))).await;
    assert_eq!(steps_of_ann(&world).await, expected_steps("ann", [5, HOUR_MS]));
    let without_device = customer("ann", 3, Some(0)).replace(r#""serialNumber":"serial-ann","#, "");
    world.ingest("customer/landing/none.json", without_device).await;
    assert_eq!(steps_of_ann(&world).await, [""; 0]);
    world.assert_tables("no device", [2, 2, 2, 1, 2]).await;
    world.assert_redelivery_writes_nothing("no device").await;
}

/// A restore of a bucket may put back any shard whose changes were processed. A version that was written on top of it would have
/// the number of another one, and later changes would be missed. So each writer refuses, and goes on when the latest version is
/// back.
#[tokio::test]
async fn a_shard_that_was_put_back_is_not_written() {
    let world = world_before_the_move().await;
    let shard = |key: &str| HashKey::public().of(key).shard(world.lake.config().customer_shards);
    let customer = shard("ann@example.com");
    let shards = [
        (Table::CustomerTrusted, LATER.to_owned(), layout::customers(Table::CustomerTrusted, customer)),
        (
            Table::CustomerCurated,
            layout::customers(Table::CustomerTrusted, customer),
            layout::customers(Table::CustomerCurated, customer),
        ),
        (
            Table::CustomerCurated,
            layout::customers(Table::CustomerTrusted, customer),
            layout::devices(shard("serial-ann")),
        ),
    ];
    let mut older = Vec::new();
    for (_, _, put_back) in &shards {
        older.push(world.body(put_back).await.unwrap());
    }
    world.ingest(LATER, with_device_of(&other_device(), "ann", 1, Some(0))).await;
    for (time, ((function, event_of, put_back), older)) in (2..).step_by(2).zip(shards.iter().zip(older)) {
        let current = world.body(put_back).await.unwrap();
        assert_ne!(current, older, "{put_back}");
        // A withdrawal, which arrives while the shard is put back.
        let withdrawal = functions::customer("ann", time, None);
        if *function == Table::CustomerTrusted {
            world.put(LATER, &withdrawal).await;
        } else {
            world.put("customer/landing/w.json", &withdrawal).await;
            world.deliver(Table::CustomerTrusted, "customer/landing/w.json").await.unwrap();
        }
        world.put(put_back, older).await;
        let before = world.body(put_back).await;
        let error = world.deliver(*function, event_of).await.unwrap_err();
        assert!(error.contains(put_back) && error.contains("it was put back to an earlier version"), "{error}");
        assert_eq!(world.body(put_back).await, before, "{put_back}");
        world.put(put_back, current).await;
        // The function that failed has written other objects, whose events are delivered, too.
        let objects = world.objects().await.into_keys();
        world.deliver_all(objects.filter(|key| layout::Object::parse(key).is_some())).await;
        assert_eq!(steps_of_ann(&world).await, [""; 0], "{put_back}");
        // She consents again for the next case.
        world.ingest(LATER, with_device_of(&other_device(), "ann", time + 1, Some(0))).await;
        assert_ne!(steps_of_ann(&world).await, [""; 0], "{put_back}");
    }
}

/// A restore of a bucket may put back a shard of `customer_trusted` from before the move.
#[tokio::test]
async fn a_customer_shard_that_was_put_back_changes_no_owner() {
    let world = world_before_the_move().await;
    let shard = HashKey::public().of("ann@example.com").shard(world.lake.config().customer_shards);
    let trusted = layout::customers(Table::CustomerTrusted, shard);
    let older = world.body(&trusted).await.unwrap();
    world.ingest(LATER, with_device_of(&other_device(), "ann", 1, Some(0))).await;
    let current = world.body(&trusted).await.unwrap();
    world.put(&trusted, older).await;
    let objects = world.objects().await;
    for functions in [None, Some(world.over(world.http_client()))] {
        let answer = match functions {
            None => world.deliver(Table::CustomerCurated, &trusted).await,
            Some(cold) => cold.invoke(Table::CustomerCurated, &event(world.lake.bucket(), &trusted)).await,
        };
        let error = answer.unwrap_err();
        assert!(error.contains(&trusted) && error.contains("it was put back to an earlier version"), "{error}");
        assert_eq!(world.objects().await, objects);
    }
    world.put(&trusted, current).await;
    world.assert_redelivery_writes_nothing("the shard is current again").await;
    assert_eq!(steps_of_ann(&world).await, expected_steps(&other_device(), [6, HOUR_MS]));
}
