//! The expressions of GetPartitions: `dt >= '2022-06-18' AND hour IN ('14', '15')`.
//!
//! They have comparisons, BETWEEN, IN, LIKE, IS NULL, NOT, AND, OR and parentheses over the partition keys. Comparing a
//! text key with a number, or a numeric key with text that is not a number, is refused.

mod parser;
mod tokens;

use super::error::Refusal;
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

/// A parsed expression.
#[derive(Debug)]
pub(super) struct Filter(Node);

#[derive(Debug)]
enum Node {
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    /// A test of the key at this position.
    Key(usize, Test),
}

#[derive(Debug)]
enum Test {
    Compare(Comparison, Literal),
    Between(Literal, Literal),
    In(Vec<Literal>),
    Like(Vec<char>),
    IsNull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
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
}

fn number(text: &str) -> Option<Literal> {
    let text = text.trim();
    let integer = text.parse().map(Literal::Integer);
    integer.or_else(|_| text.parse().map(Literal::Real)).ok()
}

impl Filter {
    /// Parses an expression over `keys`; `None` if it is empty.
    pub(super) fn parse(expression: &str, keys: &[Key]) -> Result<Option<Self>, Refusal> {
        if expression.len() > EXPRESSION_BYTES_MAX {
            let length = expression.len();
            return Err(Refusal::invalid(format!(
                "Expression has {length} bytes, at most {EXPRESSION_BYTES_MAX} are allowed"
            )));
        }
        if expression.trim().is_empty() {
            return Ok(None);
        }
        parser::parse(expression, keys)
            .map(|node| Some(Self(node)))
            .map_err(|why| Refusal::invalid(format!("Expression {expression:?} is invalid: {why}")))
    }

    /// Whether the partition with these values matches.
    pub(super) fn matches(&self, keys: &[Key], values: &[String]) -> bool {
        holds(&self.0, keys, values) == Some(true)
    }
}

/// Evaluates a node as SQL does: `None` means unknown, because a value is null.
fn holds(node: &Node, keys: &[Key], values: &[String]) -> Option<bool> {
    match node {
        Node::And(a, b) => match (holds(a, keys, values), holds(b, keys, values)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Node::Or(a, b) => match (holds(a, keys, values), holds(b, keys, values)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Node::Not(node) => holds(node, keys, values).map(|held| !held),
        Node::Key(number, test) => {
            let value = values.get(*number).filter(|value| *value != NULL);
            if matches!(test, Test::IsNull) {
                return Some(value.is_none());
            }
            // In a numeric column a value that is not a number is null, as for SQL engines.
            let value = keys.get(*number)?.literal(value?)?;
            evaluate(test, &value)
        }
    }
}

fn evaluate(test: &Test, value: &Literal) -> Option<bool> {
    let compared = |other: &Literal| compare(value, other);
    match test {
        Test::Compare(comparison, other) => {
            let found = compared(other)?;
            Some(match comparison {
                Comparison::Equal => found.is_eq(),
                Comparison::NotEqual => found.is_ne(),
                Comparison::Less => found.is_lt(),
                Comparison::LessOrEqual => found.is_le(),
                Comparison::Greater => found.is_gt(),
                Comparison::GreaterOrEqual => found.is_ge(),
            })
        }
        Test::Between(least, most) => Some(compared(least)?.is_ge() && compared(most)?.is_le()),
        Test::In(others) => Some(others.iter().any(|other| compared(other) == Some(Ordering::Equal))),
        Test::Like(pattern) => match value {
            Literal::Text(text) => Some(like(&text.chars().collect::<Vec<_>>(), pattern)),
            Literal::Integer(_) | Literal::Real(_) => None,
        },
        Test::IsNull => Some(false),
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
fn like(text: &[char], pattern: &[char]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut last: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                last = Some((t, p));
                p += 1;
            }
            Some(c) if *c == '_' || *c == text[t] => {
                t += 1;
                p += 1;
            }
            _ => match last {
                Some((start, percent)) => {
                    last = Some((start + 1, percent));
                    t = start + 1;
                    p = percent + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests;
