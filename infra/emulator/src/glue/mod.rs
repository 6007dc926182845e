//! The Glue Data Catalog: JSON 1.1 calls, answered from files below `.emulator/glue`.
//!
//! Inputs are stored unchanged. A call or parameter that is not implemented is refused by name.

mod batches;
mod catalog;
mod databases;
mod error;
mod filter;
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

/// Parameters of many operations.
const PAGED: [&str; 2] = ["MaxResults", "NextToken"];
const OF_TABLE: [&str; 2] = ["DatabaseName", "TableName"];

/// The output of an operation.
type Answer = Result<Value, Refusal>;

/// The Glue service of one directory.
pub(crate) struct Glue {
    /// One lock for all calls: a call takes microseconds, and the lock is never held across an await.
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
        // A panic cannot leave the catalog inconsistent: files change by rename or append, and memory changes after them.
        let catalog = &mut *self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        match operation {
            "CreateDatabase" => databases::create(catalog, &input(&["DatabaseInput"])?),
            "GetDatabase" => databases::get(catalog, &input(&["Name"])?),
            "GetDatabases" => databases::get_all(catalog, &input(&PAGED)?),
            "UpdateDatabase" => databases::update(catalog, &input(&["Name", "DatabaseInput"])?),
            "DeleteDatabase" => databases::delete(catalog, &input(&["Name"])?),
            "GetUserDefinedFunctions" => {
                databases::get_functions(catalog, &input(&["DatabaseName", "Pattern", "MaxResults", "NextToken"])?)
            }
            "CreateTable" => tables::create(catalog, &input(&["DatabaseName", "TableInput"])?),
            "GetTable" => tables::get(catalog, &input(&["DatabaseName", "Name"])?),
            "GetTables" => {
                tables::get_all(catalog, &input(&["DatabaseName", "Expression", "MaxResults", "NextToken"])?)
            }
            "UpdateTable" => {
                let known = ["DatabaseName", "TableInput", "VersionId", "SkipArchive"];
                tables::update(catalog, &input(&known)?)
            }
            "DeleteTable" => tables::delete(catalog, &input(&["DatabaseName", "Name"])?),
            "BatchDeleteTable" => tables::delete_batch(catalog, &input(&["DatabaseName", "TablesToDelete"])?),
            "GetTableVersion" => tables::get_version(catalog, &input(&["DatabaseName", "TableName", "VersionId"])?),
            "GetTableVersions" => {
                tables::get_versions(catalog, &input(&["DatabaseName", "TableName", "MaxResults", "NextToken"])?)
            }
            "GetPartition" => partitions::get(catalog, &input(&["DatabaseName", "TableName", "PartitionValues"])?),
            "GetPartitions" => {
                let known = [&OF_TABLE[..], &PAGED[..], &["Expression", "Segment", "ExcludeColumnSchema"][..]].concat();
                partitions::get_all(catalog, &input(&known)?)
            }
            "CreatePartition" => partitions::create(catalog, &input(&["DatabaseName", "TableName", "PartitionInput"])?),
            "UpdatePartition" => {
                let known = ["DatabaseName", "TableName", "PartitionValueList", "PartitionInput"];
                partitions::update(catalog, &input(&known)?)
            }
            "DeletePartition" => {
                partitions::delete(catalog, &input(&["DatabaseName", "TableName", "PartitionValues"])?)
            }
            "BatchCreatePartition" => {
                batches::create(catalog, &input(&["DatabaseName", "TableName", "PartitionInputList"])?)
            }
            "BatchGetPartition" => batches::get(catalog, &input(&["DatabaseName", "TableName", "PartitionsToGet"])?),
            "BatchUpdatePartition" => batches::update(catalog, &input(&["DatabaseName", "TableName", "Entries"])?),
            "BatchDeletePartition" => {
                batches::delete(catalog, &input(&["DatabaseName", "TableName", "PartitionsToDelete"])?)
            }
            _ => Err(unknown()),
        }
    }
}
