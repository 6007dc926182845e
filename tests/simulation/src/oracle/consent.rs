//! What customer records say about consent and devices: the rules, implemented a second time.

use crate::scenario::{AHEAD_MS, Files, Line, MIDNIGHT_MS, Record, Research, Spoiled, email, serial};
use model::consent::ConsentHistory;
use model::hash::{HashKey, KeyHash};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A record may be dated so much later than its file was stored.
const DAY_MS: i64 = 24 * 3_600_000;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// The customer consents.
    Grant {
        /// The record's own date.
        date_ms: i64,
    },
    /// The customer does not consent.
    Withdrawal {
        /// The record's own date, or when its file was stored.
        date_ms: i64,
        /// Whether the record is valid in every field.
        is_valid: bool,
    },
    /// The consent cannot be read, or is in the future.
    Suspension,
    /// The record is rejected and has no effect.
    Nothing,
}

impl Statement {
    /// The statement of a record in a file that was stored at this time.
    pub fn of(record: &Record, stored_ms: i64) -> Self {
        if record.spoiled == Some(Spoiled::EmailTwice) {
            return Self::Nothing;
        }
        let is_ahead = |date_ms: i64| date_ms > stored_ms + DAY_MS;
        // None: the record has no date, or it cannot be read.
        let date = match record.spoiled {
            Some(Spoiled::UpdatedText | Spoiled::UpdatedSeconds) => None,
            Some(Spoiled::UpdatedAhead) => Some(AHEAD_MS),
            Some(Spoiled::RegisteredText) => record.updated.map(|ms| MIDNIGHT_MS + ms),
            _ => record.updated.or(record.registered).map(|ms| MIDNIGHT_MS + ms),
        };
        let is_valid = record.spoiled.is_none() && !date.is_some_and(is_ahead);
        match consent(record) {
            Consent::Unreadable => Self::Suspension,
            Consent::Since(since_ms) if is_ahead(since_ms) => Self::Suspension,
            Consent::Since(_) => match date {
                Some(date_ms) if is_valid => Self::Grant { date_ms },
                _ => Self::Nothing,
            },
            Consent::None => {
                let own = date.filter(|date_ms| *date_ms != 0 && !is_ahead(*date_ms));
                Self::Withdrawal { date_ms: own.unwrap_or(stored_ms), is_valid }
            }
        }
    }

    /// Whether the record is not rejected.
    pub fn is_valid(self) -> bool {
        matches!(self, Self::Grant { .. } | Self::Withdrawal { is_valid: true, .. })
    }

    /// The history of a customer whose only record this is.
    pub fn history(self, stored_ms: i64) -> ConsentHistory {
        ConsentHistory {
            withdrawn_at_ms: match self {
                Self::Withdrawal { date_ms, .. } => Some(date_ms),
                _ => None,
            },
            suspended_at_ms: (self == Self::Suspension).then_some(stored_ms),
            valid_seen_at_ms: self.is_valid().then_some(stored_ms),
        }
    }
}

enum Consent {
    None,
    Since(i64),
    Unreadable,
}

fn consent(record: &Record) -> Consent {
    match record.research {
        Research::Absent
        | Research::Null
        | Research::Zero
        | Research::ZeroText
        | Research::False
        | Research::Empty
        | Research::Blank => Consent::None,
        Research::Since(ms) => Consent::Since(MIDNIGHT_MS + ms),
        Research::Ahead => Consent::Since(AHEAD_MS),
        Research::Text | Research::Twice | Research::Seconds => Consent::Unreadable,
    }
}

/// The date of a grant's consent.
pub(super) fn since(grant: &Record) -> Option<i64> {
    match consent(grant) {
        Consent::Since(since_ms) => Some(since_ms),
        Consent::None | Consent::Unreadable => None,
    }
}

