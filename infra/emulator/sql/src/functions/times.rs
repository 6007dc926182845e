//! Arithmetic, formats and parsing of times: milliseconds since 1970, UTC.

use chrono::format::{Parsed, StrftimeItems, parse};
use chrono::{DateTime, Datelike, Months, Utc};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The length of a unit in milliseconds; none for months, quarters and years.
fn length(unit: &str) -> Option<i64> {
    Some(match unit {
        "millisecond" => 1,
        "second" => SECOND,
        "minute" => MINUTE,
        "hour" => HOUR,
        "day" => DAY,
        "week" => 7 * DAY,
        _ => return None,
    })
}

fn months(unit: &str) -> Option<i64> {
    Some(match unit {
        "month" => 1,
        "quarter" => 3,
        "year" => 12,
        _ => return None,
    })
}

fn unknown(unit: &str) -> String {
    format!("'{unit}' is not a valid TIMESTAMP field")
}

fn time(milliseconds: i64) -> Result<DateTime<Utc>, String> {
    let outside = || format!("{milliseconds} milliseconds since 1970 leave the times that there are");
    DateTime::from_timestamp_millis(milliseconds).ok_or_else(outside)
}

/// The number of whole units between two times.
pub(super) fn between(unit: &str, from: i64, to: i64) -> Result<i64, String> {
    let unit = unit.to_lowercase();
    if let Some(length) = length(&unit) {
        return Ok((to - from) / length);
    }
    let count = months(&unit).ok_or_else(|| unknown(&unit))?;
    let (from, to) = (time(from)?, time(to)?);
    let month = |time: &DateTime<Utc>| i64::from(time.year()) * 12 + i64::from(time.month0());
    // A month is complete when its day and time of day are reached.
    let rest = |time: &DateTime<Utc>| (time.day(), time.time());
    let mut whole = month(&to) - month(&from);
    if whole > 0 && rest(&to) < rest(&from) {
        whole -= 1;
    } else if whole < 0 && rest(&to) > rest(&from) {
        whole += 1;
    }
    Ok(whole / count)
}

/// The time `count` units later. A day that the month lacks becomes the last day of the month.
pub(super) fn later(unit: &str, count: i64, from: i64) -> Result<i64, String> {
    let unit = unit.to_lowercase();
    let overflow = || format!("adding {count} {unit}s leaves the times that there are");
    if let Some(length) = length(&unit) {
        return length.checked_mul(count).and_then(|by| from.checked_add(by)).ok_or_else(overflow);
    }
    let by = months(&unit).ok_or_else(|| unknown(&unit))?.checked_mul(count).ok_or_else(overflow)?;
    let (from, months) = (time(from)?, Months::new(u32::try_from(by.unsigned_abs()).map_err(|_| overflow())?));
    let found = if by < 0 { from.checked_sub_months(months) } else { from.checked_add_months(months) };
    found.map(|found| found.timestamp_millis()).ok_or_else(overflow)
}

/// Translates a pattern of MySQL into one of chrono.
fn pattern(format: &str) -> Result<String, String> {
    let (mut pattern, mut chars) = (String::new(), format.chars());
    while let Some(c) = chars.next() {
        if c != '%' {
            pattern.push(c);
            continue;
        }
        pattern += &match chars.next() {
            Some('c') => "%-m".to_owned(),
            Some('e') => "%-d".to_owned(),
            Some('k') => "%-H".to_owned(),
            Some('h' | 'I') => "%I".to_owned(),
            Some('l') => "%-I".to_owned(),
            Some('i') => "%M".to_owned(),
            Some('s' | 'S') => "%S".to_owned(),
            Some('f') => "%6f".to_owned(),
            Some('M') => "%B".to_owned(),
            Some('W') => "%A".to_owned(),
            Some(same @ ('Y' | 'y' | 'm' | 'd' | 'H' | 'p' | 'T' | 'b' | 'a' | 'j' | '%')) => format!("%{same}"),
            other => return Err(format!("%{} is not supported in date formats", other.unwrap_or(' '))),
        };
    }
    Ok(pattern)
}

