//! The definitions of the tables, implemented a second time: plain, slow, and without any code of the functions.
//!
//! It takes the lines of the landing files, not their bytes, and all files at once, as a nightly batch would.

use crate::scenario::{Content, Files, Line, MIDNIGHT_MS, Motion, Record, Research, Step, email, serial};
use model::lake_config::ConsentPolicy;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What the lake must contain.
#[derive(Debug, Default)]
pub struct Expected {
    /// Rows as [`crate::tables::rows_of`] gives them, sorted.
    pub customer_trusted: Vec<String>,
    /// As above.
    pub accelerometer_trusted: Vec<String>,
    /// As above.
    pub customer_curated: Vec<String>,
    /// As above.
    pub step_trainer_trusted: Vec<String>,
    /// As above.
    pub machine_learning_curated: Vec<String>,
    /// Landing file → its row counts.
    pub row_counts: BTreeMap<String, RowCounts>,
    /// The customers whose latest record lacks consent: no row of theirs may remain.
    pub not_consenting: BTreeSet<String>,
}

/// The row counts of one landing file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Records and rejected pieces.
    pub rows: u64,
    /// Rejected pieces.
    pub quarantined: u64,
    /// Rows in the file's outputs. None for customer files: if several hold the same record, any one of them may count
    /// it, so the definitions fix only their sum.
    pub kept: Option<u64>,
}

fn since(record: &Record) -> Option<i64> {
    match record.research {
        Research::Since(ms) => Some(MIDNIGHT_MS + ms),
        Research::Absent | Research::Null | Research::Zero => None,
    }
}

fn date(record: &Record) -> i64 {
    match (record.updated, record.registered) {
        (Some(ms), _) | (None, Some(ms)) => MIDNIGHT_MS + ms,
        (None, None) => 0,
    }
}

/// The columns that a record has, by name.
fn columns(record: &Record) -> Map<String, Value> {
    let mut columns = Map::new();
    columns.insert("customername".into(), json!(record.full_name()));
    columns.insert("email".into(), json!(record.email()));
    columns.insert("phone".into(), json!(record.phone()));
    columns.insert("birthday".into(), json!(record.birthday()));
    if let Some(device) = record.device {
        columns.insert("serialnumber".into(), json!(serial(device)));
    }
    if let Some(ms) = record.registered {
        columns.insert("registrationdate".into(), json!(MIDNIGHT_MS + ms));
    }
    if let Some(ms) = record.updated {
        columns.insert("lastupdatedate".into(), json!(MIDNIGHT_MS + ms));
    }
    match record.research {
        Research::Since(ms) => drop(columns.insert("sharewithresearchasofdate".into(), json!(MIDNIGHT_MS + ms))),
        Research::Zero => drop(columns.insert("sharewithresearchasofdate".into(), json!(0))),
        Research::Absent | Research::Null => {}
    }
    columns
}

/// Whether `a` wins over `b`: the later one; at equal times the one without consent; then the smaller JSON.
fn beats(a: &Record, b: &Record) -> bool {
    if date(a) != date(b) {
        return date(a) > date(b);
    }
    if since(a).is_none() != since(b).is_none() {
        return since(a).is_none();
    }
    let [a, b] = [a, b].map(|record| Value::from(columns(record)).to_string());
    a < b
}

