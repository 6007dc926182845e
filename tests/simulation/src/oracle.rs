//! The definitions of the tables, implemented a second time: plain, slow, and without any code of the functions.
//!
//! It takes the lines of the landing files, not their bytes, and all files at once, as a nightly batch would.

mod consent;

pub use consent::{Histories, Statement, current_histories, greatest, key_of};

use crate::scenario::{Content, Files, Line, MIDNIGHT_MS, Motion, Record, Step, Version, serial};
use consent::{LatestRecord, columns, since};
use model::hash::HashKey;
use model::lake_config::{ConsentPolicy, LakeConfig, Pairs};
use serde_json::Value;
use std::cmp::Reverse;
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
    /// The names of the customers with a grant in force. No row of another customer may remain.
    pub eligible: BTreeSet<String>,
}

/// The row counts of one landing file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Records and rejected pieces.
    pub rows: u64,
    /// Rejected pieces.
    pub quarantined: u64,
    /// Rows of the file in the table. None for customer files: several may hold the record that counts.
    pub kept: Option<u64>,
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

/// The time of the latest reading that was processed, by the name of the customer.
pub type Latest = BTreeMap<String, i64>;

/// The tables over these landing files in a lake of this config. `histories` and `latest` have the times of all records and
/// readings that were processed, those of replaced files included.
pub fn tables(files: &Files<'_>, config: LakeConfig, histories: &Histories, latest: &Latest) -> Expected {
    let mut expected = Expected::default();

    // customer_trusted: the customers with a grant in force.
    let customers = consent::customers(files);
    let mut trusted: BTreeMap<&str, &Record> = BTreeMap::new();
    for (name, customer) in &customers {
        let processed = histories.get(&key_of(name)).copied().unwrap_or_default();
        trusted.extend(customer.grant_in_force(processed).map(|grant| (*name, grant)));
    }
    expected.customer_trusted = trusted.values().map(|grant| row(grant)).collect();
    expected.eligible = trusted.keys().map(|name| (*name).to_owned()).collect();

    // accelerometer_trusted: their readings; under at-reading only those at or after the consent.
    let counts_at = |owner: &Record, time_ms: i64| match config.consent_policy {
        ConsentPolicy::Ever => true,
        ConsentPolicy::AtReading => since(owner).is_some_and(|since| time_ms >= since),
    };
    let counts = |owner: &Record, time: i64| counts_at(owner, MIDNIGHT_MS + time);
    let mut motions: Vec<(&Motion, &Record)> = Vec::new();
    for (key, version) in files {
        let before = motions.len();
        for line in version.content.lines() {
            let Line::Motion(motion) = line else { continue };
            let owner = trusted.get(motion.name.as_str()).filter(|owner| counts(owner, motion.time));
            motions.extend(owner.map(|owner| (motion, *owner)));
        }
        expected.row_counts.insert((*key).to_owned(), row_counts(version, (motions.len() - before) as u64));
    }
    expected.accelerometer_trusted = motions.iter().map(|(motion, owner)| motion_row(motion, owner)).collect();

    // customer_curated: customers of customer_trusted who have, or once had, a reading that counts. A correction that takes
    // the reading away does not take the customer away.
    let curated: BTreeMap<&str, &Record> = trusted
        .iter()
        .filter(|(name, grant)| latest.get(**name).is_some_and(|latest_ms| counts_at(grant, *latest_ms)))
        .map(|(name, record)| (*name, *record))
        .collect();
    expected.customer_curated = curated.values().map(|record| row(record)).collect();

    // step_trainer_trusted: readings of devices whose owner is a curated customer.
    let owner_of = |device: u8| {
        let device = HashKey::public().of(&serial(device));
        // Of one date the customer without a grant in force, then the smaller hash.
        let order = |(name, latest): &(&str, &LatestRecord)| {
            (latest.date_ms, Reverse(trusted.contains_key(*name)), Reverse(key_of(name)))
        };
        let claims = customers.iter().filter_map(|(name, customer)| Some((*name, customer.latest()?)));
        claims.filter(|(_, latest)| latest.device() == Some(device)).max_by_key(order).map(|(name, _)| name)
    };
    let mut steps: Vec<(&Step, &Record)> = Vec::new();
    for (key, version) in files {
        let before = steps.len();
        for line in version.content.lines() {
            let Line::Step(step) = line else { continue };
            let owner = owner_of(step.device).and_then(|owner| curated.get(owner));
            steps.extend(owner.filter(|owner| counts(owner, step.time)).map(|owner| (step, *owner)));
        }
        if let Some(RowCounts { kept: Some(kept), .. }) = expected.row_counts.get_mut(*key) {
            *kept += (steps.len() - before) as u64;
        }
    }
    expected.step_trainer_trusted = steps.iter().map(|(step, owner)| step_row(step, owner)).collect();

    // machine_learning_curated: distinct pairs of one instant, without the personal columns; under same-customer only
    // those of one customer.
    let mut pairs = BTreeMap::new();
    for (step, owner) in &steps {
        for (motion, user) in motions.iter().filter(|(motion, _)| motion.time == step.time) {
            if config.pairs == Pairs::SameInstant || user.name == owner.name {
                pairs.insert((step_row(step, owner), motion_row(motion, user)), training_row(step, owner, motion));
            }
        }
    }
    expected.machine_learning_curated = pairs.into_values().collect();

    for rows in expected.all_mut() {
        rows.sort();
    }
    expected
}

fn motion_row(motion: &Motion, owner: &Record) -> String {
    let Motion { time, number, .. } = motion;
    format!("{} {} {} {number} -0.5 0.25", partition(*time), owner.email(), MIDNIGHT_MS + time)
}

fn step_row(step: &Step, owner: &Record) -> String {
    let Step { device, time, number, .. } = step;
    format!("{} {} {} {number} {}", partition(*time), MIDNIGHT_MS + time, serial(*device), owner.email())
}

fn training_row(step: &Step, owner: &Record, motion: &Motion) -> String {
    let same = owner.name == motion.name;
    let time = step.time;
    format!("{} {} {} {} -0.5 0.25 {same}", partition(time), MIDNIGHT_MS + time, step.number, motion.number)
}

fn row_counts(version: &Version<'_>, kept: u64) -> RowCounts {
    let Version { content: Content::Lines(lines), stored_ms } = version else {
        return RowCounts { rows: 1, quarantined: 1, kept: Some(0) };
    };
    let is_rejected = |line: &&Line| match line {
        Line::Broken(_) => true,
        Line::Customer(record) => !Statement::of(record, *stored_ms).is_valid(),
        Line::Motion(_) | Line::Step(_) => false,
    };
    let quarantined = lines.iter().filter(is_rejected).count() as u64;
    let is_customers = lines.iter().any(|line| matches!(line, Line::Customer(_)));
    RowCounts { rows: lines.len() as u64, quarantined, kept: (!is_customers).then_some(kept) }
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
