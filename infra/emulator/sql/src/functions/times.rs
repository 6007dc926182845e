//! Arithmetic, formats and parsing of times: milliseconds since 1970, UTC.

use crate::json::days_of;
use crate::text::day;

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

/// Year, month, day.
fn date(time: i64) -> (i64, i64, i64) {
    let text = day(time.div_euclid(DAY));
    let mut parts = text.rsplitn(3, '-').map(|part| part.parse().unwrap_or_default());
    let (day, month) = (parts.next().unwrap_or(1), parts.next().unwrap_or(1));
    (parts.next().unwrap_or_default(), month, day)
}

fn time(year: i64, month: i64, day: i64) -> Option<i64> {
    days_of(&format!("{year:04}-{month:02}-{day:02}")).map(|days| i64::from(days) * DAY)
}

/// The number of whole units between two times.
pub(super) fn between(unit: &str, from: i64, to: i64) -> Result<i64, String> {
    let unit = unit.to_lowercase();
    if let Some(length) = length(&unit) {
        return Ok((to - from) / length);
    }
    let count = months(&unit).ok_or_else(|| unknown(&unit))?;
    let ((y1, m1, d1), (y2, m2, d2)) = (date(from), date(to));
    let mut whole = (y2 * 12 + m2) - (y1 * 12 + m1);
    // A month is complete when its day and time of day are reached.
    let (rest1, rest2) = ((d1, from.rem_euclid(DAY)), (d2, to.rem_euclid(DAY)));
    if whole > 0 && rest2 < rest1 {
        whole -= 1;
    } else if whole < 0 && rest2 > rest1 {
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
    let (year, month, day) = date(from);
    let total = (year * 12 + month - 1).checked_add(by).ok_or_else(overflow)?;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    let found = (0..4).find_map(|less| time(year, month, day - less)).ok_or_else(overflow)?;
    Ok(found + from.rem_euclid(DAY))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Formats a time for `date_format`, whose patterns are MySQL's.
pub(super) fn format_time(at: i64, format: &str) -> Result<String, String> {
    let (year, month, day) = date(at);
    let rest = at.rem_euclid(DAY);
    let (hour, minute, second, thousandth) = (rest / HOUR, rest / MINUTE % 60, rest / SECOND % 60, rest % SECOND);
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let name = |names: &[&str], n: i64| {
        usize::try_from(n).ok().and_then(|n| names.get(n).copied()).unwrap_or_default().to_owned()
    };
    let (mut text, mut chars) = (String::new(), format.chars());
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        text += &match chars.next() {
            Some('Y') => format!("{year:04}"),
            Some('y') => format!("{:02}", year.rem_euclid(100)),
            Some('m') => format!("{month:02}"),
            Some('c') => month.to_string(),
            Some('d') => format!("{day:02}"),
            Some('e') => day.to_string(),
            Some('H') => format!("{hour:02}"),
            Some('k') => hour.to_string(),
            Some('h' | 'I') => format!("{twelve:02}"),
            Some('l') => twelve.to_string(),
            Some('i') => format!("{minute:02}"),
            Some('s' | 'S') => format!("{second:02}"),
            Some('f') => format!("{thousandth:03}000"),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('M') => name(&MONTHS, month - 1),
            Some('b') => name(&MONTHS, month - 1).chars().take(3).collect(),
            Some('W') => name(&DAYS, at.div_euclid(DAY).rem_euclid(7)),
            Some('a') => name(&DAYS, at.div_euclid(DAY).rem_euclid(7)).chars().take(3).collect(),
            Some('j') => format!("{:03}", (at.div_euclid(DAY)) - time(year, 1, 1).unwrap_or_default() / DAY + 1),
            Some('%') => "%".to_owned(),
            other => return Err(format!("%{} is not supported in date formats", other.unwrap_or(' '))),
        };
    }
    Ok(text)
}

/// Parses a text for `date_parse`, whose patterns are MySQL's.
pub(super) fn parse_time(text: &str, format: &str) -> Result<i64, String> {
    let wrong = || format!("Invalid format: \"{text}\" is not of format '{format}'");
    let (mut year, mut month, mut day, mut hour, mut minute, mut second) = (1970, 1, 1, 0, 0, 0);
    let (mut thousandth, mut afternoon, mut rest) = (0, None, text);
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            rest = rest.strip_prefix(c).ok_or_else(wrong)?;
            continue;
        }
        let code = chars.next().ok_or_else(wrong)?;
        let mut number = |digits: usize| -> Option<i64> {
            let end = rest.bytes().take(digits).take_while(u8::is_ascii_digit).count();
            let (found, after) = rest.split_at(end);
            rest = after;
            found.parse().ok()
        };
        match code {
            'Y' => year = number(4).ok_or_else(wrong)?,
            'm' | 'c' => month = number(2).ok_or_else(wrong)?,
            'd' | 'e' => day = number(2).ok_or_else(wrong)?,
            'H' | 'k' | 'h' | 'I' | 'l' => hour = number(2).ok_or_else(wrong)?,
            'i' => minute = number(2).ok_or_else(wrong)?,
            's' | 'S' => second = number(2).ok_or_else(wrong)?,
            'f' => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let shown: String = rest[..digits].chars().chain("000".chars()).take(3).collect();
                thousandth = shown.parse().map_err(|_| wrong())?;
                rest = &rest[digits..];
            }
            'p' => {
                afternoon = Some(rest.get(..2).ok_or_else(wrong)?.eq_ignore_ascii_case("pm"));
                rest = &rest[2..];
            }
            'T' => {
                let clock = rest.get(..8).ok_or_else(wrong)?;
                let mut parts = clock.split(':').map(|part| part.parse::<i64>().ok());
                let mut part = || parts.next().flatten().ok_or_else(wrong);
                (hour, minute, second) = (part()?, part()?, part()?);
                rest = &rest[8..];
            }
            other => return Err(format!("%{other} is not supported in date formats")),
        }
    }
    if let Some(afternoon) = afternoon {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    let valid = rest.is_empty() && hour < 24 && minute < 60 && second < 60;
    let date = time(year, month, day).filter(|_| valid).ok_or_else(wrong)?;
    Ok(date + hour * HOUR + minute * MINUTE + second * SECOND + thousandth)
}

