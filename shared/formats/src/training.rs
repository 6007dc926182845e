//! The rows of `machine_learning_curated`: the join of steps and motions, without personal columns.

use crate::Corrupt;
use crate::columnar::{self, BATCH_ROWS, Decoder, Metadata, bigint_at, double_at, int_at, text_at};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow_schema::ArrowError;
use bytes::Bytes;
use model::lake_config::Pairs;
use model::table::Table;
use std::cmp::Ordering;
use std::sync::Arc;

const TABLE: Table = Table::MachineLearningCurated;

/// A row of the training table. It holds whether both readings are of one customer, and not which customer.
#[derive(Clone, Copy, Debug)]
pub struct TrainingRow {
    time_ms: i64,
    distance: i32,
    axes: [f64; 3],
    same_customer: bool,
}

#[derive(Clone, Copy)]
struct Step<'a> {
    time_ms: i64,
    distance: i32,
    serial: &'a str,
    user: &'a str,
}

impl<'a> Step<'a> {
    fn key(&self) -> (i64, &'a str) {
        (self.time_ms, self.user)
    }
}

#[derive(Clone, Copy)]
struct Motion<'a> {
    time_ms: i64,
    axes: [f64; 3],
    user: &'a str,
}

impl<'a> Motion<'a> {
    fn key(&self) -> (i64, &'a str) {
        (self.time_ms, self.user)
    }
}

/// Joins the rows of `step_trainer_trusted` and `accelerometer_trusted` that have the same time, and under
/// [`Pairs::SameCustomer`] the same user.
///
/// Duplicates are removed before the join, by all columns of each table. Without personal columns, two different pairs may
/// give two equal rows; both stay.
pub fn join(steps: &[RecordBatch], motions: &[RecordBatch], pairs: Pairs) -> Vec<TrainingRow> {
    // What both readings of a pair have in common. Both tables are sorted by it, so that only these pairs are made.
    let cmp_keys = |(a_ms, a_user): (i64, &str), (b_ms, b_user): (i64, &str)| {
        a_ms.cmp(&b_ms).then_with(|| match pairs {
            Pairs::SameInstant => Ordering::Equal,
            Pairs::SameCustomer => a_user.cmp(b_user),
        })
    };
    let steps = distinct(steps, step_at, |a, b| {
        cmp_keys(a.key(), b.key()).then_with(|| (a.distance, a.serial, a.user).cmp(&(b.distance, b.serial, b.user)))
    });
    let motions = distinct(motions, motion_at, |a, b| {
        cmp_keys(a.key(), b.key()).then_with(|| cmp_axes(&a.axes, &b.axes)).then_with(|| a.user.cmp(b.user))
    });
    let mut rows = Vec::new();
    let mut rest = motions.as_slice();
    for of_one_key in steps.chunk_by(|a, b| cmp_keys(a.key(), b.key()).is_eq()) {
        let key = of_one_key[0].key();
        let earlier = rest.iter().take_while(|motion| cmp_keys(motion.key(), key).is_lt()).count();
        rest = &rest[earlier..];
        let of_key = rest.iter().take_while(|motion| cmp_keys(motion.key(), key).is_eq()).count();
        let motions = &rest[..of_key];
        for step in of_one_key {
            rows.extend(motions.iter().map(|motion| TrainingRow {
                time_ms: step.time_ms,
                distance: step.distance,
                axes: motion.axes,
                same_customer: step.user == motion.user,
            }));
        }
    }
    // Sorts by the columns that are not personal, so that the order reveals nothing about the customers.
    for of_one_time in rows.chunk_by_mut(|a, b| a.time_ms == b.time_ms) {
        of_one_time.sort_unstable_by(|a, b| {
            (a.distance, a.same_customer).cmp(&(b.distance, b.same_customer)).then_with(|| cmp_axes(&a.axes, &b.axes))
        });
    }
    rows
}

