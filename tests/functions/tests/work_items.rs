//! Work items: a change of consent is planned, and its work is done in parts. Functions are stopped and killed before each of
//! their requests, and events arrive twice.

// A panic fails a test.
#![allow(clippy::unwrap_used)]

use formats::work_item::WorkItem;
use functions::{HOUR_MS, Stopped, World, customer, event, motion, step};
use model::hash::HashKey;
use model::lake_config::ConsentPolicy::Ever;
use model::layout::{customers, devices};
use model::table::Table;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const LATER: &str = "customer/landing/later.json";
/// The functions that have work items.
const FUNCTIONS: [Table; 2] = [Table::AccelerometerTrusted, Table::StepTrainerTrusted];
/// A work item has at most so many cells.
const CELLS_MAX: usize = 32;

/// A change of Ann's consent, which `function` has not planned yet. Bob consents always. A landing file has readings of both in
/// each hour.
#[derive(Clone, Copy)]
struct Change {
    function: Table,
    hours: usize,
    /// Whether Ann withdraws. If not, she consents for the first time.
    is_withdrawal: bool,
}

impl Change {
    /// The functions whose events are delivered.
    fn functions(self) -> &'static [Table] {
        match self.function {
            Table::AccelerometerTrusted => &[Table::CustomerTrusted, Table::AccelerometerTrusted],
            _ => &[
                Table::CustomerTrusted,
                Table::AccelerometerTrusted,
                Table::CustomerCurated,
                Table::StepTrainerTrusted,
            ],
        }
    }

    async fn ingest(self, world: &World, key: &str, body: String) {
        world.put(key, body).await;
        world.deliver_to(self.functions(), [key.to_owned()]).await;
    }

    /// Returns the lake before the change.
    async fn world_before(self) -> World {
        let world = World::new(Ever).await;
        let all = |reading: fn(&str, i64) -> String, hours: usize| {
            let of_hour = |hour: usize| ["ann", "bob"].map(|name| reading(name, hour as i64 * HOUR_MS)).join("\n");
            (0..hours).map(of_hour).collect::<Vec<_>>().join("\n")
        };
        let records = [customer("ann", 0, self.is_withdrawal.then_some(0)), customer("bob", 0, Some(0))].join("\n");
        self.ingest(&world, "customer/landing/c.json", records).await;
        // The customers of the step trainers need one accelerometer reading each.
        let hours = if self.function == Table::AccelerometerTrusted { self.hours } else { 1 };
        self.ingest(&world, "accelerometer/landing/a.json", all(motion, hours)).await;
        if self.function == Table::StepTrainerTrusted {
            self.ingest(&world, "step_trainer/landing/s.json", all(step, self.hours)).await;
        }
        let before = if self.is_withdrawal { 2 * self.hours } else { self.hours };
        assert_eq!(world.rows(self.function).await.len(), before);
        world
    }

    /// Changes the shard.
    async fn put(self, world: &World) {
        world.put(LATER, customer("ann", 1, (!self.is_withdrawal).then_some(0))).await;
        let upstream = match self.function {
            Table::AccelerometerTrusted => &[Table::CustomerTrusted][..],
            _ => &[Table::CustomerTrusted, Table::CustomerCurated],
        };
        world.deliver_to(upstream, [LATER.to_owned()]).await;
    }

    /// Returns a lake with the change.
    async fn world(self) -> World {
        let world = self.world_before().await;
        self.put(&world).await;
        world
    }

    /// The shard that has the change.
    fn shard(self, world: &World) -> String {
        let shard = |key| HashKey::public().of(key).shard(world.lake.config().customer_shards);
        match self.function {
            Table::AccelerometerTrusted => customers(Table::CustomerTrusted, shard("ann@example.com")),
            _ => devices(shard("serial-ann")),
        }
    }

    /// Returns a lake with a planned change, and its work items.
    async fn planned(self) -> (World, Vec<String>) {
        let world = self.world().await;
        world.deliver(self.function, &self.shard(&world)).await.unwrap();
        let items = world.work_items(self.function).await;
        (world, items)
    }

    /// Asserts that the change is done, and that its event writes nothing when it is delivered again.
    async fn assert_done(self, world: &World, what: &str) {
        let rows = world.rows(self.function).await;
        let of_ann = rows.iter().filter(|row| row.contains("ann@example.com")).count();
        let expected = if self.is_withdrawal { 0 } else { self.hours };
        assert_eq!((of_ann, rows.len() - of_ann), (expected, self.hours), "{what}");
        world.assert_row_counts(what).await;
        let again = world.written_by(async || world.deliver_to(&[self.function], [self.shard(world)]).await).await;
        assert_eq!(again, [].into(), "{what}");
    }
}

/// Small changes of both kinds, for both functions.
fn changes() -> impl Iterator<Item = Change> {
    let functions = FUNCTIONS.into_iter();
    functions.flat_map(|function| [true, false].map(|is_withdrawal| Change { function, hours: 2, is_withdrawal }))
}

#[tokio::test]
async fn long_withdrawal_is_several_items_that_each_filter_their_own_cells() {
    for function in FUNCTIONS {
        let change = Change { function, hours: 100, is_withdrawal: true };
        let (world, items) = change.planned().await;
        let of_table: BTreeSet<String> =
            world.objects().await.into_keys().filter(|key| key.starts_with(function.prefix())).collect();
        assert_eq!((items.len(), of_table.len()), (4, 100), "{function}");
        let (mut filtered, mut rows) = (BTreeSet::new(), 200);
        for item in &items {
            let cells = WorkItem::decode(&world.body(item).await.unwrap()).unwrap().cells.into_keys();
            let cells: BTreeSet<String> = cells.map(|partition| model::layout::cell(function, partition)).collect();
            assert!(cells.len() <= CELLS_MAX, "{function}: {}", cells.len());
            let written = world.written_by(async || drop(world.deliver(function, item).await.unwrap())).await;
            assert_eq!(written, cells, "{function}: {item}");
            rows -= cells.len();
            assert_eq!(world.rows(function).await.len(), rows, "{function}: {item}");
            assert!(world.body(item).await.is_none(), "{function}: {item} is done");
            filtered.extend(cells);
        }
        assert_eq!(filtered, of_table, "{function}");
        change.assert_done(&world, function.name()).await;
    }
}