/// Parses a time in ISO 8601, with `Z`, an offset or neither.
pub(super) fn iso8601(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, clock) = text.split_once('T').unwrap_or((text, ""));
    let start = i64::from(days_of(date)?) * DAY;
    let (clock, zone) = match clock.find(['Z', '+', '-']) {
        Some(at) => clock.split_at(at),
        None => (clock, "Z"),
    };
    let offset = match zone {
        "Z" => 0,
        zone => {
            let (hours, minutes) = zone[1..].split_once(':').unwrap_or((zone.get(1..3)?, zone.get(3..)?));
            let minutes = if minutes.is_empty() { 0 } else { minutes.parse::<i64>().ok()? };
            let length = hours.parse::<i64>().ok()? * HOUR + minutes * MINUTE;
            if zone.starts_with('-') { -length } else { length }
        }
    };
    let format = match clock.matches(':').count() {
        _ if clock.is_empty() => "",
        0 => "%H",
        1 => "%H:%i",
        _ if clock.contains('.') => "%H:%i:%s.%f",
        _ => "%H:%i:%s",
    };
    Some(start + parse_time(clock, format).ok()? - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_655_560_800_000;

    #[test]
    fn differences_and_sums_follow_the_calendar() {
        assert_eq!(between("day", AT, AT + 3 * DAY - 1), Ok(2));
        let (january, february) = (time(2024, 1, 31).unwrap(), time(2024, 2, 29).unwrap());
        assert_eq!(between("month", january, february), Ok(0));
        assert_eq!(later("month", 1, january), Ok(february));
        assert_eq!(later("year", -1, february), Ok(time(2023, 2, 28).unwrap()));
        assert!(between("fortnight", 0, 1).is_err());
        assert!(later("day", i64::MAX, 1).is_err());
    }

    #[test]
    fn formats_go_both_ways() {
        let format = "%Y-%m-%d %H:%i:%s.%f";
        assert_eq!(format_time(AT, format).as_deref(), Ok("2022-06-18 14:00:00.000000"));
        assert_eq!(parse_time("2022-06-18 14:00:00.000000", format), Ok(AT));
        assert_eq!(format_time(AT, "%W %e %M %y %l %p %j").as_deref(), Ok("Saturday 18 June 22 2 PM 169"));
        assert_eq!(parse_time("06/18/2022 2PM", "%c/%d/%Y %h%p"), Ok(AT));
        assert!(parse_time("2022-06-18x", "%Y-%m-%d").is_err());
        assert_eq!(iso8601("2022-06-18T16:00:00.000+02:00"), Some(AT));
        assert_eq!(iso8601("2022-06-18"), Some(AT - 14 * HOUR));
    }
}
