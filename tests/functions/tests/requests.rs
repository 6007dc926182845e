//! The cost of an upload: the requests of each function, which determine bill and latency. They do not depend on the
//! files that were ingested before.

#![allow(clippy::unwrap_used)]

use functions::{HOUR_MS, T, World, cell, customer, event, motion, step};
use model::hash::{HashKey, Shard};
use model::lake_config::ConsentPolicy;
use model::layout::{customers, devices, latest_readings};
use model::table::Table;
use serde_json::{Value, json};

/// Gets and heads, puts, lists, deletes, and calls of Glue.
type Cost = [u64; 5];

async fn cost(world: &World, function: Table, key: &str) -> Cost {
    cost_of_batch(world, function, &[key.to_owned()]).await
}

async fn cost_of_batch(world: &World, function: Table, keys: &[String]) -> Cost {
    let before = world.requests();
    let records: Vec<Value> = keys.iter().map(|key| event("stedi", key)["Records"][0].clone()).collect();
    let answer = world.invoke(function, &json!({"Records": records})).await.unwrap();
    assert_eq!(answer["batchItemFailures"], json!([]), "{function} on {keys:?}");
    let after = world.requests();
    assert_eq!(before.other, after.other, "{function} on {keys:?}");
    [
        after.get + after.head - before.get - before.head,
        after.put - before.put,
        after.list - before.list,
        after.delete - before.delete,
        after.glue - before.glue,
    ]
}

/// The shard of this email or serial number.
fn shard_of(world: &World, key: &str) -> Shard {
    HashKey::public().of(key).shard(world.lake.config().customer_shards)
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
        let shard = shard_of(&world, "phone0@example.com");

        let costs = async |function, key: &str, expected: Cost, what| {
            assert_eq!(cost(&world, function, key).await, expected, "{function}: {what}");
        };

        // Landing file, consent shard, cell, latest readings; index entry, manifest, cell, receipt.
        let accelerometer = "accelerometer/landing/new.json";
        upload(accelerometer, motion("phone0", 0)).await;
        let motions = cell(Table::AccelerometerTrusted, T);
        let latest = world.version(&latest_readings(shard)).await;
        costs(Table::AccelerometerTrusted, accelerometer, [4, 4, 0, 0, 1], "a phone's new hour").await;
        assert_eq!(world.version(&latest_readings(shard)).await, latest, "no newer reading triggers no function");
        // The output and both cells.
        costs(Table::MachineLearningCurated, &motions, [3, 0, 0, 0, 0], "nothing to join with yet").await;

        // Landing file, device shard, cell; the same puts.
        let step_trainer = "step_trainer/landing/new.json";
        upload(step_trainer, step("phone0", 0)).await;
        let steps = cell(Table::StepTrainerTrusted, T);
        costs(Table::StepTrainerTrusted, step_trainer, [3, 4, 0, 0, 1], "a step trainer's new hour").await;
        costs(Table::MachineLearningCurated, &steps, [3, 1, 0, 0, 1], "a pair").await;
        let pairs = hours * i64::from(phones * phones) + 1;
        assert_eq!(world.rows(Table::MachineLearningCurated).await.len() as i64, pairs, "of one instant each");

        // Index, manifest and receipt are put as for a new file, and refused. Then manifest and receipt are read.
        costs(Table::AccelerometerTrusted, accelerometer, [6, 3, 0, 0, 0], "redelivery").await;
        costs(Table::StepTrainerTrusted, step_trainer, [5, 3, 0, 0, 0], "redelivery").await;
        costs(Table::MachineLearningCurated, &steps, [3, 0, 0, 0, 0], "redelivery").await;

        // The records supersede one of the file with all customers, and then one another. No other file is read, and no
        // receipt of another file is written: so the cost does not depend on the file with all customers.
        let (trusted, devices) = (customers(Table::CustomerTrusted, shard), devices(shard_of(&world, "serial-phone0")));
        for (time, file) in [(1, "customer/landing/renewed.json"), (2, "customer/landing/again.json")] {
            upload(file, customer("phone0", time, Some(0))).await;
            // Landing file, manifest, checkpoint, customer shard; manifest, customer shard, receipt.
            costs(Table::CustomerTrusted, file, [4, 3, 0, 0, 0], "a later record").await;
            // Checkpoint, customer shard; checkpoint.
            costs(Table::AccelerometerTrusted, &trusted, [2, 1, 0, 0, 0], "no consent changed").await;
            // Checkpoint, the output, both inputs; the output. Then checkpoint, the output, the planner's checkpoint, device shard;
            // device shard, checkpoint.
            costs(Table::CustomerCurated, &trusted, [8, 3, 0, 0, 0], "the claim has a later date").await;
            // Checkpoint, device shard; checkpoint.
            costs(Table::StepTrainerTrusted, &devices, [2, 1, 0, 0, 0], "no owner changed").await;
            // The receipt is put as for a new file, and refused. Then it is read.
            costs(Table::CustomerTrusted, file, [5, 1, 0, 0, 0], "redelivery").await;
            costs(Table::AccelerometerTrusted, &trusted, [2, 0, 0, 0, 0], "redelivery").await;
            // Checkpoint, the output, both inputs; checkpoint, the output.
            costs(Table::CustomerCurated, &trusted, [6, 0, 0, 0, 0], "redelivery").await;
            costs(Table::StepTrainerTrusted, &devices, [2, 0, 0, 0, 0], "redelivery").await;
        }
    }
}

