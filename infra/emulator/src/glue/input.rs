//! The parameters of a call.

use super::error::Refusal;
use serde_json::{Map, Value};

/// The maximum length of a page.
const RESULTS_MAX: u64 = 1000;

/// The parameters of a call, all of them implemented.
pub(super) struct Input<'a>(&'a Map<String, Value>);

impl<'a> Input<'a> {
    /// Refuses a parameter that the operation does not implement: ignoring it would give a wrong result.
    pub(super) fn new(operation: &str, body: &'a Value, known: &[&str]) -> Result<Self, Refusal> {
        let members = body.as_object().ok_or_else(|| Refusal::invalid("the body is not a JSON object"))?;
        let unknown = members
            .iter()
            .find(|(name, value)| !value.is_null() && name.as_str() != "CatalogId" && !known.contains(&name.as_str()));
        match unknown {
            Some((name, _)) => {
                Err(Refusal::invalid(format!("{name} of {operation} is not implemented by this endpoint")))
            }
            None => Ok(Self(members)),
        }
    }

    fn given(&self, name: &str) -> Result<&'a Value, Refusal> {
        self.0.get(name).filter(|value| !value.is_null()).ok_or_else(|| Refusal::invalid(format!("{name} is missing")))
    }

    /// Returns a name in lower case, as Glue stores names.
    pub(super) fn name(&self, name: &str) -> Result<String, Refusal> {
        fold(self.given(name)?, name)
    }

    pub(super) fn object(&self, name: &str) -> Result<&'a Map<String, Value>, Refusal> {
        self.given(name)?.as_object().ok_or_else(|| Refusal::invalid(format!("{name} is not an object")))
    }

    /// Returns the list of a batch operation.
    pub(super) fn batch(&self, name: &str, length_max: usize) -> Result<&'a [Value], Refusal> {
        let list = self.given(name)?.as_array().ok_or_else(|| Refusal::invalid(format!("{name} is not a list")))?;
        match list.len() <= length_max {
            true => Ok(list),
            false => {
                Err(Refusal::invalid(format!("{name} has {} members, at most {length_max} are allowed", list.len())))
            }
        }
    }

    /// Returns the values of one partition.
    pub(super) fn values(&self, name: &str) -> Result<Vec<String>, Refusal> {
        values(self.given(name)?)
    }

    pub(super) fn optional(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    /// Whether a flag is set.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(value) => {
                value.as_bool().ok_or_else(|| Refusal::invalid(format!("{name} is {value}, expected a boolean")))
            }
        }
    }

    /// Returns an optional structure.
    pub(super) fn optional_object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.object(name).map(Some),
        }
    }

    /// Returns the length of a page.
    pub(super) fn results_max(&self) -> Result<usize, Refusal> {
        match self.0.get("MaxResults").filter(|value| !value.is_null()) {
            None => Ok(RESULTS_MAX as usize),
            Some(value) => match value.as_u64() {
                Some(n @ 1..=RESULTS_MAX) => Ok(n as usize),
                _ => Err(Refusal::invalid(format!("MaxResults is {value}, expected 1 to {RESULTS_MAX}"))),
            },
        }
    }
}

/// Checks a name and folds it to lower case.
pub(super) fn fold(value: &Value, what: &str) -> Result<String, Refusal> {
    match value.as_str() {
        // Names become file names.
        Some(name) if name.contains('/') => {
            Err(Refusal::invalid(format!("{what} is {value}: a slash in a name is not implemented by this endpoint")))
        }
        Some("database.json" | "table.json" | "partitions.jsonl") => {
            Err(Refusal::invalid(format!("{what} is {value}, which this endpoint reserves for its files")))
        }
        Some(name) if (1..=255).contains(&name.len()) && !name.contains('\0') => Ok(name.to_lowercase()),
        _ => Err(Refusal::invalid(format!("{what} is {value}, expected a name of 1 to 255 characters"))),
    }
}

/// Returns the names after `token`, at most `length_max`, and the token of the next page.
pub(super) fn page(names: Vec<String>, token: Option<&str>, length_max: usize) -> (Vec<String>, Option<String>) {
    let mut rest = names.into_iter().filter(|name| token.is_none_or(|token| name.as_str() > token));
    let page: Vec<_> = rest.by_ref().take(length_max).collect();
    let next = rest.next().and(page.last().cloned());
    (page, next)
}

/// Parses a list of partition values.
pub(super) fn values(value: &Value) -> Result<Vec<String>, Refusal> {
    let list = value.as_array().ok_or_else(|| Refusal::invalid("the partition's values are not a list"))?;
    list.iter()
        .map(|value| value.as_str().map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| Refusal::invalid("a partition's value is not a string"))
}
