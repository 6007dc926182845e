//! Scalar functions of texts, numbers and times.

use super::{json_path, times};
use crate::sql_type::SqlType;
use crate::text::text_of;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use regex::Regex;
use std::sync::Arc;

/// Computes a function from the arrays of its arguments and the number of rows.
type Body = fn(&[ArrayRef], usize) -> Result<ArrayRef>;

/// A scalar function for DataFusion.
#[derive(Debug)]
pub(super) struct Scalar {
    name: &'static str,
    signature: Signature,
    answer: DataType,
    body: Body,
}

/// Functions of one name are one function.
impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Scalar {}

impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
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
        let answer = (self.body)(&arrays, rows)?;
        Ok(ColumnarValue::Array(cast(&answer, args.return_field.data_type())?))
    }
}

const MILLISECONDS: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

pub(super) fn all() -> Vec<Scalar> {
    let of = |name, takes: TypeSignature, answer, body: Body| {
        let signature = Signature::new(takes, Volatility::Immutable);
        Scalar { name, signature, answer, body }
    };
    let exact = |takes: &[DataType]| TypeSignature::Exact(takes.to_vec());
    let (any, text) = (TypeSignature::Any, DataType::Utf8);
    let texts = || exact(&[DataType::Utf8, DataType::Utf8]);
    let instant = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    vec![
        of("athena_text", any(1), text.clone(), as_text),
        of("athena_truncated", any(2), MILLISECONDS, |arrays, _| Ok(Arc::clone(&arrays[0]))),
        of("athena_whole", any(1), DataType::Float64, whole),
        of("athena_substr", TypeSignature::VariadicAny, text.clone(), substr),
        of("typeof", any(1), text.clone(), type_of),
        of("from_unixtime", exact(&[DataType::Float64]), instant.clone(), from_unixtime),
        of("to_unixtime", any(1), DataType::Float64, to_unixtime),
        of("from_iso8601_timestamp", exact(&[DataType::Utf8]), instant, from_iso8601),
        of("date_diff", any(3), DataType::Int64, date_diff),
        of("date_add", any(3), MILLISECONDS, date_add),
        of("date_format", any(2), text.clone(), date_format),
        of("date_parse", texts(), MILLISECONDS, date_parse),
        of("json_extract_scalar", texts(), text.clone(), json_scalar),
        of("json_extract", texts(), text.clone(), json_value),
        of("regexp_extract", TypeSignature::VariadicAny, text, regexp_extract),
    ]
}

/// Computes a function row by row. It is null where one of `arrays` is.
fn each_row<T, A>(
    arrays: &[&dyn Array],
    rows: usize,
    mut one: impl FnMut(usize) -> Result<Option<T>, String>,
) -> Result<ArrayRef>
where
    A: Array + FromIterator<Option<T>> + 'static,
{
    let value = |row: usize| match arrays.iter().any(|array| array.is_null(row)) {
        true => Ok(None),
        false => one(row).map_err(DataFusionError::Execution),
    };
    Ok(Arc::new((0..rows).map(value).collect::<Result<A>>()?))
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
    let mut arguments: Vec<&dyn Array> = vec![&text];
    arguments.extend(numbers.iter().map(AsRef::as_ref));
    each_row::<_, StringArray>(&arguments, rows, |row| {
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
        let length = number(1).map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(0));
        Ok(Some(start.map_or_else(String::new, |start| text.chars().skip(start).take(length).collect())))
    })
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

fn from_iso8601(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let texts = texts(&arrays[0])?;
    let times = each_row::<_, TimestampMillisecondArray>(&[&texts], rows, |row| {
        let text = texts.value(row);
        times::iso8601(text).map(Some).ok_or_else(|| format!("Invalid format: \"{text}\""))
    })?;
    Ok(Arc::new(times.as_primitive::<TimestampMillisecondType>().clone().with_timezone("UTC")))
}

fn date_diff(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (units, from, to) = (texts(&arrays[0])?, milliseconds(&arrays[1])?, milliseconds(&arrays[2])?);
    each_row::<_, Int64Array>(&[&units, &from, &to], rows, |row| {
        times::between(units.value(row), from.value(row), to.value(row)).map(Some)
    })
}

fn date_add(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (units, counts, from) = (texts(&arrays[0])?, cast(&arrays[1], &DataType::Int64)?, milliseconds(&arrays[2])?);
    let counts = counts.as_primitive::<Int64Type>();
    each_row::<_, TimestampMillisecondArray>(&[&units, counts, &from], rows, |row| {
        times::later(units.value(row), counts.value(row), from.value(row)).map(Some)
    })
}

fn date_format(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (times, formats) = (milliseconds(&arrays[0])?, texts(&arrays[1])?);
    each_row::<_, StringArray>(&[&times, &formats], rows, |row| {
        times::format_time(times.value(row), formats.value(row)).map(Some)
    })
}

fn date_parse(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (values, formats) = (texts(&arrays[0])?, texts(&arrays[1])?);
    each_row::<_, TimestampMillisecondArray>(&[&values, &formats], rows, |row| {
        times::parse_time(values.value(row), formats.value(row)).map(Some)
    })
}

fn of_json(arrays: &[ArrayRef], rows: usize, one: fn(&serde_json::Value) -> Option<String>) -> Result<ArrayRef> {
    let (values, paths) = (texts(&arrays[0])?, texts(&arrays[1])?);
    each_row::<_, StringArray>(&[&values, &paths], rows, |row| {
        Ok(json_path::extract(values.value(row), paths.value(row))?.as_ref().and_then(one))
    })
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

/// A group of the first match. Group 0, the default, is the whole match.
fn regexp_extract(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let [values, patterns, groups @ ..] = arrays else {
        return Err(wrong("regexp_extract takes a text and a pattern".into()));
    };
    let (values, patterns) = (texts(values)?, texts(patterns)?);
    let groups = groups.first().map(|groups| cast(groups, &DataType::Int64)).transpose()?;
    let mut compiled: Option<Regex> = None;
    each_row::<_, StringArray>(&[&values, &patterns], rows, |row| {
        let regex = match compiled.take().filter(|regex| regex.as_str() == patterns.value(row)) {
            Some(regex) => regex,
            None => Regex::new(patterns.value(row)).map_err(|error| error.to_string())?,
        };
        let regex = compiled.insert(regex);
        let group = groups.as_ref().map_or(0, |groups| groups.as_primitive::<Int64Type>().value(row));
        let group = usize::try_from(group).ok().filter(|group| *group < regex.captures_len());
        let group =
            group.ok_or_else(|| format!("Pattern has {} groups. Cannot access group", regex.captures_len() - 1))?;
        let found = regex.captures(values.value(row)).and_then(|captures| captures.get(group));
        Ok(found.map(|found| found.as_str().to_owned()))
    })
}
