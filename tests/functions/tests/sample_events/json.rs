//! JSON whose fields keep their order, which is the one that AWS documents.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// A JSON value.
pub(crate) enum Json {
    Text(String),
    Number(u64),
    List(Vec<Json>),
    Fields(Vec<(&'static str, Json)>),
}

/// `fields! {"a": 1, "b": "text"}`
macro_rules! fields {
    ($($name:literal: $value:expr),* $(,)?) => {
        $crate::json::Json::Fields(vec![$(($name, $crate::json::Json::from($value))),*])
    };
}
pub(crate) use fields;

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<Vec<Json>> for Json {
    fn from(values: Vec<Json>) -> Self {
        Self::List(values)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::List(values) => values.serialize(serializer),
            Self::Fields(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}
