//! What lands: customers, their devices and readings, in files that come, are replaced, and come again.
//!
//! A scenario is plain data, drawn from a seed once; so it can be printed, kept in a file and made smaller.

mod draw;

use model::lake_config::ConsentPolicy;
use model::layout::Source;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// 2022-06-18T00:00:00Z; all readings are of that month.
pub const MIDNIGHT_MS: i64 = 1_655_510_400_000;

/// What lands in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Which readings of a consenting customer count.
    pub policy: ConsentPolicy,
    /// Into how many shards customers are split.
    pub customer_shards: u16,
    /// Whether the index takes for few keys and files the forms that are meant for many.
    #[serde(default)]
    pub small_index: bool,
    /// The landings. The next phase begins when nothing is left to deliver of the one before.
    pub phases: Vec<Vec<Landing>>,
}

/// A version of a landing file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Landing {
    /// Milliseconds since the phase began.
    pub at_ms: u64,
    /// Where it lands.
    pub key: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a landing file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// JSON, one record a line.
    Lines(Vec<Line>),
    /// Begins like gzip and is none.
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
    /// No record: this very text.
    Broken(String),
}

/// A customer record. Times are milliseconds since [`MIDNIGHT_MS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Who: all personal values follow from this.
    pub name: String,
    /// A part of the phone number, to tell records apart.
    pub phone: u8,
    /// The number of the device; none: no device.
    pub device: Option<u8>,
    /// `registrationDate`
    pub registered: Option<i64>,
    /// `lastUpdateDate`
    pub updated: Option<i64>,
    /// `shareWithResearchAsOfDate`
    pub research: Research,
}

/// What a record says of research.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Research {
    /// Nothing.
    Absent,
    /// `null`
    Null,
    /// 0
    Zero,
    /// Consent since so many milliseconds after [`MIDNIGHT_MS`].
    Since(i64),
}

/// An accelerometer reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Motion {
    /// Whose.
    pub name: String,
    /// Milliseconds since [`MIDNIGHT_MS`].
    pub time: i64,
    /// Tells the reading apart, and so whose it is, even when it is anonymous.
    pub number: i32,
}

/// A step trainer reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The number of the device.
    pub device: u8,
    /// Milliseconds since [`MIDNIGHT_MS`].
    pub time: i64,
    /// Tells the reading apart.
    pub number: i32,
}

impl Record {
    /// `email`
    pub fn email(&self) -> String {
        email(&self.name)
    }

    /// `customerName`
    pub fn full_name(&self) -> String {
        format!("Dr. {} Nobody", self.name)
    }

    /// `phone`
    pub fn phone(&self) -> String {
        format!("555-{}-{}", self.name, self.phone)
    }

    /// `birthDay`: before 1677, as it occurs.
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
    /// The landings of all phases, in the order in which they are written down.
    pub fn landings(&self) -> impl Iterator<Item = &Landing> {
        self.phases.iter().flatten()
    }
}

impl Landing {
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
    /// The line as it stands in the file.
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

/// The landing files as they are now: key → the latest version's content.
pub type Files<'a> = BTreeMap<&'a str, &'a Content>;
