//! Readings: the two kinds (accelerometer and step trainer), and the readings of one landing file.

use crate::columnar;
use crate::landing::fields::{Fields, Rejection};
use crate::landing::{Collect, LayoutFields};
use arrow_array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use model::hash::{HashKey, KeyHash};
use model::identity;
use model::layout::Source;
use model::slice::{Slice, SlicesPerHour};
use model::table::Table;
use model::time::check_time;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// A kind of reading. A reading has a key (an email or a serial number), a time and a value.
pub trait Reading: 'static + Send + Sync {
    /// The measured value.
    type Value: Copy + Send + Sync + std::fmt::Debug;
    /// The kind of landing file that has such readings.
    const SOURCE: Source;
    /// The table of its eligible rows.
    const TRUSTED: Table;
    /// The fields of a record, spelled as in the landing table.
    const FIELDS: &'static [&'static str];
    /// The position of the key among the fields.
    const KEY: usize;
    /// The position of the time among the fields.
    const TIME: usize;

    /// Returns the identity of a key: of the customer, or of the device.
    fn identity(key: &str) -> Cow<'_, str>;

    /// Reads the value of a record.
    fn value(fields: &Fields<'_>) -> Result<Self::Value, Rejection>;

    /// Reads the value of a record of a known layout; `None` leaves the record to [`value`](Self::value).
    fn value_by_layout(fields: &LayoutFields<'_>) -> Option<Self::Value>;

    /// Compares two values. The order is total, so that rows have exactly one order.
    fn cmp_values(a: &Self::Value, b: &Self::Value) -> Ordering;

    /// Returns the columns of [`Self::TRUSTED`] for these rows.
    fn columns(rows: &[EligibleReading<'_, Self::Value>]) -> Vec<ArrayRef>;

    /// Returns a stored row of [`Self::TRUSTED`]. Its key may be spelled in another way than the identity.
    fn stored(batch: &RecordBatch, row: usize) -> EligibleReading<'_, Self::Value>;
}

/// A reading of a customer who is eligible: a row of [`Reading::TRUSTED`].
#[derive(Clone, Copy, Debug)]
pub struct EligibleReading<'a, V> {
    /// The identity of the customer or the device in the record.
    pub key: &'a str,
    /// The email of the customer to whom the reading belongs, as the customer's record spells it.
    pub owner: &'a str,
    /// The time of the reading.
    pub time_ms: i64,
    /// The measured value.
    pub value: V,
}

/// Readings of the phone app: x, y and z.
#[derive(Debug)]
pub struct Accelerometer;

impl Reading for Accelerometer {
    type Value = [f64; 3];
    const SOURCE: Source = Source::Accelerometer;
    const TRUSTED: Table = Table::AccelerometerTrusted;
    const FIELDS: &'static [&'static str] = &["user", "timestamp", "x", "y", "z"];
    const KEY: usize = 0;
    const TIME: usize = 1;

    fn identity(user: &str) -> Cow<'_, str> {
        identity::of_email(user)
    }

    fn value(fields: &Fields<'_>) -> Result<[f64; 3], Rejection> {
        Ok([fields.required_number(2)?, fields.required_number(3)?, fields.required_number(4)?])
    }

    fn value_by_layout(fields: &LayoutFields<'_>) -> Option<[f64; 3]> {
        Some([fields.decimal(2)?, fields.decimal(3)?, fields.decimal(4)?])
    }

    fn cmp_values(a: &[f64; 3], b: &[f64; 3]) -> Ordering {
        a[0].total_cmp(&b[0]).then_with(|| a[1].total_cmp(&b[1])).then_with(|| a[2].total_cmp(&b[2]))
    }

    fn columns(rows: &[EligibleReading<'_, [f64; 3]>]) -> Vec<ArrayRef> {
        let axis = |i: usize| -> ArrayRef { Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.value[i]))) };
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.owner))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.time_ms))),
            axis(0),
            axis(1),
            axis(2),
        ]
    }

    fn stored(batch: &RecordBatch, row: usize) -> EligibleReading<'_, [f64; 3]> {
        let user = columnar::text_at(batch, 0, row).unwrap_or_default();
        EligibleReading {
            key: user,
            owner: user,
            time_ms: columnar::bigint_at(batch, 1, row).unwrap_or_default(),
            value: [2, 3, 4].map(|i| columnar::double_at(batch, i, row)),
        }
    }
}

/// Readings of the step trainer's motion sensor: the distance of an object.
#[derive(Debug)]
pub struct StepTrainer;

