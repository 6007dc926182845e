//! Parses dates and timestamps.

use chrono::{NaiveDate, NaiveTime};

/// Days from 1970-01-01 to a date such as `2022-06-18`. Text after the date, such as a time, is ignored.
pub(super) fn days(text: &str) -> Option<i32> {
    date(text.trim()).map(|(date, _)| date.to_epoch_days())
}

/// Milliseconds since 1970 of a timestamp or a number. A number of at most 10 digits is in seconds.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        let digits = text.split(['.', 'e', 'E']).next()?.trim_start_matches('-').len();
        let scale = if digits > 10 { 1.0 } else { 1000.0 };
        return Some((number * scale) as i64);
    }
    let (date, rest) = date(text)?;
    let time = match rest.trim_start_matches(['T', 't', ' ']).trim_end_matches(['Z', 'z']) {
        "" => NaiveTime::MIN,
        clock => ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|format| NaiveTime::parse_from_str(clock, format).ok())?,
    };
    Some(date.and_time(time).and_utc().timestamp_millis())
}

/// Parses a date at the beginning of a text; returns it and the rest of the text.
fn date(text: &str) -> Option<(NaiveDate, &str)> {
    let is_date = |c: char| c.is_ascii_digit() || c == '-';
    let (date, rest) = NaiveDate::parse_and_remainder(text, "%Y-%m-%d").ok()?;
    (!text.starts_with(['+', '-']) && !rest.starts_with(is_date)).then_some((date, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_days_since_1970() {
        for (text, n) in [("1285-07-10", -250_000), ("1600-01-01", -135_140), ("1970-01-01", 0), ("2024-02-29", 19_782)]
        {
            assert_eq!(days(text), Some(n), "{text}");
        }
        for text in ["2023-02-29", "2022-06-189", "+2022-06-18"] {
            assert_eq!(days(text), None, "{text}");
        }
        assert_eq!(days("2022-06-18 14:00:00"), days("2022-06-18"));
    }

    #[test]
    fn times_are_texts_or_numbers() {
        let at = 1_655_560_800_000;
        for text in ["1655560800000", "1655560800", "2022-06-18 14:00:00", "2022-06-18T14:00:00.000Z"] {
            assert_eq!(milliseconds(text), Some(at), "{text}");
        }
        assert_eq!(milliseconds("2022-06-18 25:00:00"), None);
        assert_eq!(milliseconds("soon"), None);
    }
}
