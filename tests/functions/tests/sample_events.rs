//! The events in `events/` do what its README says.

// What fails here fails a test.
#![allow(clippy::unwrap_used)]

use functions::{World, customer, motion, step};
use lake::layout::Object;
use lake::policy::ConsentPolicy::Ever;
use lake::table::Table;
use lake::topology;
use serde_json::{Value, json};
use std::path::Path;

fn sample(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name).with_extension("json");
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

fn key(event: &Value) -> String {
    aws::events::parse(event).remove(0).objects.unwrap().remove(0).key
}

#[tokio::test]
async fn there_is_one_for_each_trigger_and_its_functions_take_it() {
    let world = World::new(Ever).await;
    world.put("customer/landing/customer-1709971680000.json", customer("ann", 0, Some(0))).await;
    world.put("accelerometer/landing/accelerometer-1709972680003.json", motion("ann", 5)).await;
    world.put("step_trainer/landing/step_trainer-1709973680006.json", step("ann", 5)).await;
    let names = [
        "customer_landing",
        "accelerometer_landing",
        "step_trainer_landing",
        "customer_trusted",
        "accelerometer_trusted",
        "readers",
        "customer_curated",
        "step_trainer_trusted",
    ];
    for trigger in topology::TRIGGERS {
        let event = names.map(sample).into_iter().find(|event| key(event).starts_with(trigger.prefix));
        let event = event.unwrap_or_else(|| panic!("no sample event below {}", trigger.prefix));
        assert!(Object::parse(&key(&event)).is_some());
        for function in trigger.wakes {
            assert_eq!(world.invoke(*function, &event).await, Ok(json!({"batchItemFailures": []})), "{function}");
        }
    }
}

#[tokio::test]
async fn every_wrapping_lands_the_customer_file() {
    for name in [
        "customer_landing",
        "sns_inside_sqs",
        "event_bridge",
        "duplicate_records",
        "out_of_order",
        "sqs_batch_with_a_bad_body",
    ] {
        let world = World::new(Ever).await;
        world.put("customer/landing/customer-1709971680000.json", customer("ann", 0, Some(0))).await;
        let response = world.invoke(Table::CustomerTrusted, &sample(name)).await.unwrap();
        let failures = response["batchItemFailures"].as_array().unwrap();
        assert_eq!(failures.len(), usize::from(name == "sqs_batch_with_a_bad_body"), "{name}");
        assert!(failures.iter().all(|failure| failure["itemIdentifier"].as_str().unwrap().ends_with('2')));
        assert_eq!(world.rows(Table::CustomerTrusted).await.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn what_says_nothing_writes_nothing_and_no_input_is_an_error() {
    let world = World::new(Ever).await;
    world.lake.check().await.unwrap();
    let before = world.objects().await;
    for name in ["encoded_key", "object_gone", "test_event", "object_removed"] {
        assert_eq!(
            world.invoke(Table::CustomerTrusted, &sample(name)).await,
            Ok(json!({"batchItemFailures": []})),
            "{name}"
        );
    }
    let error = world.invoke(Table::CustomerTrusted, &sample("no_input")).await.unwrap_err();
    assert!(error.contains("elsewhere/a.json") && error.contains("customer_trusted"), "{error}");
    assert_eq!(world.objects().await, before);
    assert_eq!(key(&sample("encoded_key")), "customer/landing/a b+c/x=1.json");
}
