//! The cost of an upload: the requests of each function, which determine bill and latency. They do not depend on the
//! files that were ingested before.

#![allow(clippy::unwrap_used)]

use functions::{HOUR_MS, T, World, customer, motion, step};
use model::hash::KeyHash;
use model::lake_config::ConsentPolicy;
use model::layout::{customers, latest_readings};
use model::table::Table;

/// Gets and heads, puts, lists, and calls of Glue.
type Cost = [u64; 4];

async fn cost(world: &World, function: Table, key: &str) -> Cost {
    let before = world.requests();
    let answer = world.deliver(function, key).await.unwrap();
    assert_eq!(answer["batchItemFailures"], serde_json::json!([]), "{function} on {key}");
    let after = world.requests();
    assert_eq!(before.delete + before.other, after.delete + after.other, "{function} on {key}");
    [
        after.get + after.head - before.get - before.head,
        after.put - before.put,
        after.list - before.list,
        after.glue - before.glue,
    ]
}

/// A lake with one file per hour of each phone and each step trainer.
async fn with_history(hours: i64, phones: u32) -> World {
    let world = World::new(ConsentPolicy::Ever).await;
    let names: Vec<String> = (0..phones).map(|phone| format!("phone{phone}")).collect();
    let records: Vec<String> = names.iter().map(|name| customer(name, 0, Some(0))).collect();
    world.ingest("customer/landing/all.json", records.join("\n")).await;
    for hour in 1..=hours {
        for name in &names {
            let time = -hour * HOUR_MS;
            world.ingest(&format!("accelerometer/landing/{name}-{hour}.json"), motion(name, time)).await;
            world.ingest(&format!("step_trainer/landing/{name}-{hour}.json"), step(name, time)).await;
        }
    }
    world
}

#[tokio::test]
async fn cost_of_an_upload_does_not_depend_on_history() {
    for (hours, phones) in [(1, 1), (3, 12)] {
        let world = with_history(hours, phones).await;
        let upload = async |key: &str, body: String| world.put(key, body).await;
        let shard = KeyHash::of("phone0@example.com").shard(world.lake.config().customer_shards);

        let costs = async |function, key: &str, expected: Cost, what| {
            assert_eq!(cost(&world, function, key).await, expected, "{function}: {what}");
        };

        let accelerometer = "accelerometer/landing/new.json";
        upload(accelerometer, motion("phone0", 0)).await;
        let motions = world.output(Table::AccelerometerTrusted, T, accelerometer);
        let latest = world.version(&latest_readings(shard)).await;
        costs(Table::AccelerometerTrusted, accelerometer, [4, 4, 0, 1], "a phone's new hour").await;
        assert_eq!(world.version(&latest_readings(shard)).await, latest, "no newer reading triggers no function");
        costs(Table::MachineLearningCurated, &motions, [1, 0, 2, 0], "nothing to join with yet").await;

        let step_trainer = "step_trainer/landing/new.json";
        upload(step_trainer, step("phone0", 0)).await;
        let steps = world.output(Table::StepTrainerTrusted, T, step_trainer);
        costs(Table::StepTrainerTrusted, step_trainer, [1, 4, 2, 1], "a step trainer's new hour").await;
        costs(Table::MachineLearningCurated, &steps, [3, 1, 4, 1], "a pair").await;
        let pairs = hours * i64::from(phones * phones) + 1;
        assert_eq!(world.rows(Table::MachineLearningCurated).await.len() as i64, pairs, "of one instant each");

        // Index and manifest are put as for a new file, and refused.
        costs(Table::AccelerometerTrusted, accelerometer, [9, 2, 0, 0], "redelivery").await;
        costs(Table::StepTrainerTrusted, step_trainer, [7, 2, 1, 0], "redelivery").await;

        let trusted = customers(Table::CustomerTrusted, shard);
        for (time, file) in [(1, "customer/landing/renewed.json"), (2, "customer/landing/again.json")] {
            upload(file, customer("phone0", time, Some(0))).await;
            // It also writes the receipt of the file whose record it supersedes, which at first is the file of all.
            let reads = if time == 1 { None } else { Some(19) };
            let cost = cost(&world, Table::CustomerTrusted, file).await;
            assert_eq!((reads.unwrap_or(cost[0]), &cost[1..]), (cost[0], &[5, 0, 0][..]), "customer_trusted");
            costs(Table::AccelerometerTrusted, &trusted, [2, 1, 0, 0], "no consent changed").await;
        }
    }
}

#[tokio::test]
async fn cost_of_a_withdrawal_depends_only_on_the_files_of_the_customer() {
    let mut costs = Vec::new();
    for phones in [1, 12] {
        let world = with_history(2, phones).await;
        let shard = KeyHash::of("phone0@example.com").shard(world.lake.config().customer_shards);
        let withdrawal = "customer/landing/withdrawal.json";
        world.put(withdrawal, customer("phone0", 1, None)).await;
        // Its cost depends on the receipt of the file with all customers.
        cost(&world, Table::CustomerTrusted, withdrawal).await;

        let (trusted, curated) = (customers(Table::CustomerTrusted, shard), customers(Table::CustomerCurated, shard));
        let mut cost_of = vec![
            cost(&world, Table::AccelerometerTrusted, &trusted).await,
            cost(&world, Table::CustomerCurated, &trusted).await,
            cost(&world, Table::StepTrainerTrusted, &curated).await,
        ];
        for hour in 1..=2 {
            let file = format!("accelerometer/landing/phone0-{hour}.json");
            let motions = world.output(Table::AccelerometerTrusted, T - hour * HOUR_MS, &file);
            cost_of.push(cost(&world, Table::MachineLearningCurated, &motions).await);
        }
        assert_eq!(world.rows(Table::MachineLearningCurated).await.len() as u32, 2 * (phones - 1).pow(2));
        costs.push(cost_of);
    }
    assert_eq!(costs[0], costs[1]);
}
