//! Draws a scenario from a seed.
//!
//! It is small on purpose: few people, files and instants, so that many of them collide.

use super::{
    Content, Line, MIDNIGHT_MS, Motion, Record, Research, SPELLINGS, START_MS, Scenario, Spoiled, Step, Upload,
};
use fastrand::Rng;
use model::lake_config::{ConsentPolicy, Pairs};
use model::slice::SlicesPerHour;
use std::collections::BTreeMap;

const NAMES: [&str; 5] = ["ann", "bob", "eve", "dan", "zoé"];
const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// The latest date that the first uploads of a run may have.
const LATEST: i64 = START_MS + 24 * HOUR;
/// The times of readings: in three hours, one of them on another day.
const INSTANTS: [i64; 6] =
    [14 * HOUR, 14 * HOUR + SECOND, 15 * HOUR, 15 * HOUR + SECOND, 24 * HOUR + SECOND, 24 * HOUR + 2 * SECOND];
/// Lines that are rejected, each by itself.
const BROKEN: [&str; 5] = [
    "not json",
    "42",
    r#"{"user":"ann@example.com","timestamp":"noon","x":1,"y":2,"z":3}"#,
    r#"{"email":["eve@example.com"],"registrationDate":1655510400000}"#,
    r#"{"nothing":"known"}"#,
];
/// So many keys that the index stores them in a segment instead of one by one.
const STRANGERS: usize = 70;

impl Scenario {
    /// The scenario of a seed.
    pub fn draw(rng: &mut Rng) -> Self {
        let policy = if rng.bool() { ConsentPolicy::Ever } else { ConsentPolicy::AtReading };
        let customer_shards = *pick(rng, &[1, 2, 3, 16]);
        let mut drawing = Drawing::new(rng);
        let phases = (0..drawing.rng.usize(1..=3)).map(|phase| drawing.phase(phase)).collect();
        let small_index = rng.bool();
        let pairs = if rng.bool() { Pairs::SameInstant } else { Pairs::SameCustomer };
        let slices_per_hour = SlicesPerHour::try_from(*pick(rng, &[1, 1, 4, 3600])).unwrap_or_default();
        Self { policy, pairs, slices_per_hour, customer_shards, small_index, phases }
    }
}

struct Drawing<'a> {
    rng: &'a mut Rng,
    /// The people, and whether they ever consent.
    people: Vec<(&'static str, bool)>,
    devices: u8,
    keys: Vec<String>,
    /// The current lines of each file.
    files: BTreeMap<String, Vec<Line>>,
    /// All versions of each file.
    earlier: BTreeMap<String, Vec<Vec<Line>>>,
    /// The number of the last reading.
    number: i32,
    /// The last date that a change of consent had.
    changed: i64,
}

impl<'a> Drawing<'a> {
    fn new(rng: &'a mut Rng) -> Self {
        let mut people: Vec<_> = NAMES.into_iter().map(|name| (name, rng.u8(..4) > 0)).collect();
        rng.shuffle(&mut people);
        people.truncate(rng.usize(1..=4));
        let devices = people.len() as u8;
        let mut keys = Vec::new();
        for (source, most) in [("customer", 3), ("accelerometer", 3), ("step_trainer", 2)] {
            keys.extend((1..=rng.usize(1..=most)).map(|i| format!("{source}/landing/{source}-{i}.json")));
        }
        Self { rng, people, devices, keys, files: BTreeMap::new(), earlier: BTreeMap::new(), number: 0, changed: 0 }
    }

