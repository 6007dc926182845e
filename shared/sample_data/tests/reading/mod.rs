//! A simple, slow and strict reader of landing files. It returns the legal rows.

use std::io::Read;

use serde_json::{Map, Value};

/// A row: its fields by name, each as text.
pub(crate) type Row = Vec<(String, String)>;

const FIELDS: [(&str, &[(&str, Kind)]); 3] = [
    (
        "customer",
        &[
            ("customername", Kind::Text { required: false }),
            ("email", Kind::Text { required: true }),
            ("phone", Kind::Text { required: false }),
            ("birthday", Kind::Text { required: false }),
            ("serialnumber", Kind::Text { required: false }),
            ("registrationdate", Kind::Date),
            ("lastupdatedate", Kind::Date),
            ("sharewithresearchasofdate", Kind::Date),
            ("sharewithpublicasofdate", Kind::Date),
            ("sharewithfriendsasofdate", Kind::Date),
        ],
    ),
    (
        "accelerometer",
        &[
            ("user", Kind::Text { required: true }),
            ("timestamp", Kind::Time),
            ("x", Kind::Double),
            ("y", Kind::Double),
            ("z", Kind::Double),
        ],
    ),
    (
        "step_trainer",
        &[
            ("sensorreadingtime", Kind::Time),
            ("serialnumber", Kind::Text { required: true }),
            ("distancefromobject", Kind::Distance),
        ],
    ),
];

#[derive(Clone, Copy)]
enum Kind {
    Text { required: bool },
    Date,
    Time,
    Double,
    Distance,
}

/// Returns the legal rows of a file, compressed or not; none if it cannot be decoded.
pub(crate) fn legal_rows(source: &str, bytes: &[u8]) -> Vec<Row> {
    let mut unpacked = Vec::new();
    let decoded = match bytes {
        [0x1f, 0x8b, ..] => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut unpacked).is_ok(),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::stream::copy_decode(bytes, &mut unpacked).is_ok(),
        _ => {
            unpacked = bytes.to_vec();
            true
        }
    };
    if !decoded {
        return Vec::new();
    }
    let text = unpacked.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&unpacked);
    // The file is one array or concatenated records. Otherwise it is lines, and most of them are one record each.
    let lines: Vec<Value> = text.split(|byte| *byte == b'\n').flat_map(records).collect();
    let whole = records(text);
    let records = if whole.is_empty() { lines } else { whole };
    records.iter().filter_map(|record| row(source, record.as_object()?)).collect()
}

/// Returns the values of `text`; none if a part of it is not JSON. A record with a duplicate field becomes `null`.
fn records(text: &[u8]) -> Vec<Value> {
    let values: Result<Vec<Strict>, _> = serde_json::Deserializer::from_slice(text).into_iter().collect();
    let mut records = Vec::new();
    for Strict(value) in values.unwrap_or_default() {
        match value {
            Value::Array(elements) => records.extend(elements),
            value => records.push(value),
        }
    }
    records
}

fn row(source: &str, record: &Map<String, Value>) -> Option<Row> {
    let (_, fields) = FIELDS.iter().find(|(name, _)| *name == source)?;
    let mut row = Row::new();
    for (name, kind) in *fields {
        if let Some(value) = legal(*kind, record.get(*name).unwrap_or(&Value::Null))? {
            row.push(((*name).to_owned(), value));
        }
    }
    Some(row)
}

/// Returns the value as text, `Some(None)` for an absent value, and `None` for an illegal value.
fn legal(kind: Kind, value: &Value) -> Option<Option<String>> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse::<f64>().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite());
    let whole = number.filter(|number| number.fract() == 0.0);
    let some = |number: f64| Some(Some(number.to_string()));
    const YEAR_2000: f64 = 946_684_800_000.0;
    const YEAR_2100: f64 = 4_102_444_800_000.0;
    match kind {
        Kind::Text { required } => match value {
            Value::String(text) => Some(Some(text.clone())),
            Value::Number(number) => Some(Some(number.to_string())),
            Value::Null if !required => Some(None),
            _ => None,
        },
        Kind::Date if value.is_null() || value == "" => Some(None),
        // The date 0 means that there is none.
        Kind::Date if whole == Some(0.0) => Some(None),
        Kind::Date | Kind::Time => whole.filter(|time| (YEAR_2000..YEAR_2100).contains(time)).and_then(some),
        Kind::Double => number.and_then(some),
        Kind::Distance => whole.filter(|number| number.abs() < 2e9).and_then(some),
    }
}

/// A JSON value with lower-case names. An object with a duplicate field becomes `null`.
struct Strict(Value);

impl<'de> serde::Deserialize<'de> for Strict {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> serde::de::Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let (mut map, mut twice) = (Map::new(), false);
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            twice |= map.insert(name.to_ascii_lowercase(), value).is_some();
        }
        Ok(if twice { Value::Null } else { Value::Object(map) })
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Strict(element)) = access.next_element()? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, _: &str) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}
