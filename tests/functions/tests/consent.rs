//! Consent fails closed: withdrawals in every form, consents that cannot be read, spellings, and devices that were sold.

use functions::{T, World, customer, event, motion, step};
use model::lake_config::ConsentPolicy::Ever;
use model::layout::{ObjectLocation, Source};
use model::table::Table;
use serde_json::{Value, json};

const CUSTOMERS: &str = "customer/landing/c.json";
const LATER: &str = "customer/landing/later.json";
const MOTIONS: &str = "accelerometer/landing/a.json";
const STEPS: &str = "step_trainer/landing/s.json";

/// Returns a lake with one row in each table.
async fn world_of_ann() -> World {
    let world = World::new(Ever).await;
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(0))).await;
    world.ingest(MOTIONS, &motion("ann", 5)).await;
    world.ingest(STEPS, &step("ann", 5)).await;
    assert_eq!(world.counts().await, [1; 5]);
    world
}

#[tokio::test]
async fn a_withdrawal_in_any_form_removes_every_row_and_is_counted() {
    let date = T + 9;
    for withdrawal in [
        format!(r#"{{"email":"ann@example.com","lastUpdateDate":{date}}}"#),
        format!(r#"{{"email":" Ann@Example.COM ","lastUpdateDate":{date}}}"#),
        format!(r#"{{"email":"ann@example.com","lastUpdateDate":{date},"shareWithResearchAsOfDate":null}}"#),
        format!(r#"{{"email":"ann@example.com","lastUpdateDate":{date},"shareWithResearchAsOfDate":""}}"#),
        format!(r#"{{"email":"ann@example.com","lastUpdateDate":{date},"shareWithResearchAsOfDate":0}}"#),
        format!(r#"{{"email":"ann@example.com","lastUpdateDate":{date},"shareWithResearchAsOfDate":false}}"#),
        format!(r#"{{"email":"ann@example.com","lastUpdateDate":{date},"phone":{{}}}}"#),
        format!(r#"{{"email":"ann@example.com","lastUpdateDate":{date},"phone":"1","phone":"2"}}"#),
        format!(r#"{{"email":"ann@example.com","lastUpdateDate":{}}}"#, date / 1000),
        r#"{"email":"ann@example.com","lastUpdateDate":"yesterday"}"#.to_owned(),
        r#"{"email":"ann@example.com"}"#.to_owned(),
    ] {
        let world = world_of_ann().await;
        world.ingest(LATER, &withdrawal).await;
        world.assert_tables(&withdrawal, [0; 5]).await;
        assert_eq!(world.receipt(Source::Customer, LATER).await.withdrew, 1, "{withdrawal}");
        world.ingest(LATER, "").await;
        world.assert_tables(&format!("the file of the withdrawal is emptied: {withdrawal}"), [0; 5]).await;
    }
}

#[tokio::test]
async fn a_withdrawal_needs_no_landing_file_of_readings() {
    let world = World::new(Ever).await;
    let names = ["ann", "bob"];
    world.ingest(CUSTOMERS, &names.map(|name| customer(name, 0, Some(0))).join("\n")).await;
    // One file of ann alone, and one of both.
    world.ingest(MOTIONS, &motion("ann", 5)).await;
    world.ingest("accelerometer/landing/both.json", &names.map(|name| motion(name, 6)).join("\n")).await;
    world.ingest(STEPS, &step("ann", 5)).await;
    world.ingest("step_trainer/landing/both.json", &names.map(|name| step(name, 6)).join("\n")).await;
    world.assert_tables("before", [2, 3, 2, 3, 5]).await;
    for key in [MOTIONS, "accelerometer/landing/both.json", STEPS, "step_trainer/landing/both.json"] {
        world.expire(key);
    }
    world.ingest(LATER, &customer("ann", 1, None)).await;
    world.assert_tables("withdrawn", [1; 5]).await;
    assert_eq!(
        world.rows(Table::MachineLearningCurated).await,
        [format!("dt=2022-06-18/hour=15 {} 218 1.5 -1 0 true", T + 6)]
    );
    // Consent does not bring back rows of files that are gone.
    world.ingest("customer/landing/again.json", &customer("ann", 2, Some(0))).await;
    world.assert_tables("consented again", [2, 1, 2, 1, 1]).await;
}

/// No eligible customer has readings in its file, so the file is not read.
#[tokio::test]
async fn a_withdrawal_is_done_although_its_landing_bucket_cannot_be_read() {
    let world = World::new(Ever).await;
    world.lake.store.create_bucket("phones").await.unwrap();
    world.ingest(CUSTOMERS, &customer("ann", 0, Some(0))).await;
    let location = ObjectLocation { bucket: "phones".into(), key: MOTIONS.into() };
    world.put_at(&location, &motion("ann", 5)).await;
    world.invoke(Table::AccelerometerTrusted, &event("phones", MOTIONS)).await.unwrap();
    assert_eq!(world.rows(Table::AccelerometerTrusted).await.len(), 1);
    world.hide_bucket("phones");
    world.ingest(LATER, &customer("ann", 1, None)).await;
    assert!(world.rows(Table::AccelerometerTrusted).await.is_empty());
    world.assert_row_counts("withdrawn").await;
}

/// A bucket that cannot be read is an error only for a customer who is eligible now. The work item stays until the bucket is
/// back.
#[tokio::test]
async fn a_withdrawal_does_not_wait_for_a_file_that_another_customer_needs() {
    let world = World::new(Ever).await;
    world.lake.store.create_bucket("phones").await.unwrap();
    world.ingest(CUSTOMERS, &[customer("ann", 0, Some(0)), customer("bob", 0, None)].join("\n")).await;
    let location = ObjectLocation { bucket: "phones".into(), key: MOTIONS.into() };
    world.put_at(&location, &[motion("ann", 5), motion("bob", 5)].join("\n")).await;
    world.invoke(Table::AccelerometerTrusted, &event("phones", MOTIONS)).await.unwrap();
    assert_eq!(world.rows(Table::AccelerometerTrusted).await.len(), 1);
    world.hide_bucket("phones");
    world.put(LATER, &[customer("ann", 1, None), customer("bob", 1, Some(0))].join("\n")).await;
    world.deliver(Table::CustomerTrusted, LATER).await.unwrap();
    let shards: Vec<String> =
        world.objects().await.into_keys().filter(|key| key.starts_with(Table::CustomerTrusted.prefix())).collect();
    let records: Vec<Value> = shards.iter().map(|shard| event("stedi", shard)["Records"][0].clone()).collect();
    let changes = json!({ "Records": records });
    world.invoke(Table::AccelerometerTrusted, &changes).await.unwrap();
    let items = world.work_items(Table::AccelerometerTrusted).await;
    assert_eq!(items.len(), 1);
    for _ in 0..2 {
        let error = world.deliver(Table::AccelerometerTrusted, &items[0]).await.unwrap_err();
        assert!(error.contains("phones"), "{error}");
        assert!(world.rows(Table::AccelerometerTrusted).await.is_empty());
        assert_eq!(world.work_items(Table::AccelerometerTrusted).await, items);
        // The changes are planned, so their event does nothing.
        let written =
            world.written_by(async || drop(world.invoke(Table::AccelerometerTrusted, &changes).await.unwrap()));
        assert_eq!(written.await, [].into());
    }
    world.show_bucket("phones");
    world.deliver(Table::AccelerometerTrusted, &items[0]).await.unwrap();
    let rows = world.rows(Table::AccelerometerTrusted).await;
    assert!(rows.len() == 1 && rows[0].contains(" bob@example.com "), "{rows:?}");
    world.assert_row_counts("the bucket is back").await;
}

#[tokio::test]
async fn a_consent_that_cannot_be_read_removes_every_row_and_is_counted() {
    for consent in [r#""no""#, "true", "1", "4000000000000", r#"0,"shareWithResearchAsOfDate":1655564444103"#] {
        let world = world_of_ann().await;
        let record =
            format!(r#"{{"email":"ann@example.com","lastUpdateDate":{T},"shareWithResearchAsOfDate":{consent}}}"#);
        world.ingest(LATER, &record).await;
        assert_eq!(world.counts().await, [0; 5], "{consent}");
        let receipt = world.receipt(Source::Customer, LATER).await;
        assert_eq!((receipt.suspended, receipt.quarantined), (1, 1), "{consent}");
    }
}

#[tokio::test]
async fn a_suspension_ends_with_a_valid_record_that_was_stored_later() {
    const STORED_MS: u64 = T as u64 + 1_000_000;
    let world = World::new(Ever).await;
    let put_stored = async |key: &str, body: &str, time_ms| {
        world.put(key, body).await;
        world.set_stored(key, time_ms);
        world.deliver_all([key.to_owned()]).await;
    };
    put_stored(CUSTOMERS, &customer("ann", 0, Some(0)), STORED_MS).await;
    put_stored(LATER, r#"{"email":"ann@example.com","shareWithResearchAsOfDate":"no"}"#, STORED_MS).await;
    assert_eq!(world.counts().await[0], 0);
    put_stored(LATER, "", STORED_MS + 1_000).await;
    assert_eq!(world.counts().await[0], 0, "the file of the suspension is emptied");
    // The valid record arrives once more, unchanged.
    put_stored(CUSTOMERS, &customer("ann", 0, Some(0)), STORED_MS + 1_000).await;
    assert_eq!(world.counts().await[0], 1);
}

#[tokio::test]
async fn a_malformed_grant_has_no_effect() {
    let world = World::new(Ever).await;
    let grant = |field: &str| customer("ann", 1, Some(0)).replacen('{', &format!("{{{field},"), 1);
    for field in [r#""shareWithFriendsAsOfDate":"soon""#, r#""x":1,"phone":"1""#] {
        world.ingest(CUSTOMERS, &grant(field)).await;
        assert_eq!(world.counts().await, [0; 5], "{field}");
    }
    let undated = format!(r#"{{"email":"ann@example.com","shareWithResearchAsOfDate":{T}}}"#);
    world.ingest(CUSTOMERS, &undated).await;
    assert_eq!(world.counts().await, [0; 5]);
}

#[tokio::test]
async fn readings_in_another_spelling_are_the_customers_and_shown_as_the_record_spells_it() {
    let world = World::new(Ever).await;
    world.ingest(MOTIONS, &motion("ANN", 5)).await;
    world.ingest(STEPS, &step("ann", 5).replace("serial-ann", " serial-ann ")).await;
    world.ingest(CUSTOMERS, &customer("Ann", 0, Some(0)).replace("serial-Ann", "serial-ann")).await;
    let user = async |table| world.rows(table).await.concat();
    assert!(user(Table::AccelerometerTrusted).await.contains(" Ann@example.com "));
    assert!(user(Table::StepTrainerTrusted).await.ends_with(" serial-ann 218 Ann@example.com"));
    // A new spelling is a change like any other.
    world.ingest(LATER, &customer("ann", 1, Some(0))).await;
    assert!(user(Table::AccelerometerTrusted).await.contains(" ann@example.com "));
    assert!(user(Table::StepTrainerTrusted).await.ends_with(" ann@example.com"));
    assert_eq!(world.counts().await, [1; 5]);
}

#[tokio::test]
async fn a_resold_device_of_a_customer_without_consent_has_no_rows() {
    let device_of_ann =
        |name: &str, date, since| customer(name, date, since).replace(&format!("serial-{name}"), "serial-ann");
    let world = world_of_ann().await;
    // Bob, who has not consented, registers the device of Ann.
    world.ingest(LATER, &device_of_ann("bob", 1, None)).await;
    assert_eq!(world.counts().await, [1, 1, 1, 0, 0]);
    // Ann sells the device, and then withdraws.
    world.ingest("customer/landing/sold.json", &customer("ann", 2, Some(0)).replace("serial-ann", "serial-new")).await;
    assert_eq!(world.counts().await, [1, 1, 1, 0, 0]);
    world.ingest("customer/landing/withdrawn.json", &customer("ann", 3, None)).await;
    assert_eq!(world.counts().await, [0; 5]);
    // Bob consents, and has motion: now the readings are his.
    world.ingest(LATER, &device_of_ann("bob", 4, Some(0))).await;
    world.ingest("accelerometer/landing/b.json", &motion("bob", 5)).await;
    assert_eq!(world.counts().await, [1; 5]);
}
