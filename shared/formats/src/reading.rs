//! Readings: what an accelerometer and a step trainer have in common, and the readings of one landing file.

use crate::columnar;
use crate::landing::fields::{Fields, Rejection};
use crate::landing::{Collect, Laid};
use arrow_array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use model::hash::KeyHash;
use model::layout::Source;
use model::table::Table;
use model::time::{Partition, believable};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A kind of reading: somebody's (its key), of a time, with a value.
pub trait Reading: 'static + Send + Sync {
    /// What was measured.
    type Value: Copy + Send + Sync + std::fmt::Debug;
    /// The files it lands in.
    const SOURCE: Source;
    /// The table its trusted rows go to.
    const TRUSTED: Table;
    /// The fields of a record, as the landing table spells them.
    const FIELDS: &'static [&'static str];
    /// Which of the fields is the key: an email, or a serial number.
    const KEY: usize;
    /// Which of the fields is the time.
    const TIME: usize;

    /// The value of a record.
    fn value(fields: &Fields<'_>) -> Result<Self::Value, Rejection>;

    /// The value of a record that is written as those before it, if it is simple.
    fn value_laid(laid: &Laid<'_>) -> Option<Self::Value>;

    /// A total order of values, so that rows have one order.
    fn cmp_values(a: &Self::Value, b: &Self::Value) -> Ordering;

    /// The columns of [`Self::TRUSTED`]; `owners` are the emails of the customers whose readings the rows are.
    fn columns(rows: &[Admitted<'_, Self::Value>]) -> Vec<ArrayRef>;

    /// The key, the time and the value of a stored row of [`Self::TRUSTED`].
    fn stored(batch: &RecordBatch, row: usize) -> (&str, i64, Self::Value);
}

/// A reading that is let through.
#[derive(Clone, Copy, Debug)]
pub struct Admitted<'a, V> {
    /// The email or serial number in the record.
    pub key: &'a str,
    /// The email of the customer whose reading it is.
    pub owner: &'a str,
    /// The time of the reading.
    pub time_ms: i64,
    /// What was measured.
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

    fn value(fields: &Fields<'_>) -> Result<[f64; 3], Rejection> {
        Ok([fields.required_number(2)?, fields.required_number(3)?, fields.required_number(4)?])
    }

    fn value_laid(laid: &Laid<'_>) -> Option<[f64; 3]> {
        Some([laid.decimal(2)?, laid.decimal(3)?, laid.decimal(4)?])
    }

    fn cmp_values(a: &[f64; 3], b: &[f64; 3]) -> Ordering {
        a[0].total_cmp(&b[0]).then_with(|| a[1].total_cmp(&b[1])).then_with(|| a[2].total_cmp(&b[2]))
    }

    fn columns(rows: &[Admitted<'_, [f64; 3]>]) -> Vec<ArrayRef> {
        let axis = |i: usize| -> ArrayRef { Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.value[i]))) };
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.key))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.time_ms))),
            axis(0),
            axis(1),
            axis(2),
        ]
    }

    fn stored(batch: &RecordBatch, row: usize) -> (&str, i64, [f64; 3]) {
        let (key, time_ms) = (columnar::text_at(batch, 0, row), columnar::bigint_at(batch, 1, row));
        let value = [2, 3, 4].map(|i| columnar::double_at(batch, i, row));
        (key.unwrap_or_default(), time_ms.unwrap_or_default(), value)
    }
}

/// Readings of the motion sensor: the distance of an object.
#[derive(Debug)]
pub struct StepTrainer;