fn distinct<'a, T>(
    batches: &'a [RecordBatch],
    at: fn(&'a RecordBatch, usize) -> T,
    cmp: impl Fn(&T, &T) -> Ordering,
) -> Vec<T> {
    let mut rows: Vec<T> =
        batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| at(batch, row))).collect();
    // A stable sort is fast here, because each file is sorted already.
    rows.sort_by(&cmp);
    rows.dedup_by(|a, b| cmp(a, b).is_eq());
    rows
}

/// Reads a row of `step_trainer_trusted`, whose columns have no nulls.
fn step_at(batch: &RecordBatch, row: usize) -> Step<'_> {
    Step {
        time_ms: bigint_at(batch, 0, row).unwrap_or_default(),
        serial: text_at(batch, 1, row).unwrap_or_default(),
        distance: int_at(batch, 2, row),
        user: text_at(batch, 3, row).unwrap_or_default(),
    }
}

/// Reads a row of `accelerometer_trusted`, whose columns have no nulls. Turns -0 into 0, because SQL treats them as equal.
fn motion_at(batch: &RecordBatch, row: usize) -> Motion<'_> {
    Motion {
        user: text_at(batch, 0, row).unwrap_or_default(),
        time_ms: bigint_at(batch, 1, row).unwrap_or_default(),
        axes: [2, 3, 4].map(|i| double_at(batch, i, row) + 0.0),
    }
}

fn cmp_axes(a: &[f64; 3], b: &[f64; 3]) -> Ordering {
    a[0].total_cmp(&b[0]).then_with(|| a[1].total_cmp(&b[1])).then_with(|| a[2].total_cmp(&b[2]))
}

/// What the footer of an object of the training table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrainingFrom {
    /// The version of the cell of `step_trainer_trusted` that it was computed from.
    pub step_trainer: Option<String>,
    /// The version of the cell of `accelerometer_trusted` that it was computed from.
    pub accelerometer: Option<String>,
    /// Whether the object has, or ever had, a row. Only then its partition is in the catalog.
    pub had_rows: bool,
}

const HAD_ROWS: &str = "had_rows";

impl TrainingFrom {
    /// Reads it from an object.
    pub fn of(object: Bytes) -> Result<Self, Corrupt> {
        let object = Decoder::new(object, TABLE.name())?;
        let version = |table: Table| object.metadata(table.name()).map(str::to_owned);
        Ok(Self {
            step_trainer: version(Table::StepTrainerTrusted),
            accelerometer: version(Table::AccelerometerTrusted),
            had_rows: object.rows() > 0 || object.metadata(HAD_ROWS).is_some(),
        })
    }
}

/// Writes the object that holds `rows`.
pub fn encode(rows: &[TrainingRow], from: &TrainingFrom) -> Result<Bytes, Corrupt> {
    let inputs = [(Table::StepTrainerTrusted, &from.step_trainer), (Table::AccelerometerTrusted, &from.accelerometer)];
    let mut metadata: Metadata =
        inputs.into_iter().filter_map(|(table, version)| Some((table.name().to_owned(), version.clone()?))).collect();
    if from.had_rows {
        metadata.insert(HAD_ROWS.to_owned(), String::new());
    }
    let encoded = columnar::encode(TABLE, "sensorreadingtime", rows.chunks(BATCH_ROWS).map(batch), &metadata);
    encoded.map_err(|error| Corrupt::new(TABLE.name(), error))
}

