//! Slices of an hour. A cell is the object of a table in one slice.

use crate::count::count;
use crate::time::{HOUR_MS, Partition};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// One slice of one hour. Slices are ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slice {
    /// The hour.
    pub partition: Partition,
    number: u16,
}

impl Slice {
    /// Parses a slice as its `Display` writes it; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (partition, number) = text.rsplit_once('/')?;
        let slice = Self { partition: Partition::parse(partition)?, number: number.parse().ok()? };
        (slice.to_string() == text).then_some(slice)
    }
}

/// `dt=2022-06-18/hour=14/00`
impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:02}", self.partition, self.number)
    }
}

/// The number of slices of an hour (`SLICES_PER_HOUR`). It is fixed when the lake is made.
///
/// Each upload writes the cells of its slices again. So in a lake with many uploads an hour, more slices make an upload
/// cheaper, and fewer make a query cheaper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct SlicesPerHour(u16);

/// The seconds of an hour: a slice has a whole number of them.
const SECONDS: u16 = 3600;

impl SlicesPerHour {
    /// Returns the slice of a reading at `time_ms`.
    pub fn slice_of(self, time_ms: i64) -> Slice {
        // An hour has at most 3,600 slices.
        Slice { partition: Partition::of(time_ms), number: (time_ms.rem_euclid(HOUR_MS) / self.length_ms()) as u16 }
    }

    /// Returns the times of a slice.
    pub fn times_of(self, Slice { partition, number }: Slice) -> Range<i64> {
        let begin = partition.begin_ms() + i64::from(number) * self.length_ms();
        begin..begin + self.length_ms()
    }

    fn length_ms(self) -> i64 {
        HOUR_MS / i64::from(self.0)
    }
}

count!(
    SlicesPerHour,
    default: 1,
    is_allowed: |count| count > 0 && SECONDS.is_multiple_of(count),
    BadSlices: "`{0}` slices do not divide an hour into whole seconds; expected a divisor of {SECONDS}, such as 1, 4, 12 or 60"
);

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_655_564_444_103;

    #[test]
    fn every_time_is_in_the_times_of_its_slice() {
        for count in [1, 2, 60, 3600].map(|count| SlicesPerHour::try_from(count).unwrap()) {
            for time_ms in [T, T - T % HOUR_MS, T - T % HOUR_MS + HOUR_MS - 1, T + 999] {
                let slice = count.slice_of(time_ms);
                assert!(count.times_of(slice).contains(&time_ms), "{slice}");
                assert_eq!(slice.partition, Partition::of(time_ms));
                assert_eq!(Slice::parse(&slice.to_string()), Some(slice));
            }
        }
    }

    #[test]
    fn slices_of_an_hour_follow_each_other() {
        let minutes = SlicesPerHour::try_from(60).unwrap();
        let first = minutes.slice_of(T);
        let next = minutes.slice_of(minutes.times_of(first).end);
        assert!(first < next);
        assert_eq!(minutes.times_of(first).end, minutes.times_of(next).start);
        assert_eq!(minutes.slice_of(T).to_string(), "dt=2022-06-18/hour=15/00");
    }

    #[test]
    fn only_divisors_of_an_hour_are_accepted() {
        for wrong in [0, 7, 3601, 7200] {
            assert!(SlicesPerHour::try_from(wrong).is_err(), "{wrong}");
        }
        assert!(["", "1.5", "-1", "99999", "x"].iter().all(|wrong| wrong.parse::<SlicesPerHour>().is_err()));
        assert_eq!("60".parse::<SlicesPerHour>().unwrap().get(), 60);
    }

    #[test]
    fn other_spellings_of_a_slice_are_refused() {
        for wrong in ["dt=2022-06-18/hour=14", "dt=2022-06-18/hour=14/0", "dt=2022-06-18/hour=14/000", "x/00", ""] {
            assert_eq!(Slice::parse(wrong), None, "{wrong}");
        }
    }
}