impl Reading for StepTrainer {
    type Value = i32;
    const SOURCE: Source = Source::StepTrainer;
    const TRUSTED: Table = Table::StepTrainerTrusted;
    const FIELDS: &'static [&'static str] = &["sensorReadingTime", "serialNumber", "distanceFromObject"];
    const KEY: usize = 1;
    const TIME: usize = 0;

    fn value(fields: &Fields<'_>) -> Result<i32, Rejection> {
        fields.required_int(2)
    }

    fn value_laid(laid: &Laid<'_>) -> Option<i32> {
        laid.integer(2)?.try_into().ok()
    }

    fn cmp_values(a: &i32, b: &i32) -> Ordering {
        a.cmp(b)
    }

    fn columns(rows: &[Admitted<'_, i32>]) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.time_ms))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.key))),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.value))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.owner))),
        ]
    }

    fn stored(batch: &RecordBatch, row: usize) -> (&str, i64, i32) {
        let (time_ms, key) = (columnar::bigint_at(batch, 0, row), columnar::text_at(batch, 1, row));
        (key.unwrap_or_default(), time_ms.unwrap_or_default(), columnar::int_at(batch, 2, row))
    }
}

/// The readings of one landing file, sorted by time, key and value: the order of the lines never matters.
#[derive(Debug)]
pub struct Readings<R: Reading> {
    keys: Vec<Key>,
    rows: Vec<Row<R::Value>>,
}

/// An email or serial number that occurs in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// As it stands in the records.
    pub text: String,
    /// Its hash.
    pub hash: KeyHash,
}

/// A reading of a file.
#[derive(Clone, Copy, Debug)]
pub struct Row<V> {
    /// The time of the reading.
    pub time_ms: i64,
    /// The location of its key among the file's keys.
    pub key: u32,
    /// What was measured.
    pub value: V,
}

impl<R: Reading> Readings<R> {
    /// The keys that occur, in order.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The readings, in order.
    pub fn rows(&self) -> &[Row<R::Value>] {
        &self.rows
    }

    /// The partitions that the file has readings in, each with the range of its rows.
    pub fn partitions(&self) -> Vec<(Partition, Range<usize>)> {
        let mut partitions = Vec::new();
        let mut start = 0;
        while let Some(row) = self.rows.get(start) {
            let partition = Partition::of(row.time_ms);
            let end = start + self.rows[start..].partition_point(|row| Partition::of(row.time_ms) <= partition);
            partitions.push((partition, start..end));
            start = end;
        }
        partitions
    }
}

/// Collects the readings of a file as its lines come.
#[derive(Debug)]
pub struct ReadingsCollector<R: Reading> {
    locations: HashMap<String, u32, foldhash::fast::RandomState>,
    /// The location of the last key: readings of one device mostly come together.
    last: Option<(String, u32)>,
    rows: Vec<Row<R::Value>>,
}

impl<R: Reading> Default for ReadingsCollector<R> {
    fn default() -> Self {
        Self { locations: HashMap::default(), last: None, rows: Vec::new() }
    }
}

impl<R: Reading> ReadingsCollector<R> {
    /// Adds a reading.
    pub fn add(&mut self, key: &str, time_ms: i64, value: R::Value) {
        let location = match &self.last {
            Some((last, location)) if last == key => *location,
            _ => self.location(key),
        };
        self.rows.push(Row { time_ms, key: location, value });
    }

    fn location(&mut self, key: &str) -> u32 {
        let location = self.locations.get(key).copied().unwrap_or_else(|| {
            // There are fewer keys than bytes in a file, and a file has at most 2^30 bytes.
            let location = self.locations.len() as u32;
            self.locations.insert(key.to_owned(), location);
            location
        });
        self.last = Some((key.to_owned(), location));
        location
    }

    /// Sorts what was collected.
    pub fn finish(self) -> Readings<R> {
        let mut keys: Vec<(String, u32)> = self.locations.into_iter().collect();
        keys.sort_unstable();
        let mut rank = vec![0; keys.len()];
        for (new, (_, old)) in keys.iter().enumerate() {
            rank[*old as usize] = new as u32;
        }
        let keys = keys.into_iter().map(|(text, _)| Key { hash: KeyHash::of(&text), text }).collect();
        let mut rows = self.rows;
        for row in &mut rows {
            row.key = rank[row.key as usize];
        }
        sort_by_time_and_key(&mut rows);
        for of_one in rows.chunk_by_mut(|a, b| (a.time_ms, a.key) == (b.time_ms, b.key)) {
            of_one.sort_unstable_by(|a, b| R::cmp_values(&a.value, &b.value));
        }
        Readings { keys, rows }
    }
}

