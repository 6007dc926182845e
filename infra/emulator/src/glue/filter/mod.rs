//! The expressions of GetPartitions: `dt >= '2022-06-18' AND hour IN ('14', '15')`.
//!
//! They have comparisons, BETWEEN, IN, LIKE, IS NULL, NOT, AND, OR and parentheses over the partition keys. Comparing a
//! text key with a number, or a numeric key with text that is not a number, is refused. So is all other SQL.

use super::error::Refusal;
use sqlparser::ast::{BinaryOperator, DataType, Expr, TypedString, UnaryOperator, Value};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;
use std::cmp::Ordering;

/// The longest expression, as on AWS.
const EXPRESSION_BYTES_MAX: usize = 2048;
/// Hive's name of the null value in a partition.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A partition key of a table: its name and type.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) kind: String,
}

/// A value of the type of its key.
#[derive(Clone, Debug, PartialEq)]
enum Literal {
    Text(String),
    Integer(i128),
    Real(f64),
}

impl Key {
    fn is_number(&self) -> bool {
        let kind = self.kind.to_lowercase();
        let kind = kind.split('(').next().unwrap_or_default().trim();
        matches!(kind, "tinyint" | "smallint" | "int" | "integer" | "bigint" | "long" | "decimal" | "float" | "double")
    }

    fn literal(&self, text: &str) -> Option<Literal> {
        match self.is_number() {
            true => number(text),
            false => Some(Literal::Text(text.to_owned())),
        }
    }

    /// The value of a literal in an expression.
    fn parse(&self, literal: &Expr) -> Result<Literal, String> {
        let value = match literal {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) => self.literal(text),
                Value::Number(text, false) if self.is_number() => number(text),
                _ => None,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } if self.is_number() => {
                matches!(&**expr, Expr::Value(_)).then(|| number(&literal.to_string())).flatten()
            }
            // `date '2022-06-18'`, `timestamp '…'`
            Expr::TypedString(TypedString { data_type: DataType::Date | DataType::Timestamp(..), value, .. }) => {
                value.clone().into_string().and_then(|text| self.literal(&text))
            }
            _ => None,
        };
        value.ok_or_else(|| format!("{literal} is not a value of partition key {} of type {}", self.name, self.kind))
    }
}

fn number(text: &str) -> Option<Literal> {
    let text = text.trim();
    let integer = text.parse().map(Literal::Integer);
    integer.or_else(|_| text.parse().map(Literal::Real)).ok()
}

/// A parsed expression over the keys of a table.
#[derive(Debug)]
pub(super) struct Filter {
    expression: Expr,
    keys: Vec<Key>,
}

impl Filter {
    /// Parses an expression over `keys`; `None` if it is empty.
    pub(super) fn parse(expression: &str, keys: Vec<Key>) -> Result<Option<Self>, Refusal> {
        if expression.len() > EXPRESSION_BYTES_MAX {
            let length = expression.len();
            return Err(Refusal::invalid(format!(
                "Expression has {length} bytes, at most {EXPRESSION_BYTES_MAX} are allowed"
            )));
        }
        if expression.trim().is_empty() {
            return Ok(None);
        }
        let invalid = |why: String| Refusal::invalid(format!("Expression {expression:?} is invalid: {why}"));
        let parse = || -> Result<Expr, ParserError> {
            let mut parser = Parser::new(&GenericDialect).try_with_sql(expression)?;
            let parsed = parser.parse_expr()?;
            parser.expect_token(&Token::EOF)?;
            Ok(parsed)
        };
        let filter = Self { expression: parse().map_err(|error| invalid(error.to_string()))?, keys };
        // Every part of an expression is evaluated, so this finds what is not implemented.
        filter.holds(&filter.expression, &[]).map_err(invalid)?;
        Ok(Some(filter))
    }

    /// Whether the partition with these values matches.
    pub(super) fn matches(&self, values: &[String]) -> bool {
        self.holds(&self.expression, values) == Ok(Some(true))
    }

