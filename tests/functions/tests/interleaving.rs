//! Stops a function before each of its requests, lets another change run to its end, and then continues the function, or
//! kills it and delivers its event again. The tables must be those of the final landing files.

// A panic fails a test.
#![allow(clippy::unwrap_used)]

use functions::{Stopped, World, customer, event, motion, step};
use model::lake_config::ConsentPolicy::{self, AtReading, Ever};
use model::layout::{self, Source};
use model::table::Table;
use serde_json::Value;
use simulation::events::triggered_by;
use std::collections::{BTreeMap, BTreeSet};

type Files = &'static [(&'static str, fn() -> String)];

struct Scenario {
    policy: ConsentPolicy,
    /// Ingested first.
    before: Files,
    /// Put next. Each function that it triggers, directly or not, is stopped in turn.
    stopped: Files,
    /// Ingested while the function is stopped.
    meanwhile: Files,
    /// Whether an earlier version has readings of a customer, and a later one has none of the same customer.
    takes_all_readings_away: bool,
}

impl Scenario {
    /// The final landing files.
    fn files(&self) -> BTreeMap<&'static str, String> {
        [self.before, self.stopped, self.meanwhile].concat().into_iter().map(|(key, body)| (key, body())).collect()
    }

    /// The tables of a lake in which no file was replaced, and those of one in which each version of each file was
    /// ingested. They differ only if a correction takes all readings of a customer away: the customer stays in
    /// customer_curated, and the first version may or may not have been ingested.
    async fn expected(&self) -> Vec<Vec<Vec<String>>> {
        let (without, with) = (World::new(self.policy).await, World::new(self.policy).await);
        for (key, body) in self.files() {
            without.ingest(key, body).await;
        }
        for (key, body) in [self.before, self.stopped, self.meanwhile].concat() {
            with.ingest(key, body()).await;
        }
        let (without, with) = (tables(&without).await, tables(&with).await);
        let curated = Table::DERIVED.iter().position(|table| *table == Table::CustomerCurated);
        for (position, (without, with)) in without.iter().zip(&with).enumerate() {
            assert!(without == with || self.takes_all_readings_away && Some(position) == curated);
        }
        assert_eq!(without != with, self.takes_all_readings_away);
        if without == with { vec![with] } else { vec![without, with] }
    }

    /// Stops the invocation number `victim` before its request `stop_before`. Returns none if there is no such
    /// invocation, and false if it makes no such request.
    async fn run(
        &self,
        victim: usize,
        stop_before: usize,
        stopped: Stopped,
        expected: &[Vec<Vec<String>>],
    ) -> Option<bool> {
        let world = World::new(self.policy).await;
        for (key, body) in self.before {
            world.ingest(key, body()).await;
        }
        for (key, body) in self.stopped {
            world.put(key, body()).await;
        }
        let mut due: BTreeSet<String> = self.stopped.iter().map(|(key, _)| (*key).to_owned()).collect();
        let mut invocation = 0;
        while let Some(key) = due.pop_first() {
            for function in triggered_by(&key) {
                if invocation < victim {
                    due.extend(world.written_by(async || drop(world.deliver(function, &key).await.unwrap())).await);
                    invocation += 1;
                    continue;
                }
                let payload = event(world.lake.bucket(), &key);
                // Each object that the function writes, before or after the stop, has an event. The events of files that
                // were ingested meanwhile are already delivered.
                let mut is_stopped = false;
                let written = world.written_by(async || {
                    let meanwhile = async || {
                        for (key, body) in self.meanwhile {
                            world.ingest(key, body()).await;
                        }
                    };
                    is_stopped = world.stop(function, &payload, stop_before, stopped, meanwhile).await;
                });
                let is_delivered = |written: &String| self.meanwhile.iter().any(|(key, _)| key == written);
                due.extend(written.await.into_iter().filter(|written| !is_delivered(written)));
                if !is_stopped {
                    return Some(false);
                }
                // A derived object may have triggered functions that were not invoked yet.
                if stopped == Stopped::Killed || !self.stopped.iter().any(|(landing, _)| *landing == key) {
                    due.insert(key.clone());
                }
                world.deliver_all(due).await;
                let what = format!("{function} on {key}, stopped before request {stop_before}, {stopped:?}");
                let found = tables(&world).await;
                assert!(expected.contains(&found), "{what}: {found:?}\nexpected: {expected:?}");
                world.assert_row_counts(&what).await;
                if stopped == Stopped::Continued {
                    // A function that continues is the last to write. All that it writes has to stand.
                    world.assert_redelivery_writes_nothing(&what).await;
                }
                return Some(true);
            }
        }
        None
    }

    /// Runs every invocation and every request, continued and killed.
    async fn check(&self) {
        let expected = self.expected().await;
        let mut runs = 0;
        for victim in 0.. {
            for stop_before in 0.. {
                let is_stopped = self.run(victim, stop_before, Stopped::Continued, &expected).await;
                if is_stopped != Some(true) {
                    if is_stopped.is_none() {
                        assert!(runs > 20, "only {runs} runs");
                        return;
                    }
                    break;
                }
                self.run(victim, stop_before, Stopped::Killed, &expected).await;
                runs += 2;
            }
        }
    }
}

