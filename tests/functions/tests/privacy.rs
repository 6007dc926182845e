//! No customer without consent is anywhere outside landing, and no customer at all is in logs and training data.

use functions::{World, customer, motion, step};
use model::hash::HashKey;
use model::lake_config::ConsentPolicy::Ever;
use model::table::Table;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

const CUSTOMERS: &str = "customer/landing/c.json";
const MOTIONS: &str = "accelerometer/landing/a.json";
const STEPS: &str = "step_trainer/landing/s.json";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn scenario() -> World {
    let world = World::new(Ever).await;
    let broken = |text: String| text.replace("1.5", "NaN");
    world.ingest(CUSTOMERS, &[customer("ann", 0, Some(0)), customer("bob", 0, None)].join("\n")).await;
    world.ingest(MOTIONS, &[motion("ann", 5), motion("bob", 5), broken(motion("ann", 6))].join("\n")).await;
    world.ingest(STEPS, &[step("ann", 5), step("bob", 5)].join("\n")).await;
    world
}

/// The personal values in the records of `name`.
fn personal(name: &str) -> [String; 4] {
    [format!("{name}@example.com"), format!("{name} Name"), format!("555{name}"), format!("serial-{name}")]
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn customer_without_consent_is_nowhere_outside_landing() {
    let world = scenario().await;
    for key in world.objects().await.into_keys().filter(|key| !key.contains("/landing/")) {
        let body = world.body(&key).await.unwrap();
        for value in personal("bob") {
            assert!(!holds(&body, &value) && !key.contains(&value), "{value} in {key}");
        }
    }
    for table in Table::DERIVED {
        let rows = world.rows(table).await.join("\n");
        assert!(personal("bob").iter().all(|value| !rows.contains(value.as_str())), "{rows}");
    }
}

#[tokio::test]
async fn training_table_has_no_personal_values() {
    let world = scenario().await;
    let keys: Vec<String> = world
        .objects()
        .await
        .into_keys()
        .filter(|key| key.starts_with(Table::MachineLearningCurated.prefix()))
        .collect();
    assert_eq!(keys.len(), 1);
    let body = world.body(&keys[0]).await.unwrap();
    let rows = world.rows(Table::MachineLearningCurated).await.concat();
    assert!(!rows.is_empty());
    for value in personal("ann").iter().chain(&personal("bob")) {
        let hash = HashKey::public().of(value).to_string();
        for text in [value.as_str(), &hash, &hash[..16]] {
            assert!(!holds(&body, text) && !keys[0].contains(text) && !rows.contains(text), "{text}");
        }
    }
}

#[tokio::test]
async fn logs_name_each_landing_file_and_no_customer() {
    let log = Log::default();
    let writer = log.clone();
    runtime::logging::init("debug,s3s=off", move || writer.clone());
    let world = scenario().await;
    world.ingest("customer/landing/later.json", customer("ann", 1, None)).await;
    let _ = world.deliver(Table::CustomerTrusted, MOTIONS).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for value in personal("ann").iter().chain(&personal("bob")) {
        assert!(!text.contains(value.as_str()), "{value} in {text}");
    }
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        lines.iter().any(|line| line["item"].as_str().is_some_and(|item| item.contains("/_state/work/"))),
        "{text}"
    );
    let line = lines.iter().find(|line| line["object"] == "s3://stedi/accelerometer/landing/a.json");
    let line = line.unwrap_or_else(|| panic!("no line for the file in {text}"));
    let counts = ["rows", "kept", "excluded", "quarantined"].map(|name| line[name].as_u64());
    assert_eq!(counts, [Some(3), Some(1), Some(1), Some(1)], "{line}");
    assert!(line["duration_ms"].is_f64(), "{line}");
}