/// The events of a batch share the reads of shards and the puts of cells. Each file has puts of its own for its index entry,
/// its manifest and its receipt.
#[tokio::test]
async fn cost_of_an_upload_falls_with_the_size_of_its_batch() {
    let mut costs = Vec::new();
    for files in [1, 10, 100] {
        let world = World::new(ConsentPolicy::Ever).await;
        let names: Vec<String> = (0..files).map(|phone| format!("phone{phone}")).collect();
        let all = |row: &dyn Fn(&str) -> String| names.iter().map(|name| row(name)).collect::<Vec<_>>().join("\n");
        world.ingest("customer/landing/all.json", all(&|name| customer(name, 0, Some(0)))).await;
        world.ingest("accelerometer/landing/all.json", all(&|name| motion(name, 1))).await;
        world.ingest("step_trainer/landing/all.json", all(&|name| step(name, 1))).await;
        for name in &names {
            world.put(&format!("accelerometer/landing/{name}.json"), motion(name, 0)).await;
            world.put(&format!("step_trainer/landing/{name}.json"), step(name, 0)).await;
        }
        let uploads = |source: &str| names.iter().map(|name| format!("{source}/landing/{name}.json")).collect();
        let (motions, steps): (Vec<String>, Vec<String>) = (uploads("accelerometer"), uploads("step_trainer"));
        let cells = [Table::AccelerometerTrusted, Table::StepTrainerTrusted].map(|table| cell(table, T));
        costs.push([
            cost_of_batch(&world, Table::AccelerometerTrusted, &motions).await,
            cost_of_batch(&world, Table::StepTrainerTrusted, &steps).await,
            cost_of_batch(&world, Table::MachineLearningCurated, &cells).await,
        ]);
    }
    // The shards of up to 16 customers and of as many devices; of each file three puts, and of each cell one.
    assert_eq!(
        costs,
        [
            [[4, 4, 0, 0, 0], [3, 4, 0, 0, 0], [3, 1, 0, 0, 0]],
            [[27, 31, 0, 0, 0], [19, 31, 0, 0, 0], [3, 1, 0, 0, 0]],
            [[133, 301, 0, 0, 0], [117, 301, 0, 0, 0], [3, 1, 0, 0, 0]],
        ]
    );
}

#[tokio::test]
async fn cost_of_a_withdrawal_depends_only_on_the_hours_of_the_customer() {
    for phones in [1, 12] {
        let world = with_history(2, phones).await;
        let shard = shard_of(&world, "phone0@example.com");
        let withdrawal = "customer/landing/withdrawal.json";
        world.put(withdrawal, customer("phone0", 1, None)).await;

        let trusted = customers(Table::CustomerTrusted, shard);
        let devices = devices(shard_of(&world, "serial-phone0"));
        let mut of_lake = vec![(Table::CustomerTrusted, cost(&world, Table::CustomerTrusted, withdrawal).await)];
        of_lake.extend(costs_of_change(&world, Table::AccelerometerTrusted, &trusted).await);
        of_lake.push((Table::CustomerCurated, cost(&world, Table::CustomerCurated, &trusted).await));
        of_lake.extend(costs_of_change(&world, Table::StepTrainerTrusted, &devices).await);
        for hour in 1..=2 {
            let motions = cell(Table::AccelerometerTrusted, T - hour * HOUR_MS);
            let cost = cost(&world, Table::MachineLearningCurated, &motions).await;
            of_lake.push((Table::MachineLearningCurated, cost));
        }
        assert_eq!(world.rows(Table::MachineLearningCurated).await.len() as u32, 2 * (phones - 1).pow(2));
        let expected = [
            (Table::CustomerTrusted, [4, 3, 0, 0, 0]),
            // Checkpoint, shard; work item, checkpoint; the index entries of the key, and all segments.
            (Table::AccelerometerTrusted, [2, 2, 2, 0, 0]),
            // Work item, shard, two cells; two cells; the work item is deleted.
            (Table::AccelerometerTrusted, [4, 2, 0, 1, 0]),
            (Table::CustomerCurated, [8, 3, 0, 0, 0]),
            (Table::StepTrainerTrusted, [2, 2, 2, 0, 0]),
            (Table::StepTrainerTrusted, [4, 2, 0, 1, 0]),
            (Table::MachineLearningCurated, [3, 1, 0, 0, 0]),
            (Table::MachineLearningCurated, [3, 1, 0, 0, 0]),
        ];
        assert_eq!(of_lake, expected, "{phones} phones");
    }
}