/// Kills the function while it plans, and in each of its work items, before each of its requests. The events that are not
/// done are delivered again.
#[tokio::test]
async fn killed_change_is_finished_by_redelivery() {
    let long = Change { function: Table::AccelerometerTrusted, hours: CELLS_MAX + 2, is_withdrawal: true };
    for change in changes().chain([long]) {
        let parts = change.hours.div_ceil(CELLS_MAX);
        // Zero is the plan.
        for victim in 0..=parts {
            let mut kills = 0;
            for stop_before in 0.. {
                let world = change.world().await;
                let mut due = BTreeSet::from([change.shard(&world)]);
                if victim > 0 {
                    world.deliver(change.function, &change.shard(&world)).await.unwrap();
                    let items = world.work_items(change.function).await;
                    assert_eq!(items.len(), parts);
                    for item in &items[..victim - 1] {
                        world.deliver(change.function, item).await.unwrap();
                    }
                    due = [items[victim - 1].clone()].into();
                }
                let payload = event(world.lake.bucket(), due.first().unwrap());
                if world.finishes(change.function, &payload, stop_before).await {
                    break;
                }
                kills += 1;
                due.extend(world.work_items(change.function).await);
                world.deliver_to(&[change.function], due).await;
                let (function, hours) = (change.function, change.hours);
                let what = format!("{function}, {hours} hours, step {victim}, killed before request {stop_before}");
                change.assert_done(&world, &what).await;
            }
            // Of the work: an item, a cell that is read and put, and the item that is deleted.
            assert!(kills >= 4, "only {kills} requests");
        }
    }
}

#[tokio::test]
async fn item_that_is_done_twice_at_once_is_written_once() {
    for change in changes() {
        let mut stops = 0;
        for stop_before in 0.. {
            let (what, mut done) = (format!("stopped before {stop_before}"), BTreeMap::new());
            let (world, items) = change.planned().await;
            let payload = event(world.lake.bucket(), &items[0]);
            let is_stopped = world.stop(change.function, &payload, stop_before, Stopped::Continued, async || {
                world.deliver(change.function, &items[0]).await.unwrap();
                done = world.objects().await;
            });
            if !is_stopped.await {
                break;
            }
            stops += 1;
            assert_eq!(world.objects().await, done, "{what}");
            // Once more, after it was done.
            assert_eq!(world.deliver(change.function, &items[0]).await, Ok(json!({"batchItemFailures": []})));
            assert_eq!(world.objects().await, done, "{what}");
            change.assert_done(&world, &what).await;
        }
        assert!(stops >= 6, "only {stops} requests");
    }
}

/// A slow function may put an item once more that was done meanwhile. Then the item's event finds nothing to do.
#[tokio::test]
async fn change_that_is_planned_twice_at_once_is_done() {
    let mut items_put_again = 0;
    for change in changes() {
        for stop_before in 0.. {
            let what = format!("stopped before {stop_before}");
            let world = change.world().await;
            let payload = event(world.lake.bucket(), &change.shard(&world));
            let is_stopped = world.stop(change.function, &payload, stop_before, Stopped::Continued, async || {
                // Items that the slow function has put already are delivered too.
                let due = world.work_items(change.function).await.into_iter().chain([change.shard(&world)]);
                world.deliver_to(&[change.function], due).await;
            });
            if !is_stopped.await {
                break;
            }
            items_put_again += world.work_items(change.function).await.len();
            let written = world.written_by(async || world.deliver_work(change.function).await).await;
            assert_eq!(written, [].into(), "{what}");
            change.assert_done(&world, &what).await;
        }
    }
    assert!(items_put_again > 0);
}

/// A restore of a bucket may put back a shard in which the customer has not withdrawn yet.
#[tokio::test]
async fn item_waits_until_a_shard_that_was_put_back_is_current_again() {
    for change in changes() {
        for is_deleted in [false, true] {
            let world = change.world_before().await;
            let shard = change.shard(&world);
            let older = world.body(&shard).await.filter(|_| !is_deleted);
            change.put(&world).await;
            world.deliver(change.function, &shard).await.unwrap();
            let items = world.work_items(change.function).await;
            let current = world.body(&shard).await.unwrap();
            match older {
                Some(older) => world.put(&shard, older).await,
                None => world.expire(&shard),
            }
            let objects = world.objects().await;
            for functions in [None, Some(world.over(world.http_client()))] {
                let answer = match functions {
                    None => world.deliver(change.function, &items[0]).await,
                    Some(cold) => cold.invoke(change.function, &event(world.lake.bucket(), &items[0])).await,
                };
                let error = answer.unwrap_err();
                assert!(error.contains("is older than the work that was planned from it"), "{error}");
                assert!(error.contains(&shard), "{error}");
                assert_eq!(world.objects().await, objects, "no cell is written");
            }
            world.put(&shard, current).await;
            world.deliver_to(&[change.function], items.into_iter().chain([shard.clone()])).await;
            change.assert_done(&world, "the shard is current again").await;
        }
    }
}
