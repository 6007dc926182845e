//! The rows of up to 956 customers on one day, like those of the reference data.
//!
//! A customer trains for some minutes, at 30 moments. At each moment the step trainer gives one reading and the phone one to
//! three. Some customers train with a partner, and share half of their moments to the millisecond. These give the rows of
//! machine_learning_curated whose readings are of two customers.

use fastrand::Rng;

use crate::people::Person;
use crate::record::{Record, Source, Value};

/// The number of customers in the reference data.
pub(crate) const CUSTOMERS_MAX: usize = 956;
/// The number of step trainer readings of each customer.
const MOMENTS: usize = 30;
/// 2024-03-09 06:38 UTC. The 45 minutes of readings cross the end of an hour.
const BEGIN_MS: i64 = 1_709_966_280_000;
const SPAN_MS: i64 = 45 * 60 * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A customer's record.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    person: Person,
    registration_ms: i64,
    last_update_ms: i64,
    research_ms: Option<i64>,
    public_ms: Option<i64>,
    friends_ms: Option<i64>,
}

#[derive(Debug, Clone)]
struct Motion {
    customer: usize,
    time_ms: i64,
    axes: [f64; 3],
}

#[derive(Debug, Clone)]
struct Step {
    customer: usize,
    time_ms: i64,
    distance: i64,
}

/// Customers and their readings, in the order in which the files have them.
#[derive(Debug)]
pub(crate) struct Cohort {
    seed: u64,
    number: usize,
    customers: Vec<Customer>,
    motions: Vec<Motion>,
    steps: Vec<Step>,
}

impl Cohort {
    /// Generates the cohort of this number, with `size` customers that are numbered from `first`.
    pub(crate) fn new(seed: u64, number: usize, first: usize, size: usize) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number as u64));
        let mut sessions: Vec<Vec<i64>> = Vec::with_capacity(size);
        let mut customers = Vec::with_capacity(size);
        let (mut motion_runs, mut step_runs) = (Vec::new(), Vec::new());
        for index in 0..size {
            let partner = (index > 0 && rng.u8(..8) == 0).then(|| rng.usize(..index));
            let session = match partner {
                Some(partner) => together(&sessions[partner], &mut rng),
                None => alone(BEGIN_MS + number as i64 * DAY_MS, &mut rng),
            };
            customers.push(Customer::new(first + index, index % 2 == 0, &session, &mut rng));
            // One in 64 customers has not installed the application, and has steps without motion.
            if rng.u8(..64) != 0 {
                let finer = rng.u8(..8) == 0;
                for run in runs(&session, &mut rng) {
                    motion_runs.push(run.iter().flat_map(|time| motions(index, *time, finer, &mut rng)).collect());
                }
            }
            for run in runs(&session, &mut rng) {
                let step = |time: &i64| Step { customer: index, time_ms: *time, distance: rng.i64(201..=300) };
                step_runs.push(run.iter().map(step).collect());
            }
            sessions.push(session);
        }
        let (motions, steps) = (interleaved(motion_runs, &mut rng), interleaved(step_runs, &mut rng));
        Self { seed, number, customers, motions, steps }
    }

    /// Returns the seed of all random choices.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the rows of one kind.
    pub(crate) fn records(&self, source: Source) -> Vec<Record<'_>> {
        match source {
            Source::Customer => self.customers.iter().map(Customer::record).collect(),
            Source::Accelerometer => self.motions.iter().map(|motion| self.motion_record(motion)).collect(),
            Source::StepTrainer => self.steps.iter().map(|step| self.step_record(step)).collect(),
        }
    }

    /// Returns the name of a file without its extension: `accelerometer-1709972680003-seed1-customers956`.
    ///
    /// The time, the seed and the number of customers determine the content of a clean file, so no other file has its name.
    pub(crate) fn file_name(&self, source: Source, index: usize) -> String {
        // The times of the upload, in the two hours after the last reading: customers, then phones, then step trainers.
        let kind = source as i64;
        let uploaded_ms = BEGIN_MS + self.number as i64 * DAY_MS + 2 * SPAN_MS + kind * 1_000_003 + index as i64 * 53;
        format!("{}-{uploaded_ms}-seed{}-customers{}", source.folder(), self.seed, self.customers.len())
    }

    fn motion_record(&self, motion: &Motion) -> Record<'_> {
        Record(vec![
            ("user", Value::Text(&self.customers[motion.customer].person.email)),
            ("timestamp", Value::Integer(motion.time_ms)),
            ("x", Value::Double(motion.axes[0])),
            ("y", Value::Double(motion.axes[1])),
            ("z", Value::Double(motion.axes[2])),
        ])
    }

    fn step_record(&self, step: &Step) -> Record<'_> {
        Record(vec![
            ("sensorReadingTime", Value::Integer(step.time_ms)),
            ("serialNumber", Value::Text(&self.customers[step.customer].person.serial_number)),
            ("distanceFromObject", Value::Integer(step.distance)),
        ])
    }
}