/// Each device is in a shard of its own.
#[tokio::test]
async fn cost_of_a_new_device_is_one_more_device_shard() {
    let world = with_history(1, 1).await;
    let shard = shard_of(&world, "serial-phone0");
    let serials: Vec<String> = (0..99).map(|serial| format!("serial-{serial}")).collect();
    let new = serials.iter().find(|serial| shard_of(&world, serial) != shard).unwrap();
    let (moved, trusted) =
        ("customer/landing/moved.json", customers(Table::CustomerTrusted, shard_of(&world, "phone0@example.com")));
    world.put(moved, customer("phone0", 1, Some(0)).replace("serial-phone0", new)).await;
    assert_eq!(cost(&world, Table::CustomerTrusted, moved).await, [4, 3, 0, 0, 0]);
    assert_eq!(cost(&world, Table::CustomerCurated, &trusted).await, [10, 4, 0, 0, 0]);
    for devices in [shard, shard_of(&world, new)].map(devices) {
        let costs = costs_of_change(&world, Table::StepTrainerTrusted, &devices).await;
        assert_eq!(costs[0].1[..2], [2, 1 + costs.len() as u64 - 1], "{devices}");
    }
    assert_eq!(world.rows(Table::StepTrainerTrusted).await, [""; 0]);
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
        let shard = shard_of(&world, "phone0@example.com");
        let mut of_lake = Vec::new();
        for (function, key) in [
            (Table::AccelerometerTrusted, accelerometer),
            (Table::MachineLearningCurated, &motions),
            (Table::CustomerCurated, &latest_readings(shard)),
            (Table::StepTrainerTrusted, &devices(shard_of(&world, "serial-phone0"))),
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
    let expected = [
        // Landing file, consent shard, cell, latest readings; manifest, index entry, cell, receipt.
        (Table::AccelerometerTrusted, [4, 4, 0, 0, 0]),
        (Table::MachineLearningCurated, [3, 1, 0, 0, 0]),
        // The output is up to date, and its claims are in the device lookup.
        (Table::CustomerCurated, [6, 0, 0, 0, 0]),
        (Table::StepTrainerTrusted, [2, 0, 0, 0, 0]),
        // Landing file, device shard, cell; the same puts.
        (Table::StepTrainerTrusted, [3, 4, 0, 0, 0]),
        (Table::MachineLearningCurated, [3, 1, 0, 0, 0]),
    ];
    assert_eq!(costs[0], expected);
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

        let trusted = customers(Table::CustomerTrusted, shard_of(&world, "ann@example.com"));
        let devices = devices(shard_of(&world, "serial-ann"));
        let (motions, steps) = (cell(Table::AccelerometerTrusted, T), cell(Table::StepTrainerTrusted, T));
        let withdrawal = "customer/landing/withdrawal.json";
        world.put(withdrawal, customer("ann", 1, None)).await;
        let mut of_lake = vec![(Table::CustomerTrusted, cost(&world, Table::CustomerTrusted, withdrawal).await)];
        of_lake.extend(costs_of_change(&world, Table::AccelerometerTrusted, &trusted).await);
        of_lake.push((Table::CustomerCurated, cost(&world, Table::CustomerCurated, &trusted).await));
        of_lake.extend(costs_of_change(&world, Table::StepTrainerTrusted, &devices).await);
        for cell in [&motions, &steps] {
            let cost = cost(&world, Table::MachineLearningCurated, cell).await;
            of_lake.push((Table::MachineLearningCurated, cost));
        }
        world.assert_tables("withdrawn", [1, rows, 1, rows, rows]).await;
        costs.push(of_lake);
    }
    assert_eq!(costs[0], costs[1]);
    let expected = [
        // Landing file, manifest, checkpoint, customer shard; manifest, customer shard, receipt.
        (Table::CustomerTrusted, [4, 3, 0, 0, 0]),
        // Checkpoint, shard; work item, checkpoint; the index entries of the key, and all segments.
        (Table::AccelerometerTrusted, [2, 2, 2, 0, 0]),
        // Work item, shard, cell; cell; the work item is deleted.
        (Table::AccelerometerTrusted, [3, 1, 0, 1, 0]),
        // Checkpoint, the output, both inputs; the output. Then checkpoint, the output, the planner's checkpoint, device shard;
        // device shard, checkpoint.
        (Table::CustomerCurated, [8, 3, 0, 0, 0]),
        // As for accelerometer readings, with the device shard.
        (Table::StepTrainerTrusted, [2, 2, 2, 0, 0]),
        (Table::StepTrainerTrusted, [3, 1, 0, 1, 0]),
        // The output, both cells; the output. Then the same, and it is up to date.
        (Table::MachineLearningCurated, [3, 1, 0, 0, 0]),
        (Table::MachineLearningCurated, [3, 0, 0, 0, 0]),
    ];
    assert_eq!(costs[0], expected);
}