/// Formats a time for `date_format`, whose patterns are MySQL's.
pub(super) fn format_time(at: i64, format: &str) -> Result<String, String> {
    Ok(time(at)?.format(&pattern(format)?).to_string())
}

/// Parses a text for `date_parse`, whose patterns are MySQL's.
pub(super) fn parse_time(text: &str, format: &str) -> Result<i64, String> {
    let mut pattern = pattern(format)?.replace(".%6f", "%.f");
    if !pattern.contains("%p") {
        pattern = pattern.replace("%I", "%H").replace("%-I", "%-H");
    }
    read(text, &pattern).ok_or_else(|| format!("Invalid format: \"{text}\" is not of format '{format}'"))
}

/// Parses a time. Parts that the pattern lacks are those of 1970-01-01 00:00:00, UTC.
fn read(text: &str, pattern: &str) -> Option<i64> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, StrftimeItems::new(pattern)).ok()?;
    if parsed.year_mod_100().is_none() {
        let _ = parsed.set_year(1970);
    }
    // A setter changes nothing if the text has that part.
    let _ = (parsed.set_month(1), parsed.set_day(1), parsed.set_hour(0), parsed.set_minute(0));
    let time = parsed.to_naive_datetime_with_offset(0).ok()?.and_utc().timestamp_millis();
    Some(time - i64::from(parsed.offset().unwrap_or_default()) * SECOND)
}

/// Parses a time in ISO 8601, with `Z`, an offset or neither.
pub(super) fn iso8601(text: &str) -> Option<i64> {
    let clocks = ["T%H:%M:%S%.f", "T%H:%M", "T%H", ""];
    clocks
        .iter()
        .flat_map(|clock| [format!("%Y-%m-%d{clock}%#z"), format!("%Y-%m-%d{clock}")])
        .find_map(|pattern| read(text.trim(), &pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_655_560_800_000;

    #[test]
    fn differences_and_sums_follow_the_calendar() {
        let time = |text| parse_time(text, "%Y-%m-%d").unwrap();
        assert_eq!(between("day", AT, AT + 3 * DAY - 1), Ok(2));
        let (january, february) = (time("2024-01-31"), time("2024-02-29"));
        assert_eq!(between("month", january, february), Ok(0));
        assert_eq!(later("month", 1, january), Ok(february));
        assert_eq!(later("year", -1, february), Ok(time("2023-02-28")));
        assert!(between("fortnight", 0, 1).is_err());
        assert!(later("day", i64::MAX, 1).is_err());
    }

    #[test]
    fn formats_go_both_ways() {
        let format = "%Y-%m-%d %H:%i:%s.%f";
        assert_eq!(format_time(AT, format).as_deref(), Ok("2022-06-18 14:00:00.000000"));
        assert_eq!(parse_time("2022-06-18 14:00:00.000000", format), Ok(AT));
        assert_eq!(parse_time("2022-06-18 14:00:00.5", format), Ok(AT + 500));
        assert_eq!(format_time(AT, "%W %e %M %y %l %p %j").as_deref(), Ok("Saturday 18 June 22 2 PM 169"));
        assert_eq!(parse_time("06/18/2022 2PM", "%c/%d/%Y %h%p"), Ok(AT));
        assert_eq!(parse_time("2022-06-18 14", "%Y-%m-%d %h"), Ok(AT));
        assert_eq!(parse_time("18 June 22 14", "%e %M %y %H"), Ok(AT));
        assert!(parse_time("2022-06-18x", "%Y-%m-%d").is_err());
        assert_eq!(iso8601("2022-06-18T16:00:00.000+02:00"), Some(AT));
        for text in ["2022-06-18T14", "2022-06-18T14:00Z", "2022-06-18T14:00:00", "2022-06-18T12:00:00-02"] {
            assert_eq!(iso8601(text), Some(AT), "{text}");
        }
        assert_eq!(iso8601("2022-06-18"), Some(AT - 14 * HOUR));
    }
}
