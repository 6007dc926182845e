//! The tables after uploads, consent changes and corrections, and the objects that must not change.

use formats::cell::Cell;
use functions::{HOUR_MS, T, World, cell, customer, motion, step};
use model::hash::HashKey;
use model::lake_config::ConsentPolicy::{AtReading, Ever};
use model::lake_config::{LakeConfig, Pairs};
use model::layout::{Source, devices};
use model::table::Table;
use std::collections::BTreeSet;

const CUSTOMERS: &str = "customer/landing/c.json";
const MOTIONS: &str = "accelerometer/landing/a.json";
const STEPS: &str = "step_trainer/landing/s.json";

#[tokio::test]
async fn only_consenting_customers_are_in_the_tables() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &[customer("ann", 0, Some(0)), customer("bob", 0, None)].join("\n")).await;
    world.ingest(MOTIONS, &[motion("ann", 5), motion("bob", 5), motion("eve", 5)].join("\n")).await;
    world.ingest(STEPS, &[step("ann", 5), step("bob", 5), step("eve", 5)].join("\n")).await;
    let time = T + 5;
    assert_eq!(
        world.rows(Table::AccelerometerTrusted).await,
        [format!("dt=2022-06-18/hour=15 ann@example.com {time} 1.5 -1 0")]
    );
    assert_eq!(
        world.rows(Table::StepTrainerTrusted).await,
        [format!("dt=2022-06-18/hour=15 {time} serial-ann 218 ann@example.com")]
    );
    assert_eq!(
        world.rows(Table::MachineLearningCurated).await,
        [format!("dt=2022-06-18/hour=15 {time} 218 1.5 -1 0 true")]
    );
    assert_eq!(world.rows(Table::CustomerCurated).await, world.rows(Table::CustomerTrusted).await);
}

#[tokio::test]
async fn readings_may_arrive_before_their_customer() {
    let world = World::new(Ever).await;
    world.ingest(STEPS, &step("ann", 5)).await;
    world.ingest(MOTIONS, &motion("ann", 5)).await;
    assert_eq!(world.counts().await, [0; 5]);
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(0))).await;
    assert_eq!(world.counts().await, [1; 5]);
}

#[tokio::test]
async fn file_with_many_keys_is_found() {
    let world = World::new(Ever).await;
    let names: Vec<String> = (0..ingest::LIMITS.entries_max + 9).map(|i| format!("n{i}")).collect();
    world.ingest(STEPS, &names.iter().map(|name| step(name, 5)).collect::<String>()).await;
    world.ingest(MOTIONS, &names.iter().map(|name| motion(name, 5)).collect::<String>()).await;
    world.ingest(CUSTOMERS, &names[..3].iter().map(|name| customer(name, 0, Some(0))).collect::<String>()).await;
    // All readings are of one instant, so every step pairs with every motion.
    assert_eq!(world.counts().await, [3, 3, 3, 3, 9]);
}

