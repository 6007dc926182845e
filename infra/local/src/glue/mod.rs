//! The Glue catalogue: JSON 1.1 calls, answered from files below `.stedi/glue`.
//!
//! Inputs are stored as they came. A call, or a parameter of a call, that is not implemented is refused by name.

mod catalog;
mod error;
mod input;
mod partitions;
mod tables;

use crate::clock::Clock;
use catalog::Catalog;
use error::Refusal;
use http::StatusCode;
use input::Input;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What an operation answers: the members of its output.
type Answer = Result<Value, Refusal>;

/// The Glue service of one lake.
pub(crate) struct Glue {
    /// One lock for all: a call takes microseconds, and is never held across an await.
    catalog: Mutex<Catalog>,
}

impl Glue {
    pub(crate) fn new(directory: PathBuf, clock: Clock) -> Self {
        Self { catalog: Mutex::new(Catalog::new(directory, clock)) }
    }

    /// Answers the call of `target`, such as `AWSGlue.GetTable`, with an HTTP status and a JSON document.
    pub(crate) fn answer(&self, target: &str, body: &[u8]) -> (StatusCode, String) {
        match self.call(target, body) {
            Ok(answer) => (StatusCode::OK, answer.to_string()),
            Err(refusal) => {
                tracing::debug!(target, code = refusal.code, message = refusal.message, "a Glue call was refused");
                (refusal.status(), refusal.document())
            }
        }
    }

    fn call(&self, target: &str, body: &[u8]) -> Answer {
        let unknown = || {
            Refusal::new(
                "UnknownOperationException",
                format!("the operation {target} is not implemented by this endpoint"),
            )
        };
        let operation = target.strip_prefix("AWSGlue.").ok_or_else(unknown)?;
        let body: Value = serde_json::from_slice(if body.is_empty() { b"{}" } else { body })
            .map_err(|error| Refusal::new("SerializationException", format!("the body is not JSON: {error}")))?;
        let input = |known: &[&str]| Input::new(operation, &body, known);
        // A panic cannot leave the catalogue half changed: files change by rename or append, memory after them.
        let catalog = &mut *self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        match operation {
            "CreateDatabase" => tables::create_database(catalog, &input(&["DatabaseInput"])?),
            "GetDatabase" => tables::get_database(catalog, &input(&["Name"])?),
            "CreateTable" => tables::create_table(catalog, &input(&["DatabaseName", "TableInput"])?),
            "GetTable" => tables::get_table(catalog, &input(&["DatabaseName", "Name"])?),
            "GetTables" => tables::get_tables(catalog, &input(&["DatabaseName", "MaxResults", "NextToken"])?),
            "UpdateTable" => {
                let known = ["DatabaseName", "TableInput", "VersionId", "SkipArchive"];
                tables::update_table(catalog, &input(&known)?)
            }
            "GetPartition" => partitions::get(catalog, &input(&["DatabaseName", "TableName", "PartitionValues"])?),
            "GetPartitions" => {
                partitions::get_all(catalog, &input(&["DatabaseName", "TableName", "MaxResults", "NextToken"])?)
            }
            "CreatePartition" => partitions::create(catalog, &input(&["DatabaseName", "TableName", "PartitionInput"])?),
            "BatchCreatePartition" => {
                partitions::create_batch(catalog, &input(&["DatabaseName", "TableName", "PartitionInputList"])?)
            }
            "DeletePartition" => {
                partitions::delete(catalog, &input(&["DatabaseName", "TableName", "PartitionValues"])?)
            }
            "BatchDeletePartition" => {
                partitions::delete_batch(catalog, &input(&["DatabaseName", "TableName", "PartitionsToDelete"])?)
            }
            _ => Err(unknown()),
        }
    }
}
