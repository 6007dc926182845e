//! The cost of an upload: the requests of each function, which determine bill and latency. They do not depend on the
//! files that were ingested before.

#![allow(clippy::unwrap_used)]

use functions::{HOUR_MS, T, World, cell, customer, motion, step};
use model::hash::KeyHash;
use model::lake_config::ConsentPolicy;
use model::layout::{customers, latest_readings};
use model::table::Table;

/// Gets and heads, puts, lists, deletes, and calls of Glue.
type Cost = [u64; 5];

async fn cost(world: &World, function: Table, key: &str) -> Cost {
    let before = world.requests();
    let answer = world.deliver(function, key).await.unwrap();
    assert_eq!(answer["batchItemFailures"], serde_json::json!([]), "{function} on {key}");
    let after = world.requests();
    assert_eq!(before.other, after.other, "{function} on {key}");
    [
        after.get + after.head - before.get - before.head,
        after.put - before.put,
        after.list - before.list,
        after.delete - before.delete,
        after.glue - before.glue,
    ]
}

/// The costs of planning a change of consent, and then of each of its work items.
async fn costs_of_change(world: &World, function: Table, shard: &str) -> Vec<(Table, Cost)> {
    let mut costs = vec![(function, cost(world, function, shard).await)];
    for item in world.work_items(function).await {
        costs.push((function, cost(world, function, &item).await));
    }
    assert_eq!(world.work_items(function).await, [""; 0], "{function}");
    costs
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
        let motions = cell(Table::AccelerometerTrusted, T);
        let latest = world.version(&latest_readings(shard)).await;
        costs(Table::AccelerometerTrusted, accelerometer, [4, 4, 0, 0, 1], "a phone's new hour").await;
        assert_eq!(world.version(&latest_readings(shard)).await, latest, "no newer reading triggers no function");
        costs(Table::MachineLearningCurated, &motions, [3, 0, 0, 0, 0], "nothing to join with yet").await;

        let step_trainer = "step_trainer/landing/new.json";
        upload(step_trainer, step("phone0", 0)).await;
        let steps = cell(Table::StepTrainerTrusted, T);
        costs(Table::StepTrainerTrusted, step_trainer, [2, 4, 1, 0, 1], "a step trainer's new hour").await;
        // The output, both cells, and their versions once more after the put.
        costs(Table::MachineLearningCurated, &steps, [5, 1, 0, 0, 1], "a pair").await;
        let pairs = hours * i64::from(phones * phones) + 1;
        assert_eq!(world.rows(Table::MachineLearningCurated).await.len() as i64, pairs, "of one instant each");

        // Index, manifest and receipt are put as for a new file, and refused. Then manifest and receipt are read.
        costs(Table::AccelerometerTrusted, accelerometer, [6, 3, 0, 0, 0], "redelivery").await;
        costs(Table::StepTrainerTrusted, step_trainer, [4, 3, 1, 0, 0], "redelivery").await;

        let trusted = customers(Table::CustomerTrusted, shard);
        for (time, file) in [(1, "customer/landing/renewed.json"), (2, "customer/landing/again.json")] {
            upload(file, customer("phone0", time, Some(0))).await;
            // It also writes the receipt of the file whose record it supersedes, which at first is the file of all.
            let reads = if time == 1 { None } else { Some(19) };
            let cost = cost(&world, Table::CustomerTrusted, file).await;
            assert_eq!((reads.unwrap_or(cost[0]), &cost[1..]), (cost[0], &[5, 0, 0, 0][..]), "customer_trusted");
            costs(Table::AccelerometerTrusted, &trusted, [2, 1, 0, 0, 0], "no consent changed").await;
        }
    }
}

#[tokio::test]
async fn cost_of_a_withdrawal_depends_only_on_the_hours_of_the_customer() {
    let mut costs = Vec::new();
    for phones in [1, 12] {
        let world = with_history(2, phones).await;
        let shard = KeyHash::of("phone0@example.com").shard(world.lake.config().customer_shards);
        let withdrawal = "customer/landing/withdrawal.json";
        world.put(withdrawal, customer("phone0", 1, None)).await;
        // Its cost depends on the receipt of the file with all customers.
        cost(&world, Table::CustomerTrusted, withdrawal).await;

        let (trusted, curated) = (customers(Table::CustomerTrusted, shard), customers(Table::CustomerCurated, shard));
        let mut of_lake = costs_of_change(&world, Table::AccelerometerTrusted, &trusted).await;
        of_lake.push((Table::CustomerCurated, cost(&world, Table::CustomerCurated, &trusted).await));
        of_lake.extend(costs_of_change(&world, Table::StepTrainerTrusted, &curated).await);
        for hour in 1..=2 {
            let motions = cell(Table::AccelerometerTrusted, T - hour * HOUR_MS);
            let cost = cost(&world, Table::MachineLearningCurated, &motions).await;
            of_lake.push((Table::MachineLearningCurated, cost));
        }
        assert_eq!(world.rows(Table::MachineLearningCurated).await.len() as u32, 2 * (phones - 1).pow(2));
        costs.push(of_lake);
    }
    assert_eq!(costs[0], costs[1]);
    // Work item, shard, two cells; two cells; the work item is deleted.
    assert_eq!(costs[0][1], (Table::AccelerometerTrusted, [4, 2, 0, 1, 0]));
    assert_eq!(costs[0][4], (Table::StepTrainerTrusted, [3, 2, 1, 1, 0]));
}