#[tokio::test]
async fn withdrawal_removes_rows_and_writes_nothing_else() {
    const LATER: &str = "customer/landing/later.json";
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &[customer("ann", 0, Some(0)), customer("bob", 0, Some(0))].join("\n")).await;
    for (name, key, time) in [("ann", "a", 5), ("bob", "b", 5), ("bob", "next_hour", HOUR_MS)] {
        world.ingest(&format!("accelerometer/landing/{key}.json"), &motion(name, time)).await;
        world.ingest(&format!("step_trainer/landing/{key}.json"), &step(name, time)).await;
    }
    world.assert_tables("before", [2, 3, 2, 3, 5]).await;
    let entries_of_bob = async || {
        let mut entries = Vec::new();
        for (table, source) in
            [(Table::AccelerometerTrusted, Source::Accelerometer), (Table::StepTrainerTrusted, Source::StepTrainer)]
        {
            let cell = Cell::decode(table, world.body(&cell(table, T)).await.unwrap()).unwrap();
            entries.push(cell.entries[&world.file(&format!("{source}/landing/b.json"))].clone());
        }
        entries
    };
    let before = entries_of_bob().await;
    let written = world.written_by(async || world.ingest(LATER, &customer("ann", 1, None)).await).await;
    world.assert_tables("withdrawn", [1, 2, 1, 2, 2]).await;
    assert_eq!(entries_of_bob().await, before);
    // Besides the objects of the customers: the shard of the device, and the cells of the hour of the withdrawn rows.
    let others = written.into_iter().filter(|key| {
        let is_of_customers = key.starts_with("customer/") || key.contains("/customer/");
        !is_of_customers && !key.starts_with("_state/checkpoints/")
    });
    let cells = [Table::AccelerometerTrusted, Table::MachineLearningCurated, Table::StepTrainerTrusted];
    let cells = cells.map(|table| cell(table, T));
    let devices = devices(HashKey::public().of("serial-ann").shard(world.lake.config().customer_shards));
    assert_eq!(others.collect::<BTreeSet<_>>(), cells.into_iter().chain([devices]).collect());

    world.ingest("customer/landing/again.json", &customer("ann", 2, Some(0))).await;
    world.assert_tables("consented again", [2, 3, 2, 3, 5]).await;
    assert_eq!(entries_of_bob().await, before);
}

#[tokio::test]
async fn older_record_changes_nothing() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &customer("ann", 5, Some(0))).await;
    world.ingest(MOTIONS, &motion("ann", 5)).await;
    world.ingest("customer/landing/older.json", &customer("ann", 4, None)).await;
    assert_eq!(world.counts().await, [1, 1, 1, 0, 0]);
    world.ingest("customer/landing/same-time.json", &customer("ann", 5, None)).await;
    assert_eq!(world.counts().await, [0; 5]);
}

#[tokio::test]
async fn at_reading_policy_counts_readings_since_the_consent() {
    let world = World::new(AtReading).await;
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(10))).await;
    world.ingest(MOTIONS, &[motion("ann", 9), motion("ann", 10)].join("\n")).await;
    world.ingest(STEPS, &[step("ann", 9), step("ann", 10)].join("\n")).await;
    assert_eq!(world.counts().await, [1; 5]);
    let receipt = world.receipt(Source::StepTrainer, STEPS).await;
    assert_eq!((receipt.rows, receipt.kept, receipt.excluded["before_consent"]), (2, 1, 1));
    world.ingest("customer/landing/later.json", &customer("ann", 1, Some(11))).await;
    assert_eq!(world.counts().await, [1, 0, 0, 0, 0]);
    world.ingest("customer/landing/earlier.json", &customer("ann", 2, Some(9))).await;
    assert_eq!(world.counts().await, [1, 2, 1, 2, 2]);
}

#[tokio::test]
async fn lake_of_pairs_of_one_customer_has_no_others() {
    let world = World::with_config(LakeConfig { pairs: Pairs::SameCustomer, ..LakeConfig::default() }).await;
    let names = ["ann", "bob", "eve"];
    world.ingest(CUSTOMERS, &names.map(|name| customer(name, 0, Some(0))).join("\n")).await;
    world.ingest(MOTIONS, &names.map(|name| motion(name, 5)).join("\n")).await;
    world.ingest(STEPS, &names.map(|name| step(name, 5)).join("\n")).await;
    assert_eq!(world.counts().await, [3; 5]);
    assert!(world.rows(Table::MachineLearningCurated).await.iter().all(|row| row.ends_with(" true")));
}

