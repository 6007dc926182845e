//! Parses the texts of JSON values as columns of a type.

use super::dates;
use crate::sql_type::SqlType;
use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, ListArray, MapArray, NullArray, StringBuilder, StructArray,
    TimestampMillisecondArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::kernels::cast_utils::parse_decimal;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, Fields};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value that the type of its column cannot represent, and the reason.
#[derive(Debug)]
pub(super) struct CellError(pub(super) String, pub(super) String);

type Cells<T> = Result<Vec<Option<T>>, CellError>;

/// Parses cells as an array of type `kind`.
pub(super) fn array(kind: &SqlType, cells: &[Option<&str>]) -> Result<ArrayRef, CellError> {
    Ok(match kind {
        SqlType::Boolean => Arc::new(BooleanArray::from(each(cells, boolean)?)),
        SqlType::TinyInt => Arc::new(Int8Array::from(each(cells, integer::<i8>)?)),
        SqlType::SmallInt => Arc::new(Int16Array::from(each(cells, integer::<i16>)?)),
        SqlType::Integer => Arc::new(Int32Array::from(each(cells, integer::<i32>)?)),
        SqlType::BigInt => Arc::new(Int64Array::from(each(cells, integer::<i64>)?)),
        SqlType::Real => Arc::new(Float32Array::from(each(cells, |text| float(text).map(|value| value as f32))?)),
        SqlType::Double => Arc::new(Float64Array::from(each(cells, float)?)),
        SqlType::Decimal { precision, scale } => {
            let value = |text: &str| {
                parse_decimal::<Decimal128Type>(text.trim(), *precision, *scale).map_err(|error| error.to_string())
            };
            let values = Decimal128Array::from(each(cells, value)?);
            let values = values.with_precision_and_scale(*precision, *scale);
            Arc::new(values.map_err(|error| CellError(String::new(), error.to_string()))?)
        }
        SqlType::Varchar(None) => text_array(cells, None),
        SqlType::Varchar(Some(length)) | SqlType::Char(length) => text_array(cells, Some(*length as usize)),
        SqlType::Varbinary => {
            let texts: Vec<_> = cells.iter().map(|cell| cell.map(|cell| plain(cell).into_owned())).collect();
            Arc::new(BinaryArray::from_iter(texts))
        }
        SqlType::Date => Arc::new(Date32Array::from(each(cells, |text| dates::days(text).ok_or_else(input(text)))?)),
        SqlType::Timestamp => {
            let value = |text: &str| dates::milliseconds(text).ok_or_else(input(text));
            Arc::new(TimestampMillisecondArray::from(each(cells, value)?))
        }
        SqlType::Array(item) => list(item, cells)?,
        SqlType::Map(key, value) => map(key, value, cells)?,
        SqlType::Row(fields) => row(fields, cells)?,
        _ => Arc::new(NullArray::new(cells.len())),
    })
}

/// The text of a value: a string without its quotes, any other value unchanged.
fn plain(cell: &str) -> Cow<'_, str> {
    match cell.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Cow::Borrowed(text),
        Some(_) => serde_json::from_str::<String>(cell).map_or(Cow::Borrowed(cell), Cow::Owned),
        None => Cow::Borrowed(cell),
    }
}

fn text_array(cells: &[Option<&str>], length: Option<usize>) -> ArrayRef {
    let mut texts = StringBuilder::with_capacity(cells.len(), cells.iter().flatten().map(|cell| cell.len()).sum());
    for cell in cells {
        let text = cell.map(plain);
        texts.append_option(text.as_ref().map(|text| {
            let end = length.and_then(|length| text.char_indices().nth(length)).map(|(end, _)| end);
            &text[..end.unwrap_or(text.len())]
        }));
    }
    Arc::new(texts.finish())
}

fn each<T>(cells: &[Option<&str>], value: impl Fn(&str) -> Result<T, String>) -> Cells<T> {
    let read = |cell: &Option<&str>| {
        let Some(cell) = cell else { return Ok(None) };
        let text = plain(cell);
        // An empty text is null in all of these types.
        if text.is_empty() {
            return Ok(None);
        }
        value(&text).map(Some).map_err(|why| CellError(text.into_owned(), why))
    };
    cells.iter().map(read).collect()
}

fn input(text: &str) -> impl FnOnce() -> String {
    let message = format!("For input string: \"{text}\"");
    move || message
}

fn boolean(text: &str) -> Result<bool, String> {
    Ok(text.trim().eq_ignore_ascii_case("true"))
}

fn float(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| input(text)())
}

/// Truncates a fraction, as Java's `longValue` does.
fn integer<T: TryFrom<i64> + std::str::FromStr>(text: &str) -> Result<T, String> {
    let trimmed = text.trim();
    if let Ok(value) = trimmed.parse() {
        return Ok(value);
    }
    let truncated = trimmed.parse::<f64>().ok().map(f64::trunc).filter(|value| value.abs() < 9.2e18);
    truncated.and_then(|value| T::try_from(value as i64).ok()).ok_or_else(input(text))
}

