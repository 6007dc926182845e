//! Scalar functions of texts, numbers and times.

use super::{json_path, pattern, times};
use crate::sql_type::SqlType;
use crate::text::text_of;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Computes a function from the arrays of its arguments and the number of rows.
type Body = fn(&[ArrayRef], usize) -> Result<ArrayRef>;

/// A scalar function for DataFusion.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Scalar {
    name: &'static str,
    signature: Signature,
    answer: DataType,
    body: BodyOf,
}

/// Compares bodies by the names of their functions.
#[derive(Clone, Copy)]
struct BodyOf(&'static str, Body);

impl std::fmt::Debug for BodyOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl PartialEq for BodyOf {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for BodyOf {}

impl std::hash::Hash for BodyOf {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        // Adding to a date, or truncating one, returns a date.
        Ok(match arguments {
            [_, _, DataType::Date32] if self.name == "date_add" => DataType::Date32,
            [_, DataType::Date32] if self.name == "athena_truncated" => DataType::Date32,
            [kind, ..] if matches!(self.name, "athena_truncated" | "athena_whole") => kind.clone(),
            _ => self.answer.clone(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.into_iter().map(|value| value.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let answer = (self.body.1)(&arrays, rows)?;
        Ok(ColumnarValue::Array(cast(&answer, args.return_field.data_type())?))
    }
}

const MILLISECONDS: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

pub(super) fn all() -> Vec<Scalar> {
    let text = || vec![DataType::Utf8];
    let one = |name, takes: Vec<DataType>, answer, body: Body| Scalar {
        name,
        signature: Signature::exact(takes, Volatility::Immutable),
        answer,
        body: BodyOf(name, body),
    };
    let any = |name, count, answer, body: Body| Scalar {
        name,
        signature: Signature::any(count, Volatility::Immutable),
        answer,
        body: BodyOf(name, body),
    };
    let instant = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    vec![
        any("athena_text", 1, DataType::Utf8, as_text),
        any("athena_truncated", 2, MILLISECONDS, |arrays, _| Ok(Arc::clone(&arrays[0]))),
        any("athena_whole", 1, DataType::Float64, whole),
        Scalar {
            name: "athena_substr",
            signature: Signature::variadic_any(Volatility::Immutable),
            answer: DataType::Utf8,
            body: BodyOf("athena_substr", substr),
        },
        any("typeof", 1, DataType::Utf8, type_of),
        one("from_unixtime", vec![DataType::Float64], instant.clone(), from_unixtime),
        any("to_unixtime", 1, DataType::Float64, to_unixtime),
        one("from_iso8601_timestamp", text(), instant, from_iso8601),
        any("date_diff", 3, DataType::Int64, date_diff),
        any("date_add", 3, MILLISECONDS, date_add),
        any("date_format", 2, DataType::Utf8, date_format),
        one("date_parse", vec![DataType::Utf8; 2], MILLISECONDS, date_parse),
        one("json_extract_scalar", vec![DataType::Utf8; 2], DataType::Utf8, json_scalar),
        one("json_extract", vec![DataType::Utf8; 2], DataType::Utf8, json_value),
        Scalar {
            name: "regexp_extract",
            signature: Signature::variadic_any(Volatility::Immutable),
            answer: DataType::Utf8,
            body: BodyOf("regexp_extract", regexp_extract),
        },
    ]
}

/// The values of an array as texts, in the format of CSV.
fn as_text(arrays: &[ArrayRef], _: usize) -> Result<ArrayRef> {
    if matches!(arrays[0].data_type(), DataType::Utf8) {
        return Ok(Arc::clone(&arrays[0]));
    }
    let array = &arrays[0];
    Ok(Arc::new(StringArray::from_iter((0..array.len()).map(|row| text_of(array.as_ref(), row)))))
}

/// Rounds before a cast to a whole number, half away from zero. Other types stay unchanged.
fn whole(arrays: &[ArrayRef], _: usize) -> Result<ArrayRef> {
    Ok(match arrays[0].data_type() {
        DataType::Float64 => Arc::new(arrays[0].as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round)),
        DataType::Float32 => Arc::new(arrays[0].as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round)),
        _ => Arc::clone(&arrays[0]),
    })
}

/// The text from a character on, counted from 1, or from the end if negative. It is empty at 0 and outside of the text.
fn substr(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let [text, numbers @ ..] = arrays else { return Err(wrong("substr needs a text".to_owned())) };
    if !(1..=2).contains(&numbers.len()) {
        return Err(wrong(format!("substr takes 2 or 3 arguments, not {}", arrays.len())));
    }
    let text = cast(text, &DataType::Utf8)?;
    let numbers = numbers.iter().map(|array| cast(array, &DataType::Int64)).collect::<Result<Vec<_>, _>>()?;
    let one = |row: usize| {
        if text.is_null(row) || numbers.iter().any(|array| array.is_null(row)) {
            return None;
        }
        let text = text.as_string::<i32>().value(row);
        let number = |n: usize| numbers.get(n).map(|array| array.as_primitive::<Int64Type>().value(row));
        let start = match number(0) {
            Some(start @ 1..) => usize::try_from(start - 1).ok(),
            Some(start @ ..=-1) => {
                let back = usize::try_from(start.unsigned_abs()).ok();
                back.and_then(|back| text.chars().count().checked_sub(back))
            }
            _ => None,
        };
        let Some(start) = start else { return Some(String::new()) };
        let length = number(1).map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(0));
        Some(text.chars().skip(start).take(length).collect())
    };
    Ok(Arc::new(StringArray::from_iter((0..rows).map(one))))
}

fn type_of(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let kind = SqlType::of(arrays[0].data_type()).to_string();
    Ok(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(kind, rows))))
}