impl Customer {
    fn new(number: usize, consents: bool, session: &[i64], rng: &mut Rng) -> Self {
        let (begin, end) = (session[0], session[session.len() - 1]);
        // Customers register at about the start of the training. One in 25 registers after its end, so that all readings are
        // earlier than the consent.
        let registration_ms =
            if rng.u8(..25) == 0 { end + rng.i64(1..9000) } else { begin + rng.i64(-10_000..(end - begin) / 2) };
        let updated = rng.u8(..20) == 0;
        let last_update_ms = if updated { registration_ms + rng.i64(1000..30_000) } else { registration_ms };
        Self {
            person: Person::new(number, rng),
            registration_ms,
            last_update_ms,
            research_ms: consents.then_some(last_update_ms),
            public_ms: (rng.u8(..3) == 0).then_some(last_update_ms),
            friends_ms: (rng.u8(..3) == 0).then_some(last_update_ms),
        }
    }

    fn record(&self) -> Record<'_> {
        let date = |date: Option<i64>| date.map_or(Value::Absent, Value::Integer);
        Record(vec![
            ("customerName", Value::Text(&self.person.name)),
            ("email", Value::Text(&self.person.email)),
            ("phone", self.person.phone.as_deref().map_or(Value::Absent, Value::Text)),
            ("birthDay", Value::Text(&self.person.birth_day)),
            ("serialNumber", Value::Text(&self.person.serial_number)),
            ("registrationDate", Value::Integer(self.registration_ms)),
            ("lastUpdateDate", Value::Integer(self.last_update_ms)),
            ("shareWithResearchAsOfDate", date(self.research_ms)),
            ("shareWithPublicAsOfDate", date(self.public_ms)),
            ("shareWithFriendsAsOfDate", date(self.friends_ms)),
        ])
    }
}

/// Returns ascending moments. The distance between two is a multiple of the customer's pace.
fn alone(begin_ms: i64, rng: &mut Rng) -> Vec<i64> {
    let pace_ms = rng.i64(3000..4200);
    let mut moments = Vec::with_capacity(MOMENTS);
    let mut moment = 0;
    for _ in 0..MOMENTS {
        moments.push(moment);
        moment += pace_ms * rng.i64(1..=5);
    }
    let begin_ms = begin_ms + rng.i64(0..SPAN_MS - moment);
    moments.iter().map(|moment| begin_ms + moment).collect()
}

/// Returns the partner's moments: half of them exactly, the others a little later.
fn together(partner: &[i64], rng: &mut Rng) -> Vec<i64> {
    partner.iter().map(|moment| if rng.bool() { *moment } else { moment + rng.i64(1..200) }).collect()
}

/// Returns one to three different readings of a phone at one moment. Most phones measure only -1, 0 and 1.
fn motions(customer: usize, time_ms: i64, finer: bool, rng: &mut Rng) -> Vec<Motion> {
    let count = match rng.u8(..100) {
        0 => 1,
        1..=10 => 2,
        _ => 3,
    };
    let mut readings: Vec<Motion> = Vec::with_capacity(count);
    while readings.len() < count {
        let axes =
            [0; 3].map(|_| if finer { rng.i32(-20_000_000..20_000_000) as f64 / 1e6 } else { rng.i8(-1..=1).into() });
        if readings.iter().all(|earlier| earlier.axes != axes) {
            readings.push(Motion { customer, time_ms, axes });
        }
    }
    readings
}

/// Splits a session into runs of up to ten moments: one upload of a device, with the newest reading first.
fn runs(session: &[i64], rng: &mut Rng) -> Vec<Vec<i64>> {
    let mut runs = Vec::new();
    let mut rest = session;
    while !rest.is_empty() {
        let (run, later) = rest.split_at(rng.usize(1..=10).min(rest.len()));
        runs.push(run.iter().rev().copied().collect());
        rest = later;
    }
    runs
}

/// Shuffles the uploads of all devices into one sequence.
fn interleaved<T>(mut runs: Vec<Vec<T>>, rng: &mut Rng) -> Vec<T> {
    rng.shuffle(&mut runs);
    runs.into_iter().flatten().collect()
}