/// The rows of all tables, and the lines of all quarantine files.
async fn tables(world: &World) -> Vec<Vec<String>> {
    let mut tables = Vec::new();
    for table in Table::DERIVED {
        tables.push(world.rows(table).await);
    }
    let mut quarantined = Vec::new();
    for key in world.objects().await.into_keys().filter(|key| key.starts_with("quarantine/")) {
        quarantined.extend(String::from_utf8_lossy(&world.body(&key).await.unwrap()).lines().map(str::to_owned));
    }
    tables.push(quarantined);
    tables
}

const CUSTOMERS: &str = "customer/landing/c.json";
const LATER: &str = "customer/landing/later.json";
const MOTIONS: &str = "accelerometer/landing/a.json";
const STEPS: &str = "step_trainer/landing/s.json";

/// Customers of three shards.
fn all_consent() -> String {
    ["ann", "bob", "eve"].map(|name| customer(name, 0, Some(0))).join("\n")
}

#[tokio::test]
async fn file_is_replaced_during_a_consent_change() {
    let scenario = Scenario {
        policy: AtReading,
        before: &[(CUSTOMERS, all_consent), (MOTIONS, || motion("ann", 5)), (STEPS, || step("ann", 5))],
        stopped: &[(LATER, || customer("ann", 1, Some(1)))],
        meanwhile: &[(MOTIONS, || [motion("ann", 5), motion("bob", 5)].join("\n"))],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

#[tokio::test]
async fn consent_is_withdrawn_while_a_file_is_ingested() {
    let scenario = Scenario {
        policy: Ever,
        before: &[(CUSTOMERS, all_consent), (STEPS, || [step("ann", 5), step("bob", 5)].join("\n"))],
        stopped: &[(MOTIONS, || [motion("ann", 5), motion("bob", 5)].join("\n"))],
        meanwhile: &[(LATER, || customer("ann", 1, None))],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

#[tokio::test]
async fn file_is_corrected_while_it_is_ingested() {
    let scenario = Scenario {
        policy: AtReading,
        before: &[(CUSTOMERS, || customer("ann", 0, Some(3))), (MOTIONS, || motion("ann", 9))],
        stopped: &[(MOTIONS, || motion("ann", 2))],
        meanwhile: &[(MOTIONS, || motion("ann", 4 + functions::HOUR_MS))],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

#[tokio::test]
async fn new_file_is_replaced_while_it_is_ingested() {
    let scenario = Scenario {
        policy: Ever,
        before: &[(CUSTOMERS, all_consent)],
        stopped: &[(MOTIONS, || [motion("ann", 5), motion("bob", 5 + functions::HOUR_MS), "broken".into()].join("\n"))],
        // Neither readings of the first hour nor anything broken.
        meanwhile: &[(MOTIONS, || motion("bob", 6 + functions::HOUR_MS))],
        takes_all_readings_away: true,
    };
    scenario.check().await;
}

#[tokio::test]
async fn new_file_loses_all_readings_while_it_is_ingested() {
    let scenario = Scenario {
        policy: Ever,
        before: &[(CUSTOMERS, all_consent), (MOTIONS, || [motion("ann", 5), motion("bob", 5)].join("\n"))],
        stopped: &[(STEPS, || [step("ann", 5), step("bob", 5 + functions::HOUR_MS)].join("\n"))],
        meanwhile: &[(STEPS, || "broken".into())],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

#[tokio::test]
async fn two_new_files_of_one_hour_are_ingested_at_once() {
    let scenario = Scenario {
        policy: Ever,
        before: &[(CUSTOMERS, all_consent), (MOTIONS, || motion("ann", 5)), (STEPS, || step("ann", 5))],
        stopped: &[("accelerometer/landing/b.json", || [motion("bob", 5), motion("ann", 6)].join("\n"))],
        meanwhile: &[
            ("accelerometer/landing/e.json", || [motion("eve", 5), motion("ann", 6)].join("\n")),
            ("step_trainer/landing/e.json", || step("eve", 5)),
        ],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

#[tokio::test]
async fn file_of_a_shared_hour_is_ingested_during_a_withdrawal() {
    let scenario = Scenario {
        policy: Ever,
        before: &[
            (CUSTOMERS, all_consent),
            (MOTIONS, || [motion("ann", 5), motion("bob", 5)].join("\n")),
            (STEPS, || [step("ann", 5), step("bob", 5)].join("\n")),
        ],
        stopped: &[(LATER, || customer("ann", 1, None))],
        meanwhile: &[
            ("accelerometer/landing/b.json", || [motion("ann", 6), motion("bob", 6)].join("\n")),
            ("step_trainer/landing/b.json", || [step("ann", 6), step("bob", 6)].join("\n")),
        ],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

#[tokio::test]
async fn two_consents_of_one_hour_change_at_once() {
    let scenario = Scenario {
        policy: Ever,
        before: &[
            (CUSTOMERS, || [customer("ann", 0, Some(0)), customer("bob", 0, None)].join("\n")),
            (MOTIONS, || [motion("ann", 5), motion("bob", 5)].join("\n")),
            (STEPS, || [step("ann", 5), step("bob", 5)].join("\n")),
        ],
        stopped: &[(LATER, || customer("ann", 1, None))],
        meanwhile: &[("customer/landing/bob.json", || customer("bob", 1, Some(0)))],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

#[tokio::test]
async fn consent_is_withdrawn_while_it_is_given_again() {
    let scenario = Scenario {
        policy: Ever,
        before: &[
            (CUSTOMERS, || [customer("ann", 0, None), customer("bob", 0, Some(0))].join("\n")),
            (MOTIONS, || [motion("ann", 5), motion("bob", 5)].join("\n")),
            (STEPS, || [step("ann", 5), step("bob", 5)].join("\n")),
        ],
        stopped: &[(LATER, || customer("ann", 1, Some(0)))],
        meanwhile: &[("customer/landing/withdrawn.json", || customer("ann", 2, None))],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

#[tokio::test]
async fn device_changes_owner_while_its_readings_are_ingested() {
    let scenario = Scenario {
        policy: Ever,
        before: &[(CUSTOMERS, all_consent), (MOTIONS, || [motion("ann", 5), motion("bob", 5)].join("\n"))],
        stopped: &[(STEPS, || step("ann", 5))],
        meanwhile: &[(LATER, || customer("bob", 1, Some(0)).replace("serial-bob", "serial-ann"))],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

#[tokio::test]
async fn customer_moves_to_another_device_and_back() {
    let scenario = Scenario {
        policy: Ever,
        before: &[
            (CUSTOMERS, all_consent),
            (MOTIONS, || [motion("ann", 5), motion("bob", 5)].join("\n")),
            (STEPS, || [step("ann", 5), step("bob", 5), step("new", 5)].join("\n")),
        ],
        stopped: &[(LATER, || customer("ann", 1, Some(0)).replace("serial-ann", "serial-new"))],
        meanwhile: &[("customer/landing/back.json", || customer("ann", 2, Some(0)))],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

#[tokio::test]
async fn two_customers_swap_their_devices() {
    let scenario = Scenario {
        policy: Ever,
        before: &[
            (CUSTOMERS, all_consent),
            (MOTIONS, || [motion("ann", 5), motion("bob", 6)].join("\n")),
            (STEPS, || [step("ann", 5), step("bob", 6)].join("\n")),
        ],
        stopped: &[(LATER, || customer("ann", 1, Some(0)).replace("serial-ann", "serial-bob"))],
        meanwhile: &[("customer/landing/bob.json", || customer("bob", 2, Some(0)).replace("serial-bob", "serial-ann"))],
        takes_all_readings_away: false,
    };
    scenario.check().await;
}

/// The event of the new version finds no file. If a manifest of that version was written, the rows of the old version must go:
/// nothing else would ever remove them.
#[tokio::test]
async fn new_version_is_deleted_while_it_is_ingested() {
    for (function, file, source, record) in [
        (
            Table::CustomerTrusted,
            CUSTOMERS,
            Source::Customer,
            (|name| customer(name, 0, Some(0))) as fn(&str) -> String,
        ),
        (Table::AccelerometerTrusted, MOTIONS, Source::Accelerometer, |name| motion(name, 5)),
        (Table::StepTrainerTrusted, STEPS, Source::StepTrainer, |name| step(name, 5)),
    ] {
        let names = ["ann", "bob"];
        for stopped in [Stopped::Continued, Stopped::Killed] {
            let mut with_manifest = 0;
            for stop_before in 0.. {
                let what = format!("{function}, stopped before request {stop_before}, {stopped:?}");
                let world = World::new(Ever).await;
                world.ingest(CUSTOMERS, names.map(|name| customer(name, 0, Some(0))).join("\n")).await;
                world.ingest(MOTIONS, names.map(|name| motion(name, 5)).join("\n")).await;
                world.ingest(STEPS, names.map(|name| step(name, 5)).join("\n")).await;
                // The new version has no record of Ann any more.
                world.put(file, record("bob")).await;
                let (payload, mut is_stopped) = (event(world.lake.bucket(), file), false);
                let written = world.written_by(async || {
                    let meanwhile = async || {
                        world.expire(file);
                        if stopped == Stopped::Continued {
                            world.deliver(function, file).await.unwrap();
                        }
                    };
                    is_stopped = world.stop(function, &payload, stop_before, stopped, meanwhile).await;
                });
                let written = written.await;
                if !is_stopped {
                    break;
                }
                world.deliver_all(written.into_iter().chain([file.to_owned()])).await;
                let manifest = world.body(&layout::manifest(source, world.file(file))).await.unwrap();
                let generation = serde_json::from_slice::<Value>(&manifest).unwrap()["generation"].clone();
                let of_ann = world.rows(function).await.iter().filter(|row| row.contains("ann@example.com")).count();
                // Without a manifest, nothing of the new version was processed: the records of the old one stay, as those of any
                // deleted file.
                assert_eq!(of_ann, usize::from(generation == 1), "{what}");
                if generation == 1 {
                    world.assert_row_counts(&what).await;
                } else {
                    // The receipt may still be that of the old version.
                    with_manifest += 1;
                    let pairs = world.rows(Table::MachineLearningCurated).await.len();
                    assert!(pairs < 4, "{what}: {pairs} pairs");
                }
                if generation == 2 && function == Table::CustomerTrusted {
                    let rows = tables(&world).await.concat();
                    assert!(rows.iter().all(|row| !row.contains("ann")), "{what}: {rows:?}");
                }
                world.assert_redelivery_writes_nothing(&what).await;
            }
            assert!(with_manifest >= 4, "{function}: only {with_manifest} runs with a manifest");
        }
    }
}