/// The files of an hour share a cell, which each function reads and writes as a whole.
#[tokio::test]
async fn cost_of_an_upload_does_not_depend_on_the_files_of_its_hour() {
    const PHONES: usize = 61;
    let mut costs = Vec::new();
    for files in [3, 60] {
        let world = World::new(ConsentPolicy::Ever).await;
        let names: Vec<String> = (0..PHONES).map(|phone| format!("phone{phone}")).collect();
        let all = |line: &dyn Fn(&String) -> String| names.iter().map(line).collect::<Vec<_>>().join("\n");
        world.ingest("customer/landing/all.json", all(&|name| customer(name, 0, Some(0)))).await;
        // All customers are curated by the readings of an earlier hour.
        world.ingest("accelerometer/landing/all.json", all(&|name| motion(name, -HOUR_MS))).await;
        for name in &names[1..=files] {
            world.ingest(&format!("accelerometer/landing/{name}.json"), motion(name, 0)).await;
            world.ingest(&format!("step_trainer/landing/{name}.json"), step(name, 0)).await;
        }
        let (motions, steps) = (cell(Table::AccelerometerTrusted, T), cell(Table::StepTrainerTrusted, T));
        let (accelerometer, step_trainer) = ("accelerometer/landing/new.json", "step_trainer/landing/new.json");
        world.put(accelerometer, motion("phone0", 0)).await;
        world.put(step_trainer, step("phone0", 0)).await;
        let shard = KeyHash::of("phone0@example.com").shard(world.lake.config().customer_shards);
        let mut of_lake = Vec::new();
        for (function, key) in [
            (Table::AccelerometerTrusted, accelerometer),
            (Table::MachineLearningCurated, &motions),
            (Table::CustomerCurated, &latest_readings(shard)),
            (Table::StepTrainerTrusted, &customers(Table::CustomerCurated, shard)),
            (Table::StepTrainerTrusted, step_trainer),
            (Table::MachineLearningCurated, &steps),
        ] {
            of_lake.push((function, cost(&world, function, key).await));
        }
        let files = files + 1;
        let counts = [PHONES, PHONES + files, PHONES, files, files * files];
        world.assert_tables(&format!("{files} files"), counts).await;
        costs.push(of_lake);
    }
    assert_eq!(costs[0], costs[1]);
    // Landing file, consent shard, cell, latest readings; manifest, index entry, cell, receipt.
    assert_eq!(costs[0][0], (Table::AccelerometerTrusted, [4, 4, 0, 0, 0]));
    // Landing file, cell; the same puts; a list of all shards.
    assert_eq!(costs[0][4], (Table::StepTrainerTrusted, [2, 4, 1, 0, 0]));
}

#[tokio::test]
async fn cost_of_a_withdrawal_does_not_depend_on_the_files_of_the_customer_in_an_hour() {
    let mut costs = Vec::new();
    for files in [2, 40] {
        let world = World::new(ConsentPolicy::Ever).await;
        let records = [customer("ann", 0, Some(0)), customer("bob", 0, Some(0))].join("\n");
        world.ingest("customer/landing/all.json", records).await;
        for file in 0..files {
            let body = |reading: fn(&str, i64) -> String| [reading("ann", file), reading("bob", file)].join("\n");
            world.ingest(&format!("accelerometer/landing/{file}.json"), body(motion)).await;
            world.ingest(&format!("step_trainer/landing/{file}.json"), body(step)).await;
        }
        let rows = files as usize;
        world.assert_tables("before", [2, 2 * rows, 2, 2 * rows, 4 * rows]).await;

        let shard = KeyHash::of("ann@example.com").shard(world.lake.config().customer_shards);
        let (trusted, curated) = (customers(Table::CustomerTrusted, shard), customers(Table::CustomerCurated, shard));
        let (motions, steps) = (cell(Table::AccelerometerTrusted, T), cell(Table::StepTrainerTrusted, T));
        let withdrawal = "customer/landing/withdrawal.json";
        world.put(withdrawal, customer("ann", 1, None)).await;
        let mut of_lake = vec![(Table::CustomerTrusted, cost(&world, Table::CustomerTrusted, withdrawal).await)];
        of_lake.extend(costs_of_change(&world, Table::AccelerometerTrusted, &trusted).await);
        of_lake.push((Table::CustomerCurated, cost(&world, Table::CustomerCurated, &trusted).await));
        of_lake.extend(costs_of_change(&world, Table::StepTrainerTrusted, &curated).await);
        for cell in [&motions, &steps] {
            let cost = cost(&world, Table::MachineLearningCurated, cell).await;
            of_lake.push((Table::MachineLearningCurated, cost));
        }
        world.assert_tables("withdrawn", [1, rows, 1, rows, rows]).await;
        costs.push(of_lake);
    }
    assert_eq!(costs[0], costs[1]);
    let [_, plan_motions, motions, _, plan_steps, steps, ..] = costs[0][..] else { panic!("{:?}", costs[0]) };
    // Checkpoint, shard; work item, checkpoint; the index entries of the key, and all segments.
    assert_eq!(plan_motions, (Table::AccelerometerTrusted, [2, 2, 2, 0, 0]));
    // Work item, shard, cell; cell; the work item is deleted.
    assert_eq!(motions, (Table::AccelerometerTrusted, [3, 1, 0, 1, 0]));
    assert_eq!(plan_steps, (Table::StepTrainerTrusted, [2, 2, 2, 0, 0]));
    // Work item, cell; cell; a list of all shards; the work item is deleted.
    assert_eq!(steps, (Table::StepTrainerTrusted, [2, 1, 1, 1, 0]));
}