    fn phase(&mut self, phase: usize) -> Vec<Upload> {
        // All at once, in quick succession, or over minutes.
        let within_ms = *pick(self.rng, &[1, 50, 2_000, 60_000, 600_000]);
        let mut uploads = Vec::new();
        if phase == 0 {
            // Each kind of file occurs at least once.
            for source in ["customer", "accelerometer", "step_trainer"] {
                let key = format!("{source}/landing/{source}-1.json");
                uploads.push(self.upload(key, within_ms));
            }
        }
        for _ in 0..self.rng.usize(1..=5) {
            let key = self.key();
            let upload = self.upload(key.clone(), within_ms);
            let at_ms = upload.at_ms;
            uploads.push(upload);
            match self.rng.u8(..6) {
                // Two versions in quick succession.
                0 => {
                    let next = self.upload(key, 1);
                    uploads.push(Upload { at_ms: at_ms + self.rng.u64(1..=20), ..next });
                }
                // Back to the version before, perhaps while a function still works on the change.
                1..=2 => {
                    if let Some(lines) = self.previous_version(&key) {
                        let at_ms = at_ms + *pick(self.rng, &[200, 60_000]);
                        uploads.push(Upload { at_ms, key, content: Content::Lines(lines) });
                    }
                }
                _ => {}
            }
        }
        uploads
    }

    /// Draws a key. Customer files are as frequent as both kinds of readings, because everything depends on consent.
    fn key(&mut self) -> String {
        let customers = self.rng.bool();
        let keys: Vec<&String> = self.keys.iter().filter(|key| key.starts_with("customer") == customers).collect();
        (*pick(self.rng, &keys)).clone()
    }

    fn upload(&mut self, key: String, within_ms: u64) -> Upload {
        let at_ms = self.rng.u64(0..within_ms);
        if self.rng.u8(..50) == 0 {
            return Upload { at_ms, key, content: Content::Damaged };
        }
        let lines = match self.rng.u8(..6) {
            0 => self.earlier_version(&key),
            1..=2 => self.changed_consent(&key),
            _ => None,
        };
        let lines = lines.unwrap_or_else(|| self.lines(&key));
        self.files.insert(key.clone(), lines.clone());
        self.earlier.entry(key.clone()).or_default().push(lines.clone());
        Upload { at_ms, key, content: Content::Lines(lines) }
    }

    /// Some earlier version of the file.
    fn earlier_version(&mut self, key: &str) -> Option<Vec<Line>> {
        self.earlier.get(key).map(|versions| pick(self.rng, versions).clone())
    }

    /// The version before the last one.
    fn previous_version(&mut self, key: &str) -> Option<Vec<Line>> {
        let versions = self.earlier.get_mut(key)?;
        let lines = versions.get(versions.len().checked_sub(2)?)?.clone();
        versions.push(lines.clone());
        self.files.insert(key.to_owned(), lines.clone());
        Some(lines)
    }

    /// The same customers, one of them with changed consent.
    fn changed_consent(&mut self, key: &str) -> Option<Vec<Line>> {
        let mut lines = self.files.get(key)?.clone();
        let records = lines.iter_mut().filter_map(|line| match line {
            Line::Customer(record) => Some(record),
            _ => None,
        });
        let mut records: Vec<&mut Record> = records.collect();
        if records.is_empty() {
            return None;
        }
        let chosen = self.rng.usize(..records.len());
        let record = &mut *records[chosen];
        let consents = self.people.iter().any(|(name, consents)| *name == record.name && *consents);
        record.research = match record.research {
            Research::Since(_) => Research::Absent,
            _ if consents => Research::Since(-24 * HOUR),
            other => other,
        };
        // At the same date, later, or after all other changes, so that a customer may consent again.
        // A minute after 0 is in 1970, which is not a valid date.
        let before = record.updated.filter(|updated| *updated != -MIDNIGHT_MS).unwrap_or_default();
        let date = *pick(self.rng, &[before, before + MINUTE, self.changed.max(before) + MINUTE]);
        self.changed = self.changed.max(date);
        record.updated = Some(date);
        Some(lines)
    }