fn row(record: &Record) -> String {
    let columns = columns(record);
    let text = |name: &str| match columns.get(name) {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let order = [
        "customername",
        "email",
        "phone",
        "birthday",
        "serialnumber",
        "registrationdate",
        "lastupdatedate",
        "sharewithresearchasofdate",
        "sharewithpublicasofdate",
        "sharewithfriendsasofdate",
    ];
    order.map(text).join(" ")
}

/// `dt=…/hour=…`, for the days of June 2022 from the 18th.
fn partition(time: i64) -> String {
    let hours = time / 3_600_000;
    format!("dt=2022-06-{}/hour={:02}", 18 + hours / 24, hours % 24)
}

/// The tables over these landing files.
pub fn tables(files: &Files<'_>, policy: ConsentPolicy) -> Expected {
    let mut expected = Expected::default();

    // customer_trusted: the customers whose latest record has a research consent.
    let mut latest: BTreeMap<&str, &Record> = BTreeMap::new();
    for line in files.values().flat_map(|content| content.lines()) {
        if let Line::Customer(record) = line {
            let before = latest.get(record.name.as_str());
            if before.is_none_or(|before| beats(record, before)) {
                latest.insert(&record.name, record);
            }
        }
    }
    let trusted: BTreeMap<&str, &Record> =
        latest.iter().filter(|(_, record)| since(record).is_some()).map(|(name, record)| (*name, *record)).collect();
    expected.customer_trusted = trusted.values().map(|record| row(record)).collect();
    expected.not_consenting =
        latest.keys().filter(|name| !trusted.contains_key(*name)).map(|name| (*name).to_owned()).collect();

    // accelerometer_trusted: their readings; under at-reading only those at or after the consent.
    let counts = |owner: &Record, time: i64| match policy {
        ConsentPolicy::Ever => true,
        ConsentPolicy::AtReading => since(owner).is_some_and(|since| MIDNIGHT_MS + time >= since),
    };
    let mut motions: Vec<&Motion> = Vec::new();
    for (key, content) in files {
        let kept = content.lines().iter().filter_map(|line| match line {
            Line::Motion(motion) => {
                trusted.get(motion.name.as_str()).is_some_and(|owner| counts(owner, motion.time)).then_some(motion)
            }
            _ => None,
        });
        let before = motions.len();
        motions.extend(kept);
        expected.row_counts.insert((*key).to_owned(), row_counts(content, (motions.len() - before) as u64));
    }
    expected.accelerometer_trusted = motions.iter().map(|motion| motion_row(motion)).collect();

    // customer_curated: customers of customer_trusted with at least one row in accelerometer_trusted.
    let curated: BTreeMap<&str, &Record> = trusted
        .iter()
        .filter(|(name, _)| motions.iter().any(|motion| motion.name == **name))
        .map(|(name, record)| (*name, *record))
        .collect();
    expected.customer_curated = curated.values().map(|record| row(record)).collect();

    // step_trainer_trusted: readings of devices of curated customers; the owner with the latest record counts.
    let mut steps: Vec<(&Step, &Record)> = Vec::new();
    for (key, content) in files {
        let before = steps.len();
        for line in content.lines() {
            let Line::Step(step) = line else { continue };
            let mut owner: Option<&Record> = None;
            for record in curated.values().copied().filter(|record| record.device == Some(step.device)) {
                if owner.is_none_or(|owner| beats(record, owner)) {
                    owner = Some(record);
                }
            }
            if let Some(owner) = owner.filter(|owner| counts(owner, step.time)) {
                steps.push((step, owner));
            }
        }
        if let Some(RowCounts { kept: Some(kept), .. }) = expected.row_counts.get_mut(*key) {
            *kept += (steps.len() - before) as u64;
        }
    }
    expected.step_trainer_trusted = steps.iter().map(|(step, owner)| step_row(step, owner)).collect();

    // machine_learning_curated: distinct pairs of one instant, without the personal columns.
    let mut pairs = BTreeMap::new();
    for (step, owner) in &steps {
        for motion in motions.iter().filter(|motion| motion.time == step.time) {
            pairs.insert((step_row(step, owner), motion_row(motion)), training_row(step, owner, motion));
        }
    }
    expected.machine_learning_curated = pairs.into_values().collect();

    for rows in expected.all_mut() {
        rows.sort();
    }
    expected
}

fn motion_row(motion: &Motion) -> String {
    let Motion { name, time, number } = motion;
    format!("{} {} {} {number} -0.5 0.25", partition(*time), email(name), MIDNIGHT_MS + time)
}

fn step_row(step: &Step, owner: &Record) -> String {
    let Step { device, time, number } = step;
    format!("{} {} {} {number} {}", partition(*time), MIDNIGHT_MS + time, serial(*device), owner.email())
}

fn training_row(step: &Step, owner: &Record, motion: &Motion) -> String {
    let same = owner.name == motion.name;
    let time = step.time;
    format!("{} {} {} {} -0.5 0.25 {same}", partition(time), MIDNIGHT_MS + time, step.number, motion.number)
}

fn row_counts(content: &Content, kept: u64) -> RowCounts {
    let lines = content.lines();
    let broken = lines.iter().filter(|line| matches!(line, Line::Broken(_))).count() as u64;
    let is_customers = lines.iter().any(|line| matches!(line, Line::Customer(_)));
    match content {
        Content::Damaged => RowCounts { rows: 1, quarantined: 1, kept: Some(0) },
        Content::Lines(_) => {
            RowCounts { rows: lines.len() as u64, quarantined: broken, kept: (!is_customers).then_some(kept) }
        }
    }
}

impl Expected {
    /// The tables in the order of the flow.
    pub fn all(&self) -> [&Vec<String>; 5] {
        [
            &self.customer_trusted,
            &self.accelerometer_trusted,
            &self.customer_curated,
            &self.step_trainer_trusted,
            &self.machine_learning_curated,
        ]
    }

    fn all_mut(&mut self) -> [&mut Vec<String>; 5] {
        [
            &mut self.customer_trusted,
            &mut self.accelerometer_trusted,
            &mut self.customer_curated,
            &mut self.step_trainer_trusted,
            &mut self.machine_learning_curated,
        ]
    }
}