#[tokio::test]
async fn replaced_file_is_a_correction() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &[customer("ann", 0, Some(0)), customer("bob", 0, Some(0))].join("\n")).await;
    world.ingest(MOTIONS, &[motion("ann", 5), motion("bob", 5)].join("\n")).await;
    world.ingest(STEPS, &step("ann", 5)).await;
    assert_eq!(world.counts().await, [2, 2, 2, 1, 2]);
    world.ingest(MOTIONS, &motion("ann", 5 + HOUR_MS)).await;
    // The customers had readings, so both stay curated.
    world.assert_tables("corrected", [2, 1, 2, 1, 0]).await;
    let receipt = world.receipt(Source::Accelerometer, MOTIONS).await;
    let outputs: Vec<(&str, u64)> = receipt.outputs.iter().map(|output| (output.key.as_str(), output.rows)).collect();
    let next_hour = cell(Table::AccelerometerTrusted, T + HOUR_MS);
    assert_eq!((receipt.rows, receipt.kept, outputs), (1, 1, vec![(next_hour.as_str(), 1)]));
    // Both hours had rows once, so both stay registered.
    let registered = world.lake.catalog.partitions(Table::AccelerometerTrusted).await.unwrap();
    assert_eq!(registered.len(), 2);
}

#[tokio::test]
async fn correction_does_not_lower_the_latest_reading() {
    let world = World::new(AtReading).await;
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(10))).await;
    world.ingest(MOTIONS, &motion("ann", 20)).await;
    world.ingest("accelerometer/landing/other.json", &motion("ann", 5)).await;
    assert_eq!(world.counts().await, [1, 1, 1, 0, 0]);
    world.ingest(MOTIONS, &motion("ann", 6)).await;
    world.assert_tables("corrected", [1, 0, 1, 0, 0]).await;
    world.ingest("accelerometer/landing/other.json", &motion("ann", 15)).await;
    world.assert_tables("corrected again", [1, 1, 1, 0, 0]).await;
    // A consent that is later than all readings takes the customer out.
    world.ingest("customer/landing/later.json", &customer("ann", 1, Some(21))).await;
    world.assert_tables("consent is later", [1, 0, 0, 0, 0]).await;
}

#[tokio::test]
async fn deleted_file_can_lose_rows_but_not_regain_them() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &[customer("ann", 0, Some(0)), customer("bob", 0, Some(0))].join("\n")).await;
    world.ingest(MOTIONS, &[motion("ann", 5), motion("bob", 5)].join("\n")).await;
    world.expire(MOTIONS);
    world.deliver(Table::AccelerometerTrusted, MOTIONS).await.unwrap();
    assert_eq!(world.counts().await, [2, 2, 2, 0, 0]);
    world.ingest("customer/landing/later.json", &customer("ann", 1, None)).await;
    assert_eq!(world.counts().await, [1, 1, 1, 0, 0]);
    world.assert_row_counts("withdrawn").await;
    let receipt = world.receipt(Source::Accelerometer, MOTIONS).await;
    assert_eq!((receipt.rows, receipt.kept, receipt.excluded.len()), (2, 2, 0), "as of ingestion");
    world.ingest("customer/landing/again.json", &customer("ann", 2, Some(0))).await;
    assert_eq!(world.rows(Table::AccelerometerTrusted).await.len(), 1);
    world.ingest(MOTIONS, &[motion("ann", 5), motion("bob", 5)].join("\n")).await;
    assert_eq!(world.counts().await, [2, 2, 2, 0, 0]);
}

#[tokio::test]
async fn replacing_a_withdrawal_does_not_undo_it() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(0))).await;
    world.ingest(MOTIONS, &motion("ann", 5)).await;
    world.ingest("customer/landing/later.json", &customer("ann", 1, None)).await;
    assert_eq!(world.counts().await, [0; 5]);
    world.ingest("customer/landing/later.json", "").await;
    assert_eq!(world.counts().await, [0; 5]);
    world.ingest("customer/landing/later.json", &customer("ann", 2, Some(0))).await;
    assert_eq!(world.counts().await, [1, 1, 1, 0, 0]);
}

