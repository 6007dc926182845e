//! The uploads of a run: customers, their devices and readings, in files that are new, replaced or uploaded again.
//!
//! A scenario is plain data that is drawn once from a seed. So it can be printed, stored in a file and made smaller.

mod draw;
mod record;

use model::lake_config::{ConsentPolicy, Pairs};
use model::layout::Source;
use model::slice::SlicesPerHour;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

pub use record::{AHEAD_MS, Record, Research, SPELLINGS, Spoiled, email, serial, spelled_email, spelled_serial};

/// 2022-06-18T00:00:00Z; all readings are of that month.
pub const MIDNIGHT_MS: i64 = 1_655_510_400_000;

/// When a run begins, in milliseconds after [`MIDNIGHT_MS`]: after all readings and most dates of records.
pub const START_MS: i64 = 30 * 3_600_000;

/// The uploads of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Which readings of a consenting customer count.
    pub policy: ConsentPolicy,
    /// Which pairs the training table has.
    pub pairs: Pairs,
    /// The number of slices of an hour.
    #[serde(default)]
    pub slices_per_hour: SlicesPerHour,
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

/// An accelerometer reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Motion {
    /// The customer.
    pub name: String,
    /// How the reading spells the email, below [`SPELLINGS`].
    pub spelling: u8,
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
    /// How the reading spells the serial number, below [`SPELLINGS`].
    pub spelling: u8,
    /// Milliseconds since [`MIDNIGHT_MS`].
    pub time: i64,
    /// Identifies the reading.
    pub number: i32,
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
            Self::Lines(lines) => lines.iter().flat_map(|line| [line.bytes(), b"\n".to_vec()].concat()).collect(),
            Self::Damaged => b"\x1f\x8b\x08 cut short".to_vec(),
        }
    }
}

impl Line {
    /// The line as it is in the file.
    pub fn bytes(&self) -> Vec<u8> {
        let text = self.text();
        let pieces: Vec<&[u8]> = text.split(record::NOT_UTF_8).map(str::as_bytes).collect();
        pieces.join(&0xff)
    }

    /// The line as text. U+FFFD stands for a byte that is not UTF-8.
    pub fn text(&self) -> String {
        match self {
            Self::Customer(record) => record.json(),
            Self::Motion(motion) => json!({
                "user": spelled_email(&motion.name, motion.spelling), "timestamp": MIDNIGHT_MS + motion.time,
                "x": f64::from(motion.number), "y": -0.5, "z": 0.25,
            })
            .to_string(),
            Self::Step(step) => json!({
                "sensorReadingTime": MIDNIGHT_MS + step.time, "serialNumber": spelled_serial(step.device, step.spelling),
                "distanceFromObject": step.number,
            })
            .to_string(),
            Self::Broken(text) => text.clone(),
        }
    }
}

/// A version of a landing file.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// Its content.
    pub content: &'a Content,
    /// When S3 stored it: the object's Last-Modified.
    pub stored_ms: i64,
}

/// The current landing files: key → latest version.
pub type Files<'a> = BTreeMap<&'a str, Version<'a>>;