fn nested<'a, T: serde::Deserialize<'a>>(cell: &'a str) -> Result<T, CellError> {
    serde_json::from_str(cell).map_err(|error| CellError(cell.to_owned(), error.to_string()))
}

fn raw(value: &RawValue) -> Option<&str> {
    Some(value.get()).filter(|text| *text != "null")
}

fn nulls(cells: &[Option<&str>]) -> NullBuffer {
    cells.iter().map(Option::is_some).collect()
}

fn list(item: &SqlType, cells: &[Option<&str>]) -> Result<ArrayRef, CellError> {
    let (mut items, mut lengths) = (Vec::new(), Vec::with_capacity(cells.len()));
    for cell in cells {
        let before = items.len();
        if let Some(cell) = cell {
            items.extend(nested::<Vec<&RawValue>>(cell)?.into_iter().map(raw));
        }
        lengths.push(items.len() - before);
    }
    let field = Arc::new(Field::new("item", item.arrow(), true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::new(field, offsets, array(item, &items)?, Some(nulls(cells)))))
}

/// JSON keys are texts. They are encoded as JSON again, so that `array` can parse them as their type.
fn map(key: &SqlType, value: &SqlType, cells: &[Option<&str>]) -> Result<ArrayRef, CellError> {
    let (mut keys, mut values, mut lengths) = (Vec::new(), Vec::new(), Vec::with_capacity(cells.len()));
    for cell in cells {
        let before = keys.len();
        if let Some(cell) = cell {
            for (name, item) in nested::<BTreeMap<String, &RawValue>>(cell)? {
                keys.push(serde_json::Value::String(name).to_string());
                values.push(raw(item));
            }
        }
        lengths.push(keys.len() - before);
    }
    let keys: Vec<_> = keys.iter().map(|key| Some(key.as_str())).collect();
    let DataType::Map(entries, _) = SqlType::Map(Box::new(key.clone()), Box::new(value.clone())).arrow() else {
        return Ok(Arc::new(NullArray::new(cells.len())));
    };
    let DataType::Struct(fields) = entries.data_type() else { return Ok(Arc::new(NullArray::new(cells.len()))) };
    let columns = StructArray::new(fields.clone(), vec![array(key, &keys)?, array(value, &values)?], None);
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::new(entries, offsets, columns, Some(nulls(cells)), false)))
}

fn row(fields: &[(String, SqlType)], cells: &[Option<&str>]) -> Result<ArrayRef, CellError> {
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(cells.len(), Some(nulls(cells)))));
    }
    let mut columns = vec![vec![None; cells.len()]; fields.len()];
    for (n, cell) in cells.iter().enumerate() {
        let Some(cell) = cell else { continue };
        for (key, value) in nested::<BTreeMap<Cow<'_, str>, &RawValue>>(cell)? {
            if let Some(field) = fields.iter().position(|(name, _)| name.eq_ignore_ascii_case(&key)) {
                columns[field][n] = raw(value);
            }
        }
    }
    let named: Fields = fields.iter().map(|(name, kind)| Field::new(name, kind.arrow(), true)).collect();
    let arrays = fields.iter().zip(&columns).map(|((_, kind), cells)| array(kind, cells));
    Ok(Arc::new(StructArray::new(named, arrays.collect::<Result<_, _>>()?, Some(nulls(cells)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_of;

    fn check(kind: &str, json: &str, expected: Option<&str>) {
        let kind = SqlType::from_hive(kind).unwrap();
        let array = array(&kind, &[Some(json)]).unwrap();
        assert_eq!(array.data_type(), &kind.arrow());
        assert_eq!(text_of(array.as_ref(), 0).as_deref(), expected, "{json}");
    }

    #[test]
    fn value_is_parsed_as_type_of_column() {
        check("string", r#""a\"b""#, Some("a\"b"));
        check("string", "1.50", Some("1.50"));
        check("string", r#"{"a":1}"#, Some(r#"{"a":1}"#));
        check("varchar(2)", r#""äöü""#, Some("äö"));
        check("bigint", r#""12""#, Some("12"));
        check("bigint", "1.9", Some("1"));
        check("bigint", "-1.9e3", Some("-1900"));
        check("int", r#""""#, None);
        check("double", "1", Some("1.0"));
        check("float", r#""-0.5""#, Some("-0.5"));
        check("boolean", r#""TRUE""#, Some("true"));
        check("decimal(10,0)", "3", Some("3"));
        check("date", r#""1600-01-01""#, Some("1600-01-01"));
        check("timestamp", "1655560800000", Some("2022-06-18 14:00:00.000"));
        check("array<int>", "[1,null,3]", Some("[1, null, 3]"));
        check("struct<a:int,b:string>", r#"{"B":"x","A":1,"c":2}"#, Some("{a=1, b=x}"));
        check("map<string,double>", r#"{"k":1}"#, Some("{k=1.0}"));
    }

    #[test]
    fn value_outside_of_type_is_error() {
        for (kind, json) in [("bigint", r#""x""#), ("tinyint", "300"), ("date", r#""yesterday""#), ("array<int>", "1")]
        {
            assert!(array(&SqlType::from_hive(kind).unwrap(), &[Some(json)]).is_err(), "{kind} {json}");
        }
    }
}
