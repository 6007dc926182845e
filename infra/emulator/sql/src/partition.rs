//! Registered partitions: parses their values as the types of the keys, and prunes those that a query does not need.

use crate::error::SqlError;
use crate::sql_type::SqlType;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use emulator_client::data_catalog::{Partition, Storage, Table};
use std::sync::Arc;

/// Hive's text for a null in a partition key.
pub(crate) const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// A partition whose values have the types of the keys.
#[derive(Clone, Debug)]
pub(crate) struct TypedPartition {
    pub(crate) values: Arc<Vec<ScalarValue>>,
    pub(crate) location: String,
}

/// The partition in Hive's format: `dt=2022-06-18/hour=14`.
pub(crate) fn name(table: &Table, values: &[String]) -> String {
    let pairs = table.partition_keys.iter().zip(values);
    pairs.map(|(key, value)| format!("{}={}", key.name, escaped(value))).collect::<Vec<_>>().join("/")
}

/// The location of a partition below its table.
pub(crate) fn location(table: &Table, values: &[String]) -> String {
    let below = table.storage.location.as_deref().unwrap_or_default().trim_end_matches('/');
    format!("{below}/{}/", name(table, values))
}

/// A new partition of a table.
pub(crate) fn entry(table: &Table, values: Vec<String>, location: String) -> Partition {
    let storage = Storage { location: Some(location), ..table.storage.clone() };
    Partition { values, columns: table.columns.clone(), storage }
}

/// Escapes a value as Hive does in object keys.
pub(crate) fn escaped(value: &str) -> String {
    let special = |c: char| c.is_control() || "\"#%'*/:=?\\{[]^".contains(c);
    let one = |c: char| if special(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() };
    value.chars().map(one).collect()
}

/// Parses the values of partitions as the types of the keys.
pub(crate) fn parse_values(
    table: &Table,
    keys: &[SqlType],
    partitions: Vec<Partition>,
) -> Result<Vec<TypedPartition>, SqlError> {
    let one = |partition: Partition| {
        let wrong = |why: String| {
            let message =
                format!("partition {} of {}.{}: {why}", partition.values.join("/"), table.database, table.name);
            SqlError::user(format!("HIVE_INVALID_PARTITION_VALUE: {message}"))
        };
        if partition.values.len() != keys.len() {
            return Err(wrong(format!("the table has {} keys", keys.len())));
        }
        let value = |(kind, text): (&SqlType, &String)| match text.as_str() {
            NO_VALUE => ScalarValue::try_from(&kind.arrow()),
            text => ScalarValue::try_from_string(text.to_owned(), &kind.arrow()),
        };
        let values = keys.iter().zip(&partition.values).map(value).collect::<Result<Vec<_>>>();
        let values = values.map_err(|error| wrong(error.strip_backtrace()))?;
        let own = partition.storage.location.filter(|location| !location.is_empty());
        let by_name = || table.storage.location.is_some().then(|| location(table, &partition.values));
        let location = own.or_else(by_name).unwrap_or_default();
        Ok(TypedPartition { values: Arc::new(values), location })
    };
    partitions.into_iter().map(one).collect()
}

/// The longest expression that Glue accepts.
const EXPRESSION_BYTES_MAX: usize = 2048;

/// The part of `filters` that Glue can evaluate, in its language. It may match more partitions than `filters` do.
pub(crate) fn expression(table: &Table, keys: &[SqlType], filters: &[Expr]) -> Option<String> {
    let texts = Texts { table, keys };
    let mut whole = String::new();
    for condition in filters.iter().filter_map(|filter| texts.condition(filter)) {
        let and = if whole.is_empty() { "" } else { " AND " };
        if whole.len() + and.len() + condition.len() <= EXPRESSION_BYTES_MAX {
            whole = format!("{whole}{and}{condition}");
        }
    }
    (!whole.is_empty()).then_some(whole)
}

/// The keys of type text. Glue compares only these as a query does.
struct Texts<'a> {
    table: &'a Table,
    keys: &'a [SqlType],
}

