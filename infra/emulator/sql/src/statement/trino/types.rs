//! Translates the names of types in casts from Trino's into those of DataFusion's parser.

use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, TimezoneInfo};

/// The precision of milliseconds, the only one of Athena's tables.
const TIMESTAMP_PRECISION: u64 = 3;

/// The maximum length of a text type, if it has one; none for other types.
pub(super) fn text_length(kind: &DataType) -> Option<Option<u64>> {
    match kind {
        DataType::Varchar(length) | DataType::Char(length) | DataType::CharacterVarying(length) => {
            Some(length.as_ref().and_then(|length| match length {
                CharacterLength::IntegerLength { length, .. } => Some(*length),
                CharacterLength::Max => None,
            }))
        }
        DataType::Text | DataType::String(_) => Some(None),
        _ => None,
    }
}

/// DataFusion's type; none if DataFusion lacks it.
pub(super) fn replaced(kind: &DataType) -> Option<DataType> {
    Some(match kind {
        DataType::Timestamp(_, zone) => DataType::Timestamp(Some(TIMESTAMP_PRECISION), *zone),
        DataType::Varbinary(_) | DataType::Binary(_) => DataType::Bytea,
        DataType::Dec(info) => DataType::Decimal(*info),
        DataType::Decimal(ExactNumberInfo::None) => DataType::Decimal(ExactNumberInfo::PrecisionAndScale(38, 0)),
        DataType::JSON => return None,
        DataType::Array(ArrayElemTypeDef::Parenthesis(item) | ArrayElemTypeDef::AngleBracket(item)) => {
            DataType::Array(ArrayElemTypeDef::AngleBracket(Box::new(replaced(item)?)))
        }
        DataType::Custom(name, modifiers) if name.to_string() == "array" && modifiers.len() == 1 => {
            DataType::Array(ArrayElemTypeDef::AngleBracket(Box::new(named(&modifiers[0])?)))
        }
        DataType::Custom(..) => return None,
        other => other.clone(),
    })
}

fn named(name: &str) -> Option<DataType> {
    Some(match name.to_lowercase().as_str() {
        "varchar" => DataType::Varchar(None),
        "bigint" => DataType::BigInt(None),
        "integer" | "int" => DataType::Int(None),
        "double" => DataType::Double(ExactNumberInfo::None),
        "real" => DataType::Real,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp(Some(TIMESTAMP_PRECISION), TimezoneInfo::None),
        _ => return None,
    })
}
