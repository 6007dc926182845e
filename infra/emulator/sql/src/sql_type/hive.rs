//! Hive's spelling of types, in Glue and in DDL.

use super::SqlType;

/// The deepest nesting of types.
const DEPTH_MAX: usize = 64;

/// A text that is not a type of Hive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not a type: expected a type such as string, bigint, double, decimal(10,2), array<int>, struct<a:int>"
)]
pub struct NotHive {
    given: String,
}

impl SqlType {
    /// Parses a type in Hive's spelling: `bigint`, `array<struct<a:int>>`.
    ///
    /// # Errors
    /// If Athena does not know the type.
    pub fn from_hive(text: &str) -> Result<Self, NotHive> {
        let given = text.to_ascii_lowercase();
        let mut reader = Reader { rest: given.trim() };
        let found = reader.read(0).filter(|_| reader.rest.is_empty());
        found.ok_or_else(|| NotHive { given: text.to_owned() })
    }

    /// Hive's spelling of the type; none if Hive lacks it.
    pub fn to_hive(&self) -> Option<String> {
        Some(match self {
            Self::Integer => "int".to_owned(),
            Self::Real => "float".to_owned(),
            Self::Varchar(None) => "string".to_owned(),
            Self::Varbinary => "binary".to_owned(),
            Self::Timestamp => "timestamp".to_owned(),
            Self::Array(item) => format!("array<{}>", item.to_hive()?),
            Self::Map(key, value) => format!("map<{},{}>", key.to_hive()?, value.to_hive()?),
            Self::Row(fields) => {
                let field = |(name, kind): &(String, SqlType)| Some(format!("{name}:{}", kind.to_hive()?));
                format!("struct<{}>", fields.iter().map(field).collect::<Option<Vec<_>>>()?.join(","))
            }
            Self::Time
            | Self::TimestampWithZone
            | Self::IntervalYearToMonth
            | Self::IntervalDayToSecond
            | Self::Unknown => return None,
            _ => self.to_string(),
        })
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '.' | '@')));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        word
    }

    fn name(&mut self) -> Option<&'a str> {
        let Some(quoted) = self.rest.strip_prefix('`') else {
            return Some(self.word()).filter(|word| !word.is_empty());
        };
        let (name, rest) = quoted.split_once('`')?;
        self.rest = rest.trim_start();
        Some(name)
    }

    fn take(&mut self, sign: char) -> bool {
        let rest = self.rest.strip_prefix(sign);
        if let Some(rest) = rest {
            self.rest = rest.trim_start();
        }
        rest.is_some()
    }

    fn number(&mut self) -> Option<u32> {
        self.word().parse().ok()
    }

    /// Reads an optional `(n)`.
    fn length(&mut self) -> Option<Option<u32>> {
        if !self.take('(') {
            return Some(None);
        }
        let number = self.number()?;
        self.take(')').then_some(Some(number))
    }

    fn read(&mut self, depth: usize) -> Option<SqlType> {
        if depth > DEPTH_MAX {
            return None;
        }
        Some(match self.word() {
            "boolean" => SqlType::Boolean,
            "tinyint" => SqlType::TinyInt,
            "smallint" => SqlType::SmallInt,
            "int" | "integer" => SqlType::Integer,
            "bigint" => SqlType::BigInt,
            "float" | "real" => SqlType::Real,
            "double" => {
                self.rest = self.rest.strip_prefix("precision").unwrap_or(self.rest).trim_start();
                SqlType::Double
            }
            "string" => SqlType::Varchar(None),
            "varchar" => SqlType::Varchar(self.length()?),
            "char" => SqlType::Char(self.length()?.unwrap_or(1)),
            "binary" | "varbinary" => SqlType::Varbinary,
            "date" => SqlType::Date,
            "timestamp" => SqlType::Timestamp,
            "decimal" | "numeric" => self.decimal()?,
            "array" => {
                self.take('<').then_some(())?;
                let item = self.read(depth + 1)?;
                self.take('>').then(|| SqlType::Array(Box::new(item)))?
            }
            "map" => {
                self.take('<').then_some(())?;
                let key = self.read(depth + 1)?;
                self.take(',').then_some(())?;
                let value = self.read(depth + 1)?;
                self.take('>').then(|| SqlType::Map(Box::new(key), Box::new(value)))?
            }
            "struct" => self.fields(depth)?,
            _ => return None,
        })
    }

    fn decimal(&mut self) -> Option<SqlType> {
        let (mut precision, mut scale) = (10, 0);
        if self.take('(') {
            precision = self.number()?;
            if self.take(',') {
                scale = self.number()?;
            }
            self.take(')').then_some(())?;
        }
        let valid = (1..=38).contains(&precision) && scale <= precision;
        valid.then_some(())?;
        Some(SqlType::Decimal { precision: u8::try_from(precision).ok()?, scale: i8::try_from(scale).ok()? })
    }

    fn fields(&mut self, depth: usize) -> Option<SqlType> {
        self.take('<').then_some(())?;
        let mut fields = Vec::new();
        loop {
            let name = self.name()?.to_owned();
            self.take(':').then_some(())?;
            fields.push((name, self.read(depth + 1)?));
            if self.take('>') {
                return Some(SqlType::Row(fields));
            }
            self.take(',').then_some(())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_is_parsed_and_spelled_alike() {
        let same = [
            "boolean",
            "tinyint",
            "int",
            "bigint",
            "float",
            "double",
            "string",
            "varchar(10)",
            "char(3)",
            "binary",
            "date",
            "timestamp",
            "decimal(10,2)",
            "array<int>",
            "map<string,double>",
            "struct<a:int,b:array<struct<c:date>>>",
        ];
        for text in same {
            assert_eq!(SqlType::from_hive(text).unwrap().to_hive().as_deref(), Some(text));
        }
    }

    #[test]
    fn spaces_and_case_do_not_matter() {
        let kind = SqlType::from_hive(" STRUCT < `a` : INT , b : Decimal ( 5 , 1 ) > ").unwrap();
        assert_eq!(kind.to_string(), "row(a integer, b decimal(5,1))");
        assert_eq!(SqlType::from_hive("decimal").unwrap().to_string(), "decimal(10,0)");
    }

    #[test]
    fn unknown_type_is_refused_by_name() {
        for text in ["", "text", "array<int", "decimal(39,0)", "struct<a>", "int int", "map<int>"] {
            assert!(SqlType::from_hive(text).unwrap_err().to_string().contains("is not a type"), "{text}");
        }
        let deep = format!("{}int{}", "array<".repeat(5000), ">".repeat(5000));
        assert!(SqlType::from_hive(&deep).is_err());
    }
}