impl Texts<'_> {
    fn condition(&self, filter: &Expr) -> Option<String> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                match (self.condition(left), self.condition(right)) {
                    (Some(left), Some(right)) => Some(format!("{left} AND {right}")),
                    (one, other) => one.or(other),
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Some(format!("({} OR {})", self.condition(left)?, self.condition(right)?))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (key, op, text) = match (self.key(left), literal(right)) {
                    (Some(key), Some(text)) => (key, *op, text),
                    _ => (self.key(right)?, op.swap()?, literal(left)?),
                };
                let op = match op {
                    Operator::Eq => "=",
                    Operator::NotEq => "<>",
                    Operator::Lt => "<",
                    Operator::LtEq => "<=",
                    Operator::Gt => ">",
                    Operator::GtEq => ">=",
                    _ => return None,
                };
                Some(format!("{key} {op} {text}"))
            }
            Expr::Between(Between { expr, negated: false, low, high }) => {
                let (key, low, high) = (self.key(expr)?, literal(low)?, literal(high)?);
                Some(format!("{key} >= {low} AND {key} <= {high}"))
            }
            Expr::InList(InList { expr, list, negated: false }) => {
                let texts = list.iter().map(literal).collect::<Option<Vec<_>>>()?;
                Some(format!("{} IN ({})", self.key(expr)?, texts.join(", ")))
            }
            _ => None,
        }
    }

    fn key(&self, expr: &Expr) -> Option<&str> {
        let Expr::Column(column) = expr else { return None };
        let mut keys = self.table.partition_keys.iter().zip(self.keys);
        let (key, _) = keys.find(|(key, kind)| {
            matches!(kind, SqlType::Varchar(None)) && key.name.eq_ignore_ascii_case(&column.name)
        })?;
        Some(&key.name)
    }
}

/// A text literal that Glue and Trino read alike.
fn literal(expr: &Expr) -> Option<String> {
    let Expr::Literal(value, _) = expr else { return None };
    let text = value.try_as_str()??;
    let is_plain = text.chars().all(|c| (' '..='~').contains(&c) && !matches!(c, '\'' | '\\' | '%'));
    is_plain.then(|| format!("'{text}'"))
}

/// The partitions that match all `filters`.
pub(crate) fn prune(
    state: &dyn Session,
    table: &Table,
    keys: &[SqlType],
    partitions: Vec<TypedPartition>,
    filters: &[Expr],
) -> Result<Vec<TypedPartition>> {
    if filters.is_empty() || partitions.is_empty() {
        return Ok(partitions);
    }
    let field = |(key, kind): (&emulator_client::data_catalog::Column, &SqlType)| {
        Field::new(key.name.to_lowercase(), kind.arrow(), true)
    };
    let fields: Vec<_> = table.partition_keys.iter().zip(keys).map(field).collect();
    let schema = Arc::new(Schema::new(fields));
    let column = |n: usize| ScalarValue::iter_to_array(partitions.iter().map(|partition| partition.values[n].clone()));
    let columns: Vec<ArrayRef> = (0..keys.len()).map(column).collect::<Result<_>>()?;
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let schema = DFSchema::try_from(schema)?;
    let mut kept = vec![true; partitions.len()];
    for filter in filters {
        // The filter qualifies its columns with the table; the batch does not.
        let filter = unqualified(filter.clone())?;
        let expr = state.create_physical_expr(filter, &schema)?;
        let truth = expr.evaluate(&batch)?.into_array(partitions.len())?;
        let truth = truth.as_boolean();
        for (n, kept) in kept.iter_mut().enumerate() {
            *kept &= truth.is_valid(n) && truth.value(n);
        }
    }
    Ok(partitions.into_iter().zip(kept).filter_map(|(partition, kept)| kept.then_some(partition)).collect())
}

fn unqualified(filter: Expr) -> Result<Expr> {
    use datafusion::common::Column;
    use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
    let one = |expr: Expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
        other => Ok(Transformed::no(other)),
    };
    filter.transform(one).data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    #[test]
    fn glue_evaluates_only_text_comparisons() {
        let key = |name: &str, kind: &str| emulator_client::data_catalog::Column {
            name: name.into(),
            kind: kind.into(),
            ..Default::default()
        };
        let keys = vec![key("dt", "string"), key("Hour", "string"), key("year", "int")];
        let table = Table { partition_keys: keys, ..Default::default() };
        let kinds = [SqlType::Varchar(None), SqlType::Varchar(None), SqlType::Integer];
        let expression_of = |filters: &[Expr]| expression(&table, &kinds, filters).unwrap_or_default();
        let dt = || col("dt").eq(lit("2022-06-18"));
        assert_eq!(expression_of(&[dt(), lit("14").lt_eq(col("hour"))]), "dt = '2022-06-18' AND Hour >= '14'");
        assert_eq!(
            expression_of(&[dt().or(col("hour").in_list(vec![lit("1"), lit("2")], false))]),
            "(dt = '2022-06-18' OR Hour IN ('1', '2'))"
        );
        assert_eq!(expression_of(&[col("dt").between(lit("a"), lit("b"))]), "dt >= 'a' AND dt <= 'b'");
        // A part of a conjunction is a valid filter; a part of a disjunction is not.
        assert_eq!(expression_of(&[dt().and(col("year").eq(lit(2022)))]), "dt = '2022-06-18'");
        assert_eq!(expression_of(&[dt().or(col("year").eq(lit(2022)))]), "");
        assert_eq!(expression_of(&[col("dt").not_eq(lit("o'hara")), col("dt").like(lit("2022%"))]), "");
        assert_eq!(expression_of(&[col("dt").eq(lit("x".repeat(3000))), dt()]), "dt = '2022-06-18'");
    }
}
