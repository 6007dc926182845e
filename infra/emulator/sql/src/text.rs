//! The text of a value in Athena's CSV files.

use chrono::DateTime;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{
    DataType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use std::fmt::Write;

/// The text of the value of `array` in `row`; none for a null.
///
/// Floats have Java's format (`1.0`, `1.0E10`), timestamps have milliseconds, and bytes are pairs of hexadecimal digits.
/// Arrays are `[1, 2]`, maps and rows are `{a=1, b=2}`, and nulls within them are `null`.
pub fn text_of(array: &dyn Array, row: usize) -> Option<String> {
    // A `NullArray` has no validity bits, so `is_null` is false for its values.
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return None;
    }
    Some(match array.data_type() {
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            float(f64::from(value), &format!("{value:e}"))
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(value, &format!("{value:e}"))
        }
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => hexadecimal(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => hexadecimal(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => hexadecimal(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => hexadecimal(array.as_fixed_size_binary().value(row)),
        DataType::Duration(unit) => duration(duration_milliseconds(array, row, *unit)),
        DataType::Timestamp(unit, zone) => timestamp(milliseconds(array, row, *unit), zone.as_deref()),
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let names = fields.iter().map(|field| field.name().clone());
            entries(names.zip(columns.iter().map(|column| text_of(column, row))))
        }
        DataType::Map(..) => {
            let values = array.as_map().value(row);
            let (keys, items) = (values.column(0), values.column(1));
            entries((0..values.len()).map(|n| (text_of(keys, n).unwrap_or_default(), text_of(items, n))))
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            return text_of(dictionary.values().as_ref(), key);
        }
        _ => {
            let options = FormatOptions::default();
            ArrayFormatter::try_new(array, &options).map(|format| format.value(row).to_string()).unwrap_or_default()
        }
    })
}

/// Formats a float as Java does: plain from 10⁻³ up to 10⁷, else with an exponent. `shortest` is Rust's `{:e}`.
fn float(value: f64, shortest: &str) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (digits, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let point = |digits: &str| if digits.contains('.') { digits.to_owned() } else { format!("{digits}.0") };
    if value == 0.0 || !(-3..7).contains(&exponent) {
        return if value == 0.0 { point(digits) } else { format!("{}E{exponent}", point(digits)) };
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let digits: String = digits.chars().filter(|c| *c != '.').collect();
    let Ok(before) = usize::try_from(exponent + 1) else {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or_default());
        return format!("{sign}0.{zeros}{digits}");
    };
    match before {
        0 => format!("{sign}0.{digits}"),
        _ if digits.len() <= before => format!("{sign}{digits}{}.0", "0".repeat(before - digits.len())),
        _ => format!("{sign}{}.{}", &digits[..before], &digits[before..]),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for (n, byte) in bytes.iter().enumerate() {
        let space = if n == 0 { "" } else { " " };
        // ObjectWriter into a String cannot fail.
        let _ = write!(text, "{space}{byte:02x}");
    }
    text
}

fn list(values: &dyn Array) -> String {
    let values: Vec<_> = (0..values.len()).map(|n| text_of(values, n).unwrap_or_else(null)).collect();
    format!("[{}]", values.join(", "))
}

fn entries(entries: impl Iterator<Item = (String, Option<String>)>) -> String {
    let entries: Vec<_> = entries.map(|(key, value)| format!("{key}={}", value.unwrap_or_else(null))).collect();
    format!("{{{}}}", entries.join(", "))
}

fn null() -> String {
    "null".to_owned()
}

fn milliseconds(array: &dyn Array, row: usize, unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1000),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1000),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000_000),
    }
}

fn duration_milliseconds(array: &dyn Array, row: usize, unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => array.as_primitive::<DurationSecondType>().value(row).saturating_mul(1000),
        TimeUnit::Millisecond => array.as_primitive::<DurationMillisecondType>().value(row),
        TimeUnit::Microsecond => array.as_primitive::<DurationMicrosecondType>().value(row) / 1000,
        TimeUnit::Nanosecond => array.as_primitive::<DurationNanosecondType>().value(row) / 1_000_000,
    }
}

/// An interval: days and a time of day.
fn duration(milliseconds: i64) -> String {
    let (sign, whole) = (if milliseconds < 0 { "-" } else { "" }, milliseconds.unsigned_abs());
    let (seconds, fraction) = (whole / 1000, whole % 1000);
    let (days, hours, minutes, seconds) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{sign}{days} {hours:02}:{minutes:02}:{seconds:02}.{fraction:03}")
}

fn timestamp(milliseconds: i64, zone: Option<&str>) -> String {
    let zone = match zone {
        None => String::new(),
        Some("+00:00" | "Z") => " UTC".to_owned(),
        Some(zone) => format!(" {zone}"),
    };
    match DateTime::from_timestamp_millis(milliseconds) {
        Some(time) => format!("{}{zone}", time.format("%Y-%m-%d %H:%M:%S%.3f")),
        None => format!("{milliseconds} ms{zone}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{
        BinaryArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array, ListArray, StructArray,
        TimestampMillisecondArray,
    };
    use datafusion::arrow::datatypes::Field;
    use std::sync::Arc;

    #[test]
    fn floats_are_written_as_java_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (1_234_567.0, "1234567.0"),
            (12_345_678.9, "1.23456789E7"),
            (1e10, "1.0E10"),
            (0.001, "0.001"),
            (0.25, "0.25"),
            (0.000_12, "1.2E-4"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(text_of(&Float64Array::from(vec![value]), 0).as_deref(), Some(text));
        }
        assert_eq!(text_of(&Float32Array::from(vec![0.1]), 0).as_deref(), Some("0.1"));
    }

    #[test]
    fn times_bytes_and_numbers_have_athenas_form() {
        let of = |array: &dyn Array| text_of(array, 0);
        let at = TimestampMillisecondArray::from(vec![1_655_560_800_000, -9_999_999_999_999]);
        assert_eq!(of(&at).as_deref(), Some("2022-06-18 14:00:00.000"));
        assert_eq!(text_of(&at, 1).as_deref(), Some("1653-02-10 06:13:20.001"));
        assert_eq!(of(&at.clone().with_timezone("UTC")).as_deref(), Some("2022-06-18 14:00:00.000 UTC"));
        assert_eq!(of(&Date32Array::from(vec![-135_140])).as_deref(), Some("1600-01-01"));
        assert_eq!(of(&Date32Array::from(vec![19_782])).as_deref(), Some("2024-02-29"));
        assert_eq!(of(&BinaryArray::from(vec![&b"hel"[..]])).as_deref(), Some("68 65 6c"));
        let price = Decimal128Array::from(vec![1250]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(of(&price).as_deref(), Some("12.50"));
        assert_eq!(of(&Int64Array::from(vec![None::<i64>])), None);
    }

    #[test]
    fn what_is_nested_is_written_in_brackets() {
        let numbers = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), None])]);
        assert_eq!(text_of(&numbers, 0).as_deref(), Some("[1, null]"));
        let a: Arc<dyn Array> = Arc::new(Int64Array::from(vec![1]));
        let row = StructArray::from(vec![
            (Arc::new(Field::new("a", DataType::Int64, true)), a),
            (Arc::new(Field::new("b", numbers.data_type().clone(), true)), Arc::new(numbers)),
        ]);
        assert_eq!(text_of(&row, 0).as_deref(), Some("{a=1, b=[1, null]}"));
    }
}
