//! Athena's types in the spelling of Hive (in Glue and DDL), Trino (in SQL and answers) and Arrow (in memory).

mod hive;

use datafusion::arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use std::fmt;
use std::sync::Arc;

pub use hive::NotHive;

/// The precision that Athena reports for text without a length.
const VARCHAR_LENGTH_MAX: u32 = 2_147_483_647;
/// The precision that Athena reports for bytes.
const VARBINARY_LENGTH_MAX: u32 = 1_073_741_824;

/// A type of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlType {
    /// True or false.
    Boolean,
    /// 8 bits.
    TinyInt,
    /// 16 bits.
    SmallInt,
    /// 32 bits.
    Integer,
    /// 64 bits.
    BigInt,
    /// A 32-bit float: `real`, Hive's `float`.
    Real,
    /// A 64-bit float.
    Double,
    /// An exact number.
    Decimal {
        /// Its digits, at most 38.
        precision: u8,
        /// Those after the point.
        scale: i8,
    },
    /// Text, of at most so many characters.
    Varchar(Option<u32>),
    /// Text of so many characters.
    Char(u32),
    /// Bytes.
    Varbinary,
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A day and a time of day, in milliseconds.
    Timestamp,
    /// An instant, in milliseconds.
    TimestampWithZone,
    /// Months.
    IntervalYearToMonth,
    /// Days and less.
    IntervalDayToSecond,
    /// Values of one type.
    Array(Box<SqlType>),
    /// Keys to values.
    Map(Box<SqlType>, Box<SqlType>),
    /// Named values.
    Row(Vec<(String, SqlType)>),
    /// The type of a null without a cast.
    Unknown,
}

impl SqlType {
    /// The API's name of the type, without parameters: `varchar`, `array`, `float`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::TinyInt => "tinyint",
            Self::SmallInt => "smallint",
            Self::Integer => "integer",
            Self::BigInt => "bigint",
            Self::Real => "float",
            Self::Double => "double",
            Self::Decimal { .. } => "decimal",
            Self::Varchar(_) => "varchar",
            Self::Char(_) => "char",
            Self::Varbinary => "varbinary",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampWithZone => "timestamp with time zone",
            Self::IntervalYearToMonth => "interval year to month",
            Self::IntervalDayToSecond => "interval day to second",
            Self::Array(_) => "array",
            Self::Map(..) => "map",
            Self::Row(_) => "row",
            Self::Unknown => "unknown",
        }
    }

    /// The precision that the API reports.
    pub fn precision(&self) -> u32 {
        match self {
            Self::TinyInt => 3,
            Self::SmallInt => 5,
            Self::Integer => 10,
            Self::BigInt => 19,
            Self::Real | Self::Double => 17,
            Self::Decimal { precision, .. } => u32::from(*precision),
            Self::Varchar(length) => length.unwrap_or(VARCHAR_LENGTH_MAX),
            Self::Char(length) => *length,
            Self::Varbinary => VARBINARY_LENGTH_MAX,
            Self::Time | Self::Timestamp | Self::TimestampWithZone => 3,
            _ => 0,
        }
    }

    /// The scale that the API reports.
    pub fn scale(&self) -> u32 {
        match self {
            Self::Decimal { scale, .. } => u32::try_from(*scale).unwrap_or_default(),
            _ => 0,
        }
    }

    /// Whether values are text, which is case-sensitive.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Varchar(_) | Self::Char(_))
    }

    /// The type of an Arrow array.
    pub fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::TinyInt,
            DataType::Int16 | DataType::UInt8 => Self::SmallInt,
            DataType::Int32 | DataType::UInt16 => Self::Integer,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Self::BigInt,
            DataType::Float16 | DataType::Float32 => Self::Real,
            DataType::Float64 => Self::Double,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => {
                Self::Decimal { precision: (*precision).min(38), scale: *scale }
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Varchar(None),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Varbinary
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::TimestampWithZone,
            DataType::Interval(IntervalUnit::YearMonth) => Self::IntervalYearToMonth,
            DataType::Interval(_) | DataType::Duration(_) => Self::IntervalDayToSecond,
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => Self::Array(Box::new(Self::of(item.data_type()))),
            DataType::Struct(fields) => {
                Self::Row(fields.iter().map(|field| (field.name().clone(), Self::of(field.data_type()))).collect())
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => {
                    Self::Map(Box::new(Self::of(fields[0].data_type())), Box::new(Self::of(fields[1].data_type())))
                }
                _ => Self::Unknown,
            },
            DataType::Dictionary(_, value) => Self::of(value),
            DataType::RunEndEncoded(_, value) => Self::of(value.data_type()),
            DataType::Null | DataType::Union(..) => Self::Unknown,
        }
    }

    /// The Arrow type.
    pub fn arrow(&self) -> DataType {
        let field = |name: &str, kind: &SqlType| Field::new(name, kind.arrow(), true);
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Varchar(_) | Self::Char(_) => DataType::Utf8,
            Self::Varbinary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time32(TimeUnit::Millisecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
            Self::TimestampWithZone => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::IntervalYearToMonth => DataType::Interval(IntervalUnit::YearMonth),
            Self::IntervalDayToSecond => DataType::Interval(IntervalUnit::DayTime),
            Self::Array(item) => DataType::List(Arc::new(field("item", item))),
            Self::Map(key, value) => {
                let entries = Fields::from(vec![Field::new("key", key.arrow(), false), field("value", value)]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
            }
            Self::Row(fields) => {
                DataType::Struct(fields.iter().map(|(name, kind)| Arc::new(field(name, kind))).collect())
            }
            Self::Unknown => DataType::Null,
        }
    }
}

/// Trino's spelling: `varchar(10)`, `row(a integer, b array(double))`.
impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => f.write_str("real"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Varchar(Some(length)) => write!(f, "varchar({length})"),
            Self::Char(length) => write!(f, "char({length})"),
            Self::Timestamp => f.write_str("timestamp(3)"),
            Self::TimestampWithZone => f.write_str("timestamp(3) with time zone"),
            Self::Array(item) => write!(f, "array({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Row(fields) => {
                f.write_str("row(")?;
                for (n, (name, kind)) in fields.iter().enumerate() {
                    let comma = if n == 0 { "" } else { ", " };
                    write!(f, "{comma}{name} {kind}")?;
                }
                f.write_str(")")
            }
            _ => f.write_str(self.name()),
        }
    }
}