#[tokio::test]
async fn device_belongs_to_its_latest_owner() {
    let world = World::new(Ever).await;
    let with_device = |name, date| customer(name, date, Some(0)).replace(&format!("serial-{name}"), "serial-ann");
    world.ingest(CUSTOMERS, &[with_device("ann", 1), with_device("bob", 0)].join("\n")).await;
    world.ingest(MOTIONS, &[motion("ann", 5), motion("bob", 5)].join("\n")).await;
    world.ingest(STEPS, &step("ann", 5)).await;
    let owner = async || world.rows(Table::StepTrainerTrusted).await.concat().rsplit(' ').next().map(str::to_owned);
    assert_eq!(owner().await.as_deref(), Some("ann@example.com"));
    world.ingest("customer/landing/later.json", &with_device("bob", 2)).await;
    assert_eq!(owner().await.as_deref(), Some("bob@example.com"));
    world.ingest("customer/landing/gone.json", &customer("bob", 3, None)).await;
    assert_eq!(owner().await.as_deref(), Some("ann@example.com"));
    assert_eq!(world.rows(Table::MachineLearningCurated).await.len(), 1);
}

#[tokio::test]
async fn landing_files_may_be_in_other_buckets() {
    let world = World::new(Ever).await;
    world.lake.store.create_bucket("phones").await.unwrap();
    let location = model::layout::ObjectLocation { bucket: "phones".into(), key: MOTIONS.into() };
    world.put_at(&location, &motion("ann", 5)).await;
    world.invoke(Table::AccelerometerTrusted, &functions::event("phones", MOTIONS)).await.unwrap();
    // The same key in the lake's own bucket is another file.
    world.ingest(MOTIONS, &motion("ann", 6)).await;
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(0))).await;
    assert_eq!(world.counts().await, [1, 2, 1, 0, 0]);
}

#[tokio::test]
async fn customer_receipts_count_the_latest_record() {
    let world = World::new(Ever).await;
    let twice = [customer("ann", 0, Some(0)), customer("ann", 1, Some(0)), customer("bob", 0, None), "x".into()];
    world.ingest(CUSTOMERS, &twice.join("\n")).await;
    let receipt = world.receipt(Source::Customer, CUSTOMERS).await;
    assert_eq!((receipt.rows, receipt.kept, receipt.quarantined), (4, 1, 1));
    assert_eq!((receipt.excluded["superseded"], receipt.excluded["no_consent"]), (1, 1));
    world.ingest("customer/landing/later.json", &customer("ann", 2, Some(0))).await;
    assert_eq!(world.receipt(Source::Customer, CUSTOMERS).await, receipt, "as of ingestion");
    assert_eq!(world.receipt(Source::Customer, "customer/landing/later.json").await.kept, 1);
}

#[tokio::test]
async fn undecodable_file_is_quarantined_as_one_row_until_it_is_replaced() {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(0))).await;
    world.ingest(MOTIONS, motion("ann", 5).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()).await;
    let receipt = world.receipt(Source::Accelerometer, MOTIONS).await;
    assert_eq!(
        (receipt.rows, receipt.kept, receipt.undecodable),
        (1, 0, None),
        "without a byte order mark it is one bad line"
    );

    let with_bom = [&[0xff, 0xfe][..], &[b'{', 0]].concat();
    world.ingest(MOTIONS, with_bom).await;
    let receipt = world.receipt(Source::Accelerometer, MOTIONS).await;
    assert_eq!((receipt.rows, receipt.kept, receipt.quarantined, receipt.rejected["utf_16"]), (1, 0, 1, 1));
    assert!(receipt.undecodable.unwrap().contains("UTF-16"));

    world.ingest(MOTIONS, motion("ann", 5)).await;
    let receipt = world.receipt(Source::Accelerometer, MOTIONS).await;
    assert_eq!((receipt.rows, receipt.kept, receipt.quarantined, receipt.undecodable), (1, 1, 0, None));
}