impl Reading for StepTrainer {
    type Value = i32;
    const SOURCE: Source = Source::StepTrainer;
    const TRUSTED: Table = Table::StepTrainerTrusted;
    const FIELDS: &'static [&'static str] = &["sensorReadingTime", "serialNumber", "distanceFromObject"];
    const KEY: usize = 1;
    const TIME: usize = 0;

    fn identity(serial_number: &str) -> Cow<'_, str> {
        Cow::Borrowed(identity::of_serial_number(serial_number))
    }

    fn value(fields: &Fields<'_>) -> Result<i32, Rejection> {
        fields.required_int(2)
    }

    fn value_by_layout(fields: &LayoutFields<'_>) -> Option<i32> {
        fields.integer(2)?.try_into().ok()
    }

    fn cmp_values(a: &i32, b: &i32) -> Ordering {
        a.cmp(b)
    }

    fn columns(rows: &[EligibleReading<'_, i32>]) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.time_ms))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.key))),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.value))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.owner))),
        ]
    }

    fn stored(batch: &RecordBatch, row: usize) -> EligibleReading<'_, i32> {
        EligibleReading {
            key: columnar::text_at(batch, 1, row).unwrap_or_default(),
            owner: columnar::text_at(batch, 3, row).unwrap_or_default(),
            time_ms: columnar::bigint_at(batch, 0, row).unwrap_or_default(),
            value: columnar::int_at(batch, 2, row),
        }
    }
}

/// The readings of one landing file, sorted by time, key and value. So the order of the file's lines makes no difference.
#[derive(Debug)]
pub struct Readings<R: Reading> {
    keys: Vec<Key>,
    rows: Vec<Row<R::Value>>,
}

/// A customer or device that occurs in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its identity.
    pub text: String,
    /// Its hash.
    pub hash: KeyHash,
}

/// A reading of a file.
#[derive(Clone, Copy, Debug)]
pub struct Row<V> {
    /// The time of the reading.
    pub time_ms: i64,
    /// The position of its key among the file's keys.
    pub key: u32,
    /// The measured value.
    pub value: V,
}

impl<R: Reading> Readings<R> {
    /// Returns the keys of the file, sorted.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Returns the readings, sorted.
    pub fn rows(&self) -> &[Row<R::Value>] {
        &self.rows
    }

    /// Returns the slices in which the file has readings, each with the range of its rows.
    pub fn slices(&self, count: SlicesPerHour) -> Vec<(Slice, Range<usize>)> {
        let mut slices = Vec::new();
        let mut start = 0;
        while let Some(row) = self.rows.get(start) {
            let slice = count.slice_of(row.time_ms);
            let end_ms = count.times_of(slice).end;
            let end = start + self.rows[start..].partition_point(|row| row.time_ms < end_ms);
            slices.push((slice, start..end));
            start = end;
        }
        slices
    }

    /// Returns the readings at these times.
    pub fn at(&self, times_ms: Range<i64>) -> &[Row<R::Value>] {
        let start = self.rows.partition_point(|row| row.time_ms < times_ms.start);
        let count = self.rows[start..].partition_point(|row| row.time_ms < times_ms.end);
        &self.rows[start..start + count]
    }

    /// Returns the time of the latest reading of each key.
    pub fn latest_ms(&self) -> impl Iterator<Item = (KeyHash, i64)> {
        // Rows are sorted by time, so the last one of a key is the latest. Each key has a row.
        let mut latest_ms = vec![None; self.keys.len()];
        self.rows.iter().for_each(|row| latest_ms[row.key as usize] = Some(row.time_ms));
        self.keys.iter().zip(latest_ms).filter_map(|(key, latest_ms)| Some((key.hash, latest_ms?)))
    }

    /// Removes the readings that `keep` refuses, by key and time. The keys stay.
    pub fn retain(&mut self, keep: impl Fn(KeyHash, i64) -> bool) {
        let keys = &self.keys;
        self.rows.retain(|row| keep(keys[row.key as usize].hash, row.time_ms));
        self.rows.shrink_to_fit();
    }
}

/// About how much memory a key of a file takes without its text: its hash, and its entries in maps.
const KEY_BYTES: usize = 200;
/// How often a function holds the text of a key.
const TEXT_COPIES: usize = 4;

/// Collects the readings of a file, record by record.
#[derive(Debug)]
pub struct ReadingsCollector<R: Reading> {
    /// For each key its position in the order of first occurrence.
    positions: HashMap<String, u32>,
    /// The last key and its position. Readings of one device mostly follow each other, and then need no lookup.
    last: Option<(String, u32)>,
    rows: Vec<Row<R::Value>>,
    /// About how much memory the keys take.
    keys_bytes: usize,
}