    /// Evaluates an expression as SQL does: `None` means unknown, because a value is null.
    fn holds(&self, expression: &Expr, values: &[String]) -> Result<Option<bool>, String> {
        let holds = |part| self.holds(part, values);
        let order = |key, literal| self.order(key, literal, values);
        Ok(match expression {
            Expr::Nested(inner) => holds(inner)?,
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => holds(expr)?.map(|held| !held),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => both(holds(left)?, holds(right)?),
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                let not = |held: Option<bool>| held.map(|held| !held);
                not(both(not(holds(left)?), not(holds(right)?)))
            }
            Expr::BinaryOp { left, op, right } => {
                let is: fn(Ordering) -> bool = match op {
                    BinaryOperator::Eq => Ordering::is_eq,
                    BinaryOperator::NotEq => Ordering::is_ne,
                    BinaryOperator::Lt => Ordering::is_lt,
                    BinaryOperator::LtEq => Ordering::is_le,
                    BinaryOperator::Gt => Ordering::is_gt,
                    BinaryOperator::GtEq => Ordering::is_ge,
                    _ => return Err(format!("the operator {op} is not implemented")),
                };
                let found = match &**left {
                    // `'2022-06-18' <= dt`
                    Expr::Value(_) | Expr::UnaryOp { .. } | Expr::TypedString(_) => {
                        order(right, left)?.map(Ordering::reverse)
                    }
                    key => order(key, right)?,
                };
                found.map(is)
            }
            Expr::Between { expr, negated, low, high } => {
                let (least, most) = (order(expr, low)?, order(expr, high)?);
                least.zip(most).map(|(least, most)| (least.is_ge() && most.is_le()) != *negated)
            }
            Expr::InList { expr, list, negated } => {
                let orders: Result<Option<Vec<_>>, _> = list.iter().map(|literal| order(expr, literal)).collect();
                orders?.map(|orders| orders.contains(&Ordering::Equal) != *negated)
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                let (key, value) = self.value(expr, values)?;
                match key.parse(pattern)? {
                    Literal::Text(pattern) => value.map(|text| like(text, &pattern) != *negated),
                    _ => return Err(format!("partition key {} is not text", key.name)),
                }
            }
            Expr::IsNull(key) => Some(self.value(key, values)?.1.is_none()),
            Expr::IsNotNull(key) => Some(self.value(key, values)?.1.is_some()),
            other => return Err(format!("{other} is not a comparison of a partition key")),
        })
    }

    /// A partition key, and its value in `values`; none if it is null.
    fn value<'a>(&self, name: &Expr, values: &'a [String]) -> Result<(&Key, Option<&'a str>), String> {
        let text = match name {
            Expr::Identifier(name) => name.value.clone(),
            // Some names are keywords of SQL.
            other => other.to_string(),
        };
        let position = self.keys.iter().position(|key| key.name.eq_ignore_ascii_case(&text)).ok_or_else(|| {
            let names: Vec<_> = self.keys.iter().map(|key| key.name.as_str()).collect();
            format!("{text} is not a partition key of the table, expected one of {names:?}")
        })?;
        Ok((&self.keys[position], values.get(position).map(String::as_str).filter(|value| *value != NULL)))
    }

    /// Compares the value of a key with a literal.
    fn order(&self, key: &Expr, literal: &Expr, values: &[String]) -> Result<Option<Ordering>, String> {
        let (key, value) = self.value(key, values)?;
        let other = key.parse(literal)?;
        // In a numeric column a value that is not a number is null, as for SQL engines.
        Ok(value.and_then(|value| compare(&key.literal(value)?, &other)))
    }
}

fn both(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn compare(a: &Literal, b: &Literal) -> Option<Ordering> {
    let real = |literal: &Literal| match literal {
        Literal::Integer(number) => Some(*number as f64),
        Literal::Real(number) => Some(*number),
        Literal::Text(_) => None,
    };
    match (a, b) {
        (Literal::Text(a), Literal::Text(b)) => Some(a.cmp(b)),
        (Literal::Integer(a), Literal::Integer(b)) => Some(a.cmp(b)),
        _ => real(a)?.partial_cmp(&real(b)?),
    }
}

/// Matches a LIKE pattern: `%` is any text, `_` any character. It backtracks to the last `%` only, so the time is limited
/// by the product of the lengths.
fn like(text: &str, pattern: &str) -> bool {
    let [text, pattern] = [text, pattern].map(|text| text.chars().collect::<Vec<_>>());
    let (mut t, mut p) = (0, 0);
    let mut last: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), last) {
            (Some('%'), _) => {
                last = Some((t, p));
                p += 1;
            }
            (Some(c), _) if *c == '_' || *c == text[t] => (t, p) = (t + 1, p + 1),
            (_, Some((start, percent))) => {
                last = Some((start + 1, percent));
                (t, p) = (start + 1, percent + 1);
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests;
