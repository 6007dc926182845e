//! Parses dates and timestamps.

/// Days from 1970-01-01 to a date such as `2022-06-18`. Text after the date, such as a time, is ignored.
pub(crate) fn days(text: &str) -> Option<i32> {
    let (days, _) = day(text.trim())?;
    i32::try_from(days).ok()
}

/// Milliseconds since 1970 of a timestamp or a number. A number of at most 10 digits is in seconds.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        let digits = text.split(['.', 'e', 'E']).next()?.trim_start_matches('-').len();
        let scale = if digits > 10 { 1.0 } else { 1000.0 };
        return Some((number * scale) as i64);
    }
    let (days, rest) = day(text)?;
    let rest = rest.trim_start_matches(['T', 't', ' ']).trim_end_matches(['Z', 'z']);
    Some(days * 86_400_000 + if rest.is_empty() { 0 } else { time(rest)? })
}

fn time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    let valid = (0..24).contains(&hours) && (0..60).contains(&minutes) && (0..60).contains(&seconds);
    if !valid || parts.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths.parse::<i64>().ok()?)
}

/// Parses a date at the beginning of a text; returns its days since 1970-01-01 and the rest of the text.
fn day(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(text.len());
    let (date, rest) = text.split_at(end);
    let mut parts = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=last).contains(&day) || parts.next().is_some() || year > 9999 {
        return None;
    }
    // Years begin in March here, so that a leap day is the last day of a year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some((era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_formatted_and_parsed_alike() {
        for n in [-250_000, -135_140, -1, 0, 1, 59, 60, 11_016, 19_782, 2_000_000] {
            assert_eq!(days(&crate::text::day(n)), i32::try_from(n).ok());
        }
        assert_eq!(days("2023-02-29"), None);
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