    fn lines(&mut self, key: &str) -> Vec<Line> {
        let mut lines = match self.files.get(key) {
            // A correction of the current lines.
            Some(before) if self.rng.bool() => {
                let mut lines = before.clone();
                if !lines.is_empty() && self.rng.u8(..3) > 0 {
                    lines.swap_remove(self.rng.usize(..lines.len()));
                }
                lines
            }
            _ => Vec::new(),
        };
        if self.rng.u8(..12) > 0 {
            let most = if key.starts_with("customer") { self.people.len() } else { 4 };
            for _ in 0..self.rng.usize(1..=most) {
                let line = self.line(key);
                lines.push(line);
            }
        }
        if self.rng.u8(..8) == 0 {
            lines.push(Line::Broken((*pick(self.rng, &BROKEN)).to_owned()));
        }
        if self.rng.u8(..30) == 0 && key.starts_with("accelerometer") {
            for stranger in 0..STRANGERS {
                let motion = self.motion(format!("stranger-{stranger}"));
                lines.push(Line::Motion(motion));
            }
        }
        self.rng.shuffle(&mut lines);
        lines
    }

    fn line(&mut self, key: &str) -> Line {
        if self.rng.u8(..8) == 0
            && let Some(line) = self.line_of_another_file(key)
        {
            return line;
        }
        let (name, consents) = *pick(self.rng, &self.people);
        if key.starts_with("customer") {
            Line::Customer(self.record(name, consents))
        } else if key.starts_with("accelerometer") {
            Line::Motion(self.motion(name.to_owned()))
        } else {
            let device = self.rng.u8(..self.devices);
            let spelling = self.spelling();
            Line::Step(Step { device, spelling, time: *pick(self.rng, &INSTANTS), number: self.next_number() })
        }
    }

    /// A line that occurs already, in this file or in another one of its kind.
    fn line_of_another_file(&mut self, key: &str) -> Option<Line> {
        let kind = key.split('/').next()?;
        let lines: Vec<&Line> =
            self.files.iter().filter(|(key, _)| key.starts_with(kind)).flat_map(|(_, l)| l).collect();
        (!lines.is_empty()).then(|| (*pick(self.rng, &lines)).clone())
    }

    fn record(&mut self, name: &str, consents: bool) -> Record {
        let rng = &mut *self.rng;
        let research = match rng.u8(..10) {
            0..=1 => Research::Absent,
            2 => Research::Null,
            3 => Research::Zero,
            _ if !consents => Research::Absent,
            4..=6 => Research::Since(-24 * HOUR),
            7..=8 => Research::Since(*pick(rng, &INSTANTS)),
            _ => Research::Since(*pick(rng, &[48 * HOUR, 48 * HOUR, LATEST, LATEST + MINUTE])),
        };
        let home = NAMES.iter().position(|other| *other == name).unwrap_or_default() as u8 % self.devices;
        let device = match rng.u8(..12) {
            0 => None,
            1..=3 => Some(rng.u8(..self.devices)),
            _ => Some(home),
        };
        // Few dates, so that two records often have the same.
        let date = |rng: &mut Rng| match rng.u8(..40) {
            // 0, which a withdrawal ignores.
            0 => -MIDNIGHT_MS,
            // When files are stored, or as late as it may be, or later.
            1..=2 => *pick(rng, &[START_MS, START_MS + MINUTE, START_MS + HOUR, LATEST, LATEST + MINUTE]),
            _ => MINUTE * rng.i64(0..5),
        };
        let mut record = Record {
            name: name.to_owned(),
            spelling: 0,
            phone: rng.u8(..2),
            device,
            registered: (rng.u8(..10) > 0).then(|| date(rng)),
            updated: (rng.u8(..8) > 0).then(|| date(rng)),
            research,
            spoiled: None,
        };
        // Most records are as they should be.
        match rng.u8(..24) {
            0..=1 => record.spelling = rng.u8(..SPELLINGS),
            2 => record.research = *pick(rng, &Research::RARE),
            3 => record.spoiled = Some(*pick(rng, &Spoiled::ALL)),
            _ => {}
        }
        record
    }

    fn motion(&mut self, name: String) -> Motion {
        Motion { name, spelling: self.spelling(), time: *pick(self.rng, &INSTANTS), number: self.next_number() }
    }

    /// Most readings are spelled as they should be.
    fn spelling(&mut self) -> u8 {
        if self.rng.u8(..8) == 0 { self.rng.u8(..SPELLINGS) } else { 0 }
    }

    fn next_number(&mut self) -> i32 {
        self.number += 1;
        self.number
    }
}

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}