fn from_unixtime(arrays: &[ArrayRef], _: usize) -> Result<ArrayRef> {
    let seconds = arrays[0].as_primitive::<Float64Type>();
    let times = seconds.iter().map(|seconds| seconds.map(|seconds| (seconds * 1000.0).round() as i64));
    Ok(Arc::new(TimestampMillisecondArray::from_iter(times).with_timezone("UTC")))
}

/// Converts dates and timestamps of any unit to milliseconds without a zone.
fn milliseconds(array: &ArrayRef) -> Result<TimestampMillisecondArray> {
    let plain = match array.data_type() {
        DataType::Timestamp(_, Some(_)) => {
            cast(array, &DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())))?
        }
        _ => cast(array, &MILLISECONDS)?,
    };
    Ok(plain.as_primitive::<TimestampMillisecondType>().clone().with_timezone_opt(None::<Arc<str>>))
}

fn to_unixtime(arrays: &[ArrayRef], _: usize) -> Result<ArrayRef> {
    let times = milliseconds(&arrays[0])?;
    Ok(Arc::new(Float64Array::from_iter(times.iter().map(|time| time.map(|time| time as f64 / 1000.0)))))
}

fn wrong(why: String) -> DataFusionError {
    DataFusionError::Execution(why)
}

fn texts(array: &ArrayRef) -> Result<StringArray> {
    Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn from_iso8601(arrays: &[ArrayRef], _: usize) -> Result<ArrayRef> {
    let read = |text: &str| times::iso8601(text).ok_or_else(|| wrong(format!("Invalid format: \"{text}\"")));
    let times = arrays[0].as_string::<i32>().iter().map(|text| text.map(read).transpose());
    Ok(Arc::new(times.collect::<Result<TimestampMillisecondArray>>()?.with_timezone("UTC")))
}

fn date_diff(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (units, from, to) = (texts(&arrays[0])?, milliseconds(&arrays[1])?, milliseconds(&arrays[2])?);
    let one = |row: usize| -> Result<Option<i64>> {
        if units.is_null(row) || from.is_null(row) || to.is_null(row) {
            return Ok(None);
        }
        times::between(units.value(row), from.value(row), to.value(row)).map(Some).map_err(wrong)
    };
    Ok(Arc::new((0..rows).map(one).collect::<Result<Int64Array>>()?))
}

fn date_add(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (units, counts, from) = (texts(&arrays[0])?, cast(&arrays[1], &DataType::Int64)?, milliseconds(&arrays[2])?);
    let counts = counts.as_primitive::<Int64Type>();
    let one = |row: usize| -> Result<Option<i64>> {
        if units.is_null(row) || counts.is_null(row) || from.is_null(row) {
            return Ok(None);
        }
        times::later(units.value(row), counts.value(row), from.value(row)).map(Some).map_err(wrong)
    };
    Ok(Arc::new((0..rows).map(one).collect::<Result<TimestampMillisecondArray>>()?))
}

fn date_format(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (times, formats) = (milliseconds(&arrays[0])?, texts(&arrays[1])?);
    let one = |row: usize| -> Result<Option<String>> {
        if times.is_null(row) || formats.is_null(row) {
            return Ok(None);
        }
        times::format_time(times.value(row), formats.value(row)).map(Some).map_err(wrong)
    };
    Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray>>()?))
}

fn date_parse(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (values, formats) = (texts(&arrays[0])?, texts(&arrays[1])?);
    let one = |row: usize| -> Result<Option<i64>> {
        if values.is_null(row) || formats.is_null(row) {
            return Ok(None);
        }
        times::parse_time(values.value(row), formats.value(row)).map(Some).map_err(wrong)
    };
    Ok(Arc::new((0..rows).map(one).collect::<Result<TimestampMillisecondArray>>()?))
}

fn of_json(arrays: &[ArrayRef], rows: usize, one: fn(&serde_json::Value) -> Option<String>) -> Result<ArrayRef> {
    let (values, paths) = (texts(&arrays[0])?, texts(&arrays[1])?);
    let value = |row: usize| -> Result<Option<String>> {
        if values.is_null(row) || paths.is_null(row) {
            return Ok(None);
        }
        Ok(json_path::extract(values.value(row), paths.value(row)).map_err(wrong)?.as_ref().and_then(one))
    };
    Ok(Arc::new((0..rows).map(value).collect::<Result<StringArray>>()?))
}

fn json_scalar(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    of_json(arrays, rows, |value| match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Some(value.to_string()),
        _ => None,
    })
}

fn json_value(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    of_json(arrays, rows, |value| Some(value.to_string()))
}

fn regexp_extract(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let [values, patterns, group @ ..] = arrays else {
        return Err(wrong("regexp_extract takes a text and a pattern".into()));
    };
    let (values, patterns) = (texts(values)?, texts(patterns)?);
    let groups = group.first().map(|groups| cast(groups, &DataType::Int64)).transpose()?;
    let group = |row: usize| groups.as_ref().map_or(0, |groups| groups.as_primitive::<Int64Type>().value(row));
    let mut compiled = pattern::Patterns::default();
    let mut one = |row: usize| -> Result<Option<String>> {
        if values.is_null(row) || patterns.is_null(row) {
            return Ok(None);
        }
        compiled.first(patterns.value(row), values.value(row), group(row)).map_err(wrong)
    };
    let mut found = Vec::with_capacity(rows);
    for row in 0..rows {
        found.push(one(row)?);
    }
    Ok(Arc::new(StringArray::from(found)))
}
