//! The uploads of a run: customers, their devices and readings, in files that are new, replaced or uploaded again.
//!
//! A scenario is plain data that is drawn once from a seed. So it can be printed, stored in a file and made smaller.

mod draw;

use model::lake_config::ConsentPolicy;
use model::layout::Source;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// 2022-06-18T00:00:00Z; all readings are of that month.
pub const MIDNIGHT_MS: i64 = 1_655_510_400_000;

/// The uploads of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Which readings of a consenting customer count.
    pub policy: ConsentPolicy,
    /// The number of customer shards.
    pub customer_shards: u16,
    /// Whether the index uses segments and compaction already for a few keys and files.
    #[serde(default)]
    pub small_index: bool,
    /// The uploads by phase. A phase begins when no event of the phase before is pending.
    pub phases: Vec<Vec<Upload>>,
}

/// An upload: one version of a landing file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// Milliseconds since the phase began.
    pub at_ms: u64,
    /// The key of the landing file.
    pub key: String,
    /// The content of this version.
    pub content: Content,
}

/// The content of a landing file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// JSON, one record a line.
    Lines(Vec<Line>),
    /// Bytes that begin like gzip but cannot be decompressed.
    Damaged,
}

/// A line of a landing file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A customer record.
    Customer(Record),
    /// An accelerometer reading.
    Motion(Motion),
    /// A step trainer reading.
    Step(Step),
    /// This text, which is not a record.
    Broken(String),
}

/// A customer record. Times are milliseconds since [`MIDNIGHT_MS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The customer; all personal values are made from this name.
    pub name: String,
    /// A part of the phone number, to distinguish records.
    pub phone: u8,
    /// The number of the device, if the record names one.
    pub device: Option<u8>,
    /// `registrationDate`
    pub registered: Option<i64>,
    /// `lastUpdateDate`
    pub updated: Option<i64>,
    /// `shareWithResearchAsOfDate`
    pub research: Research,
}

/// `shareWithResearchAsOfDate` of a record.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Research {
    /// The field is absent.
    Absent,
    /// `null`
    Null,
    /// 0
    Zero,
    /// Consent since this time, in milliseconds after [`MIDNIGHT_MS`].
    Since(i64),
}

/// An accelerometer reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Motion {
    /// The customer.
    pub name: String,
    /// Milliseconds since [`MIDNIGHT_MS`].
    pub time: i64,
    /// Identifies the reading, and so its customer, even in the training table.
    pub number: i32,
}

/// A step trainer reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The number of the device.
    pub device: u8,
    /// Milliseconds since [`MIDNIGHT_MS`].
    pub time: i64,
    /// Identifies the reading.
    pub number: i32,
}

impl Record {
    /// `email`
    pub fn email(&self) -> String {
        email(&self.name)
    }

    /// `customerName`
    pub fn full_name(&self) -> String {
        format!("Dr. {} Surname", self.name)
    }

    /// `phone`
    pub fn phone(&self) -> String {
        format!("555-{}-{}", self.name, self.phone)
    }

    /// `birthDay`; a year before 1677, as in the reference data.
    pub fn birthday(&self) -> String {
        format!("1399-{}", self.name)
    }

    /// `serialNumber`
    pub fn serial(&self) -> Option<String> {
        self.device.map(serial)
    }
}

/// The email of a customer.
pub fn email(name: &str) -> String {
    format!("{name}@example.com")
}

/// The serial number of a device.
pub fn serial(device: u8) -> String {
    format!("serial-number-{device}")
}

impl Scenario {
    /// The uploads of all phases, in the order of the scenario.
    pub fn uploads(&self) -> impl Iterator<Item = &Upload> {
        self.phases.iter().flatten()
    }
}

impl Upload {
    /// The kind of file.
    pub fn source(&self) -> Option<Source> {
        Source::ALL.into_iter().find(|source| self.key.starts_with(source.landing().prefix()))
    }
}

impl Content {
    /// The file's lines.
    pub fn lines(&self) -> &[Line] {
        match self {
            Self::Lines(lines) => lines,
            Self::Damaged => &[],
        }
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Lines(lines) => lines.iter().map(|line| line.text() + "\n").collect::<String>().into_bytes(),
            Self::Damaged => b"\x1f\x8b\x08 cut short".to_vec(),
        }
    }
}

impl Line {
    /// The line as it is in the file.
    pub fn text(&self) -> String {
        match self {
            Self::Customer(record) => Value::from(record.json()).to_string(),
            Self::Motion(motion) => json!({
                "user": email(&motion.name), "timestamp": MIDNIGHT_MS + motion.time,
                "x": f64::from(motion.number), "y": -0.5, "z": 0.25,
            })
            .to_string(),
            Self::Step(step) => json!({
                "sensorReadingTime": MIDNIGHT_MS + step.time, "serialNumber": serial(step.device),
                "distanceFromObject": step.number,
            })
            .to_string(),
            Self::Broken(text) => text.clone(),
        }
    }
}

impl Record {
    fn json(&self) -> Map<String, Value> {
        let date = |ms: Option<i64>| ms.map(|ms| json!(MIDNIGHT_MS + ms));
        let research = match self.research {
            Research::Absent => None,
            Research::Null => Some(Value::Null),
            Research::Zero => Some(json!(0)),
            Research::Since(ms) => date(Some(ms)),
        };
        let fields = [
            ("customerName", Some(json!(self.full_name()))),
            ("email", Some(json!(self.email()))),
            ("phone", Some(json!(self.phone()))),
            ("birthDay", Some(json!(self.birthday()))),
            ("serialNumber", self.serial().map(|serial| json!(serial))),
            ("registrationDate", date(self.registered)),
            ("lastUpdateDate", date(self.updated)),
            ("shareWithResearchAsOfDate", research),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// The current landing files: key → content of the latest version.
pub type Files<'a> = BTreeMap<&'a str, &'a Content>;