/// The columns that a grant has, by name.
pub(super) fn columns(grant: &Record) -> Map<String, Value> {
    let columns = [
        ("customername", Some(json!(grant.full_name()))),
        ("email", Some(json!(grant.email()))),
        ("phone", Some(json!(grant.phone()))),
        ("birthday", Some(json!(grant.birthday()))),
        ("serialnumber", grant.serial().map(|serial| json!(serial))),
        ("registrationdate", grant.registered.map(|ms| json!(MIDNIGHT_MS + ms))),
        ("lastupdatedate", grant.updated.map(|ms| json!(MIDNIGHT_MS + ms))),
        ("sharewithresearchasofdate", since(grant).map(|since_ms| json!(since_ms))),
    ];
    columns.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The greatest times of processed records, by the hash of the customer's identity.
pub type Histories = BTreeMap<KeyHash, ConsentHistory>;

/// A customer whom a current record names.
#[derive(Default)]
pub(super) struct Customer<'a> {
    /// What the current records say.
    pub(super) current: ConsentHistory,
    /// The grants among them, each with its date.
    grants: Vec<(i64, &'a Record)>,
    latest: Option<LatestRecord>,
}

/// A valid record or a withdrawal, in the order of records: the greatest is the latest. Of one date it is one without
/// consent; then, of grants, the one with the smaller JSON; then the one without a device or with the smaller hash of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LatestRecord {
    pub(super) date_ms: i64,
    json: Reverse<Option<String>>,
    device: Reverse<Option<KeyHash>>,
}

impl LatestRecord {
    /// The hash of the device that the record names.
    pub(super) fn device(&self) -> Option<KeyHash> {
        self.device.0
    }
}

/// The customers whom the current records name, by name.
pub(super) fn customers<'a>(files: &Files<'a>) -> BTreeMap<&'a str, Customer<'a>> {
    let mut customers: BTreeMap<&str, Customer<'_>> = BTreeMap::new();
    for version in files.values() {
        for line in version.content.lines() {
            let Line::Customer(record) = line else { continue };
            if record.spoiled == Some(Spoiled::EmailTwice) {
                continue;
            }
            let customer = customers.entry(&record.name).or_default();
            let statement = Statement::of(record, version.stored_ms);
            customer.current = greatest(customer.current, statement.history(version.stored_ms));
            let (date_ms, json) = match statement {
                Statement::Grant { date_ms } => {
                    customer.grants.push((date_ms, record));
                    (date_ms, Some(Value::from(columns(record)).to_string()))
                }
                Statement::Withdrawal { date_ms, .. } => (date_ms, None),
                Statement::Suspension | Statement::Nothing => continue,
            };
            let device = Reverse(record.device.map(|device| HashKey::public().of(&serial(device))));
            customer.latest = customer.latest.take().max(Some(LatestRecord { date_ms, json: Reverse(json), device }));
        }
    }
    customers
}

impl<'a> Customer<'a> {
    /// The grant that is in force, if the customer is eligible. `processed` is the history of all processed records.
    pub(super) fn grant_in_force(&self, processed: ConsentHistory) -> Option<&'a Record> {
        let ConsentHistory { withdrawn_at_ms, suspended_at_ms, valid_seen_at_ms } = greatest(processed, self.current);
        let is_suspended = match (suspended_at_ms, valid_seen_at_ms) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(suspended_ms), Some(seen_ms)) => seen_ms <= suspended_ms,
        };
        let later = self.grants.iter().filter(|(date_ms, _)| withdrawn_at_ms.is_none_or(|at_ms| *date_ms > at_ms));
        let latest =
            later.max_by_key(|(date_ms, record)| (*date_ms, Reverse(Value::from(columns(record)).to_string())));
        latest.filter(|_| !is_suspended).map(|(_, record)| *record)
    }

    /// The latest record.
    pub(super) fn latest(&self) -> Option<&LatestRecord> {
        self.latest.as_ref()
    }
}

/// The greatest times of both.
pub fn greatest(a: ConsentHistory, b: ConsentHistory) -> ConsentHistory {
    ConsentHistory {
        withdrawn_at_ms: a.withdrawn_at_ms.max(b.withdrawn_at_ms),
        suspended_at_ms: a.suspended_at_ms.max(b.suspended_at_ms),
        valid_seen_at_ms: a.valid_seen_at_ms.max(b.valid_seen_at_ms),
    }
}

/// The history of each customer by the current records, by name.
pub fn current_histories(files: &Files<'_>) -> BTreeMap<String, ConsentHistory> {
    customers(files).into_iter().map(|(name, customer)| (name.to_owned(), customer.current)).collect()
}

/// The hash of a customer's identity.
pub fn key_of(name: &str) -> KeyHash {
    HashKey::public().of(&email(name))
}