fn batch(rows: &[TrainingRow]) -> Result<RecordBatch, ArrowError> {
    let axis = |i: usize| -> ArrayRef { Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.axes[i]))) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.time_ms))),
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.distance))),
        axis(0),
        axis(1),
        axis(2),
        Arc::new(rows.iter().map(|r| Some(r.same_customer)).collect::<BooleanArray>()),
    ];
    columnar::batch(TABLE, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Accelerometer, EligibleReading, Reading, StepTrainer};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn steps(rows: &[(i64, &str, i32, &str)]) -> RecordBatch {
        let rows: Vec<_> = rows
            .iter()
            .map(|(time_ms, key, value, owner)| EligibleReading { key, owner, time_ms: *time_ms, value: *value })
            .collect();
        columnar::batch(Table::StepTrainerTrusted, StepTrainer::columns(&rows)).unwrap()
    }

    fn motions(rows: &[(&str, i64, f64)]) -> RecordBatch {
        let rows: Vec<_> = rows
            .iter()
            .map(|(key, time_ms, x)| EligibleReading { key, owner: key, time_ms: *time_ms, value: [*x, 0.0, 0.0] })
            .collect();
        columnar::batch(Table::AccelerometerTrusted, Accelerometer::columns(&rows)).unwrap()
    }

    type Joined = Vec<(i64, i32, f64, bool)>;

    fn joined_as(pairs: Pairs, s: &[(i64, &str, i32, &str)], m: &[(&str, i64, f64)]) -> Joined {
        let rows = join(&[steps(s)], &[motions(m)], pairs);
        rows.iter().map(|r| (r.time_ms, r.distance, r.axes[0], r.same_customer)).collect()
    }

    fn joined(s: &[(i64, &str, i32, &str)], m: &[(&str, i64, f64)]) -> Joined {
        joined_as(Pairs::SameInstant, s, m)
    }

    #[test]
    fn only_readings_of_the_same_time_are_joined() {
        assert_eq!(joined(&[(1, "s", 7, "a"), (3, "s", 8, "a")], &[("a", 2, 1.0), ("a", 3, 2.0)]), [(3, 8, 2.0, true)]);
    }

    #[test]
    fn the_motion_of_another_customer_sets_same_customer_to_false() {
        assert_eq!(
            joined(&[(1, "s", 7, "a")], &[("a", 1, 1.0), ("b", 1, 1.0)]),
            [(1, 7, 1.0, false), (1, 7, 1.0, true)]
        );
    }

    #[test]
    fn equal_pairs_count_once_and_different_pairs_with_equal_rows_both_stay() {
        assert_eq!(joined(&[(1, "s", 7, "a"), (1, "s", 7, "a")], &[("a", 1, 1.0), ("a", 1, 1.0)]), [(1, 7, 1.0, true)]);
        assert_eq!(joined(&[(1, "s", 7, "a"), (1, "t", 7, "b")], &[("c", 1, 1.0)]), [(1, 7, 1.0, false); 2]);
    }

    proptest! {
        // So few values that readings share times, and that there are duplicates.
        #[test]
        fn same_customer_gives_those_pairs_of_same_instant_that_are_of_one_customer(
            s in vec((0..4_i64, select(&["s", "t"]), 0..2, select(&["a", "b", "c"])), 0..20),
            m in vec((select(&["a", "b", "c"]), 0..4_i64, select(&[-1.0, 0.0, 1.0])), 0..20),
        ) {
            let mut expected = joined(&s, &m);
            expected.retain(|(.., same_customer)| *same_customer);
            prop_assert_eq!(joined_as(Pairs::SameCustomer, &s, &m), expected);
        }
    }

    #[test]
    fn order_of_rows_does_not_follow_the_customers() {
        let (s, m) = ([(1, "s", 8, "a"), (1, "t", 7, "b")], [("a", 1, 1.0), ("b", 1, 2.0)]);
        assert_eq!(joined_as(Pairs::SameCustomer, &s, &m), [(1, 7, 2.0, true), (1, 8, 1.0, true)]);
    }

    #[test]
    fn an_object_names_its_inputs_and_remembers_that_it_had_rows() {
        let rows = join(&[steps(&[(1, "s", 7, "a")])], &[motions(&[("a", 1, 1.5)])], Pairs::SameInstant);
        let from = TrainingFrom { step_trainer: Some("s".into()), accelerometer: None, had_rows: false };
        let of = |rows: &[TrainingRow], from| TrainingFrom::of(encode(rows, from).unwrap()).unwrap();
        assert_eq!(of(&[], &from), from);
        let had_rows = TrainingFrom { had_rows: true, ..from.clone() };
        assert_eq!((of(&rows, &from), of(&[], &had_rows)), (had_rows.clone(), had_rows));
        assert_eq!(encode(&rows, &from).unwrap(), encode(&rows, &from).unwrap());
    }
}
