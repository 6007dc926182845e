//! Translates DataFusion's errors into Athena's.

use crate::error::SqlError;
use crate::statement::Query;
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use std::error::Error;

impl From<&DataFusionError> for SqlError {
    fn from(error: &DataFusionError) -> Self {
        sql_error(error, None)
    }
}

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        sql_error(&error, None)
    }
}

/// Translates an error of `query`, with line and column in its text.
pub(crate) fn sql_error(error: &DataFusionError, query: Option<&Query>) -> SqlError {
    if let Some(own) = own(error) {
        return own.clone();
    }
    let line = |word: &str| query.map(|query| query.line_of(word)).unwrap_or_default();
    let first = || query.map_or_else(String::new, |_| "line 1:8: ".to_owned());
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, .. } => {
                let name = match &field.relation {
                    Some(relation) => format!("{}.{}", relation.table(), field.name),
                    None => field.name.clone(),
                };
                let position = line(field.relation.as_ref().map_or(&field.name, |relation| relation.table()));
                SqlError::user(format!(
                    "COLUMN_NOT_FOUND: {position}Column '{name}' cannot be resolved or requester is not authorized to \
                     access requested resources"
                ))
            }
            SchemaError::AmbiguousReference { field } => {
                let name = &field.name;
                SqlError::user(format!("AMBIGUOUS_NAME: {}Column '{name}' is ambiguous", line(name)))
            }
            SchemaError::DuplicateUnqualifiedField { name } | SchemaError::DuplicateQualifiedField { name, .. } => {
                SqlError::user(format!(
                    "DUPLICATE_COLUMN_NAME: {}Column name '{name}' specified more than once",
                    line(name)
                ))
            }
        },
        DataFusionError::ArrowError(arrow, _) => of_arrow(arrow),
        DataFusionError::ResourcesExhausted(why) => exhausted(why),
        DataFusionError::IoError(why) => exhausted(&why.to_string()),
        DataFusionError::NotImplemented(why) => SqlError::user(format!("NOT_SUPPORTED: {}{}", first(), one_line(why))),
        DataFusionError::Plan(why) => plan(why, &line, &first),
        DataFusionError::SQL(error, _) => SqlError::user(format!("SYNTAX_ERROR: {}{error}", first())),
        DataFusionError::Execution(why) => SqlError::user(format!("INVALID_FUNCTION_ARGUMENT: {}", one_line(why))),
        DataFusionError::ParquetError(error) => SqlError::user(format!("HIVE_BAD_DATA: {error}")),
        other => SqlError::system(format!("GENERIC_INTERNAL_ERROR: {}", one_line(&other.strip_backtrace()))),
    }
}

/// The error of this crate that DataFusion wraps.
fn own(error: &DataFusionError) -> Option<&SqlError> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref::<SqlError>() {
            return Some(own);
        }
        cause = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Collection(errors)) => errors.first().map(|error| error as &(dyn Error + 'static)),
            _ => error.source(),
        };
    }
    None
}

fn exhausted(why: &str) -> SqlError {
    let message = "EXHAUSTED_RESOURCES: Query exhausted resources at this scale factor";
    SqlError::system(format!("{message}: {}", one_line(why)))
}

fn of_arrow(error: &ArrowError) -> SqlError {
    match error {
        // Only spilling writes to the disk.
        ArrowError::IoError(why, _) => exhausted(why),
        ArrowError::DivideByZero => SqlError::user("DIVISION_BY_ZERO: Division by zero"),
        ArrowError::ArithmeticOverflow(why) => SqlError::user(format!("NUMERIC_VALUE_OUT_OF_RANGE: {why}")),
        ArrowError::CastError(why) | ArrowError::ParseError(why) => {
            SqlError::user(format!("INVALID_CAST_ARGUMENT: {}", one_line(why)))
        }
        other => SqlError::user(format!("GENERIC_USER_ERROR: {}", one_line(&other.to_string()))),
    }
}

fn plan(why: &str, line: &dyn Fn(&str) -> String, first: &dyn Fn() -> String) -> SqlError {
    let quoted = || why.split('\'').nth(1).unwrap_or_default();
    if why.starts_with("Invalid function") {
        let name = quoted();
        return SqlError::user(format!("FUNCTION_NOT_FOUND: {}Function '{name}' not registered", line(name)));
    }
    if why.contains("must be in GROUP BY") || why.contains("must appear in the GROUP BY") {
        let column = why.split(['"', '\'']).nth(1).unwrap_or_default();
        let column = column.rsplit('.').next().unwrap_or_default();
        return SqlError::user(format!(
            "EXPRESSION_NOT_AGGREGATE: {}'{column}' must be an aggregate expression or appear in GROUP BY clause",
            line(column)
        ));
    }
    let is_type = ["coerc", "signature", "Cannot infer common", "incompatible", "Cannot cast"];
    if is_type.iter().any(|word| why.contains(word)) {
        return SqlError::user(format!("TYPE_MISMATCH: {}{}", first(), one_line(why)));
    }
    SqlError::user(format!("SYNTAX_ERROR: {}{}", first(), one_line(why)))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