/// Sorts rows by time and key, by way of integers, which are sorted faster than rows.
fn sort_by_time_and_key<V: Copy>(rows: &mut [Row<V>]) {
    let Some(first_ms) = rows.iter().map(|row| row.time_ms).min() else { return };
    let since_first = |row: &Row<V>| row.time_ms.wrapping_sub(first_ms).cast_unsigned();
    let bits = |most: u64| u64::BITS - most.leading_zeros();
    let time_bits = bits(rows.iter().map(since_first).max().unwrap_or_default());
    let key_bits = bits(rows.iter().map(|row| u64::from(row.key)).max().unwrap_or_default());
    // There are as many as a file has at most: far fewer than 2^32.
    let place_bits = bits(rows.len() as u64);
    // Time, key and location in one number, the location last. Those of an hour's file are far below 2^64.
    let mut order: Vec<u32> = if time_bits + key_bits + place_bits <= u64::BITS {
        let number =
            |(row, location)| (since_first(row) << key_bits | u64::from(row.key)) << place_bits | u64::from(location);
        let mut numbers: Vec<u64> = rows.iter().zip(0_u32..).map(number).collect();
        numbers.sort_unstable();
        numbers.into_iter().map(|number| (number & ((1 << place_bits) - 1)) as u32).collect()
    } else {
        let number = |(row, location): (&Row<V>, u32)| {
            u128::from(since_first(row)) << 64 | u128::from(row.key) << 32 | u128::from(location)
        };
        let mut numbers: Vec<u128> = rows.iter().zip(0..).map(number).collect();
        numbers.sort_unstable();
        numbers.into_iter().map(|number| number as u32).collect()
    };
    // Where a row goes another comes from: along each such cycle until it closes. A row in its location is its own cycle.
    for start in 0..rows.len() {
        let (first, mut to) = (rows[start], start);
        loop {
            let from = std::mem::replace(&mut order[to], to as u32) as usize;
            if from == start {
                rows[to] = first;
                break;
            }
            rows[to] = rows[from];
            to = from;
        }
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

    fn collect_laid(&mut self, laid: &Laid<'_>) -> bool {
        let mut collect = || {
            let key = laid.string(R::KEY)?;
            let time_ms = believable(laid.integer(R::TIME)?).ok()?;
            let value = R::value_laid(laid)?;
            let location = match &self.last {
                Some((last, location)) if last.as_bytes() == key => *location,
                _ => self.location(std::str::from_utf8(key).ok()?),
            };
            self.rows.push(Row { time_ms, key: location, value });
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
        fn rows_are_in_the_order_of_time_key_and_value(
            rows in prop::collection::vec((prop_oneof![0..4_i64, any::<i64>()], 0..5_u32, 0..3_i32), 0..50),
            few_apart in any::<bool>(),
        ) {
            let mut collector = ReadingsCollector::<StepTrainer>::default();
            let time = |time_ms: i64| if few_apart { time_ms % 4 } else { time_ms };
            rows.iter().for_each(|(time_ms, key, value)| collector.add(&key.to_string(), time(*time_ms), *value));
            let readings = collector.finish();
            let sorted: Vec<_> = readings.rows().iter().map(|row| {
                (row.time_ms, readings.keys()[row.key as usize].text.clone(), row.value)
            }).collect();
            let mut expected: Vec<_> = rows.iter().map(|(ms, key, value)| (time(*ms), key.to_string(), *value)).collect();
            expected.sort();
            prop_assert_eq!(sorted, expected);
        }
    }
}
