//! Times and partitions. All times are milliseconds since 1970, UTC.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

pub(crate) const HOUR_MS: i64 = 3_600_000;

/// The earliest legal time: 2000-01-01, before the first STEDI device.
pub const TIME_MS_MIN: i64 = 946_684_800_000;
/// The end of the legal times, exclusive: 2100-01-01.
pub const TIME_MS_END: i64 = 4_102_444_800_000;

/// Why a time is rejected. The record goes to quarantine. It is not repaired, because a wrong guess would move a reading by
/// decades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTime {
    /// It is in the range if it is read as seconds.
    InSeconds,
    /// It is out of range, as milliseconds and as seconds.
    OutOfRange,
}

/// Checks that `time_ms` is in the years 2000 to 2099.
pub fn check_time(time_ms: i64) -> Result<i64, BadTime> {
    if (TIME_MS_MIN..TIME_MS_END).contains(&time_ms) {
        Ok(time_ms)
    } else if (TIME_MS_MIN / 1000..TIME_MS_END / 1000).contains(&time_ms) {
        Err(BadTime::InSeconds)
    } else {
        Err(BadTime::OutOfRange)
    }
}

/// A `dt`/`hour` partition: one UTC hour. Partitions are ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    hours: i64,
}

impl Partition {
    /// The partitions of legal times.
    const LEGAL: Range<Self> = Self { hours: TIME_MS_MIN / HOUR_MS }..Self { hours: TIME_MS_END / HOUR_MS };

    /// Returns the partition of a reading at `time_ms`.
    pub fn of(time_ms: i64) -> Self {
        Self { hours: time_ms.div_euclid(HOUR_MS) }
    }

    /// Returns when it begins.
    pub(crate) fn begin_ms(self) -> i64 {
        self.hours * HOUR_MS
    }

    /// Returns the UTC date, `2022-06-18`.
    pub fn dt(self) -> String {
        let (year, month, day) = civil(self.hours.div_euclid(24));
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Returns the UTC hour, `14`.
    pub fn hour(self) -> String {
        format!("{:02}", self.hours.rem_euclid(24))
    }

    /// Returns the partition's values in the order of the partition columns.
    pub fn values(self) -> [String; 2] {
        [self.dt(), self.hour()]
    }

    /// Parses `dt=2022-06-18/hour=14`; `None` for any text that [`Partition`]'s `Display` does not write.
    pub fn parse(text: &str) -> Option<Self> {
        let (dt, hour) = text.strip_prefix("dt=")?.split_once("/hour=")?;
        let mut date = dt.splitn(3, '-').map(str::parse::<i64>);
        let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
            return None;
        }
        let hour = hour.parse::<i64>().ok().filter(|hour| (0..24).contains(hour))?;
        let partition = Self { hours: days_from_civil(year, month, day) * 24 + hour };
        (partition.to_string() == text).then_some(partition)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dt={}/hour={}", self.dt(), self.hour())
    }
}

/// Writes text in human-readable formats, and the hours since 1970 in the others.
impl Serialize for Partition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => self.hours.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Partition {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let partition = i64::deserialize(deserializer).map(|hours| Self { hours })?;
            return match Self::LEGAL.contains(&partition) {
                true => Ok(partition),
                false => Err(serde::de::Error::custom("a partition is outside of the legal times")),
            };
        }
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("partition is {text:?}, expected dt=YYYY-MM-DD/hour=HH")))
    }
}

/// Returns a time in ISO 8601: `2022-06-18T15:00:44.103Z`.
pub fn iso8601(time_ms: i64) -> String {
    let (ms, minutes) = (time_ms.rem_euclid(60_000), time_ms.div_euclid(60_000));
    let (dt, hour) = (Partition::of(time_ms).dt(), Partition::of(time_ms).hour());
    format!("{dt}T{hour}:{:02}:{:02}.{:03}Z", minutes.rem_euclid(60), ms / 1000, ms % 1000)
}

/// Returns year, month and day of a number of days since 1970 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Returns the days since 1970 of year, month and day (Howard Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_follow_utc() {
        for (time_ms, expected) in [
            (1_655_564_444_103, "dt=2022-06-18/hour=15"),
            (TIME_MS_MIN, "dt=2000-01-01/hour=00"),
            (TIME_MS_END - 1, "dt=2099-12-31/hour=23"),
            (1_709_164_800_000, "dt=2024-02-29/hour=00"),
            (1_709_251_199_999, "dt=2024-02-29/hour=23"),
        ] {
            assert_eq!(Partition::of(time_ms).to_string(), expected);
            assert_eq!(Partition::parse(expected), Some(Partition::of(time_ms)));
        }
    }

    #[test]
    fn times_are_written_to_the_millisecond() {
        for (time_ms, expected) in [
            (1_655_564_444_103, "2022-06-18T15:00:44.103Z"),
            (0, "1970-01-01T00:00:00.000Z"),
            (TIME_MS_END - 1, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso8601(time_ms), expected);
        }
    }

    #[test]
    fn every_day_of_the_range_survives_its_text() {
        for day in (TIME_MS_MIN..TIME_MS_END).step_by(24 * HOUR_MS as usize) {
            let partition = Partition::of(day + 5 * HOUR_MS);
            assert_eq!(Partition::parse(&partition.to_string()), Some(partition));
        }
    }

    #[test]
    fn other_spellings_of_a_partition_are_refused() {
        for wrong in ["", "dt=2022-6-18/hour=14", "dt=2022-06-18/hour=24", "dt=2023-02-30/hour=01", "dt=2022-06-18"] {
            assert_eq!(Partition::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn seconds_are_distinguished_from_other_bad_times() {
        assert_eq!(check_time(1_655_564_444_103), Ok(1_655_564_444_103));
        assert_eq!(check_time(1_655_564_444), Err(BadTime::InSeconds));
        assert_eq!(check_time(-1), Err(BadTime::OutOfRange));
        assert_eq!(check_time(1_655_564_444_103_000), Err(BadTime::OutOfRange));
    }
}