impl<R: Reading> Default for ReadingsCollector<R> {
    fn default() -> Self {
        Self { positions: HashMap::default(), last: None, rows: Vec::new(), keys_bytes: 0 }
    }
}

impl<R: Reading> ReadingsCollector<R> {
    /// Adds a reading.
    pub fn add(&mut self, key: &str, time_ms: i64, value: R::Value) {
        let position = match &self.last {
            Some((last, position)) if last == key => *position,
            _ => self.position(key),
        };
        self.rows.push(Row { time_ms, key: position, value });
    }

    fn position(&mut self, key: &str) -> u32 {
        let position = self.positions.get(key).copied().unwrap_or_else(|| {
            // A file has fewer keys than bytes, and at most 2^30 bytes.
            let position = self.positions.len() as u32;
            self.positions.insert(key.to_owned(), position);
            self.keys_bytes += KEY_BYTES + TEXT_COPIES * key.len();
            position
        });
        self.last = Some((key.to_owned(), position));
        position
    }

    /// Whether the readings are in more than so many slices.
    pub fn are_in_more_slices_than(&self, slices_max: usize, count: SlicesPerHour) -> bool {
        let (mut slices, mut last) = (BTreeSet::new(), 0..0);
        self.rows.iter().any(|row| {
            if last.contains(&row.time_ms) {
                return false;
            }
            let slice = count.slice_of(row.time_ms);
            last = count.times_of(slice);
            slices.insert(slice) && slices.len() > slices_max
        })
    }

    /// Sorts the collected keys and readings, and hashes the keys.
    pub fn finish(self, hash_key: &HashKey) -> Readings<R> {
        let identity = |(text, old): (String, u32)| (R::identity(&text).into_owned(), old);
        let mut spellings: Vec<(String, u32)> = self.positions.into_iter().map(identity).collect();
        spellings.sort_unstable();
        let mut rank = vec![0; spellings.len()];
        let mut keys: Vec<Key> = Vec::new();
        for (text, old) in spellings {
            if keys.last().is_none_or(|last| last.text != text) {
                keys.push(Key { hash: hash_key.of(&text), text });
            }
            rank[old as usize] = keys.len() as u32 - 1;
        }
        let mut rows = self.rows;
        for row in &mut rows {
            row.key = rank[row.key as usize];
        }
        // Few rows share a time, and the sort is fastest without branches: first by time alone, then the rows of each time.
        rows.sort_unstable_by_key(|row| row.time_ms);
        for rows in rows.chunk_by_mut(|a, b| a.time_ms == b.time_ms) {
            rows.sort_unstable_by(|a, b| a.key.cmp(&b.key).then_with(|| R::cmp_values(&a.value, &b.value)));
        }
        Readings { keys, rows }
    }
}

impl<R: Reading> Collect for ReadingsCollector<R> {
    const FIELDS: &'static [&'static str] = R::FIELDS;

    fn collect(&mut self, fields: &Fields<'_>) -> Result<(), Rejection> {
        let key = fields.required_text(R::KEY)?;
        let time_ms = fields.required_time(R::TIME)?;
        self.add(&key, time_ms, R::value(fields)?);
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row<R::Value>>() + self.keys_bytes
    }

    fn collect_by_layout(&mut self, fields: &LayoutFields<'_>) -> bool {
        let mut collect = || {
            let key = fields.string(R::KEY)?;
            let time_ms = check_time(fields.integer(R::TIME)?).ok()?;
            let value = R::value_by_layout(fields)?;
            let position = match &self.last {
                Some((last, position)) if last.as_bytes() == key => *position,
                _ => self.position(std::str::from_utf8(key).ok()?),
            };
            self.rows.push(Row { time_ms, key: position, value });
            Some(())
        };
        collect().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_sorted_by_time_key_and_value(
            rows in prop::collection::vec((prop_oneof![0..4_i64, any::<i64>()], 0..5_u32, 0..3_i32), 0..50),
        ) {
            let mut collector = ReadingsCollector::<StepTrainer>::default();
            rows.iter().for_each(|(time_ms, key, value)| collector.add(&key.to_string(), *time_ms, *value));
            let readings = collector.finish(&HashKey::public());
            let sorted: Vec<_> = readings.rows().iter().map(|row| {
                (row.time_ms, readings.keys()[row.key as usize].text.clone(), row.value)
            }).collect();
            let mut expected: Vec<_> = rows.iter().map(|(ms, key, value)| (*ms, key.to_string(), *value)).collect();
            expected.sort();
            prop_assert_eq!(sorted, expected);
        }
    }
}
