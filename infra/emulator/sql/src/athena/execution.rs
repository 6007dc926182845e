//! One execution of a statement: its document, and its JSON in the API.

use super::clock::seconds;
use super::location::RESULTS;
use super::without_nulls;
use crate::answer::Column;
use crate::error::{ErrorKind, SqlError};
use emulator_client::ObjectLocation;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The API's name of the engine.
pub(super) const ENGINE_VERSION: &str = "Athena engine version 3";
/// The only catalog.
pub(super) const CATALOG: &str = "AwsDataCatalog";

/// The state of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum State {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    pub(super) const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// An execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Execution {
    pub(super) id: String,
    pub(super) query: String,
    pub(super) parameters: Vec<String>,
    pub(super) work_group: String,
    pub(super) catalog: String,
    pub(super) database: Option<String>,
    /// `DDL`, `DML` or `UTILITY`.
    pub(super) kind: String,
    pub(super) substatement: String,
    /// The folder of the result.
    pub(super) folder: ObjectLocation,
    /// Whether the result expires: it does in the default location.
    pub(super) expires: bool,
    pub(super) state: State,
    pub(super) reason: Option<String>,
    /// 1: S3, Glue or memory; 2: the statement.
    pub(super) error_category: Option<u8>,
    pub(super) submitted_ms: i64,
    pub(super) started_ms: Option<i64>,
    pub(super) completed_ms: Option<i64>,
    pub(super) scanned_bytes: u64,
    pub(super) result: Option<StoredResult>,
}

/// The result in S3.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct StoredResult {
    pub(super) columns: Vec<ResultColumn>,
    /// The version of the file of rows; none if the statement returns no rows.
    pub(super) etag: Option<String>,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) update_count: Option<u64>,
    /// The list of the files that the statement wrote.
    pub(super) manifest: Option<ObjectLocation>,
}

/// A column in the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ResultColumn {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) precision: u32,
    pub(super) scale: u32,
    pub(super) is_text: bool,
}

impl From<&Column> for ResultColumn {
    fn from(column: &Column) -> Self {
        let Column { name, kind, .. } = column;
        let (precision, scale, is_text) = (kind.precision(), kind.scale(), kind.is_text());
        Self { name: name.clone(), kind: kind.name().to_owned(), precision, scale, is_text }
    }
}

impl ResultColumn {
    /// `ColumnInfo`.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": self.name, "Label": self.name,
            "Type": self.kind, "Precision": self.precision, "Scale": self.scale, "Nullable": "UNKNOWN",
            "CaseSensitive": self.is_text,
        })
    }
}

impl Execution {
    /// Whether the result is CSV with a header.
    pub(super) fn is_table(&self) -> bool {
        self.substatement == "SELECT"
    }

    /// Whether the statement writes files of a table and lists them in a manifest.
    pub(super) fn writes(&self) -> bool {
        matches!(self.substatement.as_str(), "INSERT" | "UNLOAD" | "CREATE_TABLE_AS_SELECT")
    }

    /// The location of the result: `ID.csv` for a query, `ID.txt` for lines of text. A statement that writes rows has no
    /// file there.
    pub(super) fn output(&self) -> ObjectLocation {
        let Self { id, folder: ObjectLocation { bucket, key }, .. } = self;
        let key = match self.substatement.as_str() {
            "SELECT" => format!("{key}{id}.csv"),
            "CREATE_TABLE_AS_SELECT" => format!("{key}tables/{id}"),
            "INSERT" | "UNLOAD" => format!("{key}{id}"),
            _ => format!("{key}{id}.txt"),
        };
        ObjectLocation { bucket: bucket.clone(), key }
    }

    /// The location of the result's columns.
    pub(super) fn metadata(&self) -> ObjectLocation {
        let ObjectLocation { bucket, key } = self.output();
        ObjectLocation { bucket, key: format!("{key}.metadata") }
    }

    /// The location of the list of files that the statement wrote.
    pub(super) fn manifest(&self) -> ObjectLocation {
        let ObjectLocation { bucket, key } = self.output();
        ObjectLocation { bucket, key: format!("{key}-manifest.csv") }
    }

    /// The name of the document. Names sort by time of submission.
    pub(super) fn name(&self) -> String {
        format!("{:014}/{}/{}", self.submitted_ms.max(0), self.work_group, self.id)
    }

    /// Sets the state to failed.
    pub(super) fn fail(&mut self, error: &SqlError) {
        self.state = State::Failed;
        self.reason = Some(error.message.clone());
        self.error_category = Some(if error.kind == ErrorKind::System { 1 } else { 2 });
    }

    /// Whether results in `folder` expire. `own_bucket` is the API's bucket.
    pub(super) fn expires_in(folder: &ObjectLocation, own_bucket: &str) -> bool {
        folder.bucket == own_bucket && folder.key.starts_with(RESULTS)
    }

    /// How long it waited and how long it ran, up to `now_ms`: milliseconds.
    fn times(&self, now_ms: i64) -> (i64, i64) {
        let end = self.completed_ms.unwrap_or(now_ms);
        let started = self.started_ms.unwrap_or(end);
        ((started - self.submitted_ms).max(0), (end - started).max(0))
    }

    /// `QueryExecution`.
    pub(super) fn to_json(&self, now_ms: i64) -> Value {
        let error = self.error_category.map(
            |category| json!({"ErrorCategory": category, "Retryable": category == 1, "ErrorMessage": self.reason}),
        );
        let (queued, ran) = self.times(now_ms);
        let manifest = self.result.as_ref().and_then(|result| result.manifest.as_ref()).map(ToString::to_string);
        let parameters = (!self.parameters.is_empty()).then_some(&self.parameters);
        without_nulls(json!({
            "QueryExecutionId": self.id, "Query": self.query, "StatementType": self.kind,
            "ResultConfiguration": {"OutputLocation": self.output().to_string()},
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": false}},
            "QueryExecutionContext": {"Catalog": self.catalog.to_lowercase(), "Database": self.database},
            "Status": {
                "State": self.state, "SubmissionDateTime": seconds(self.submitted_ms),
                "CompletionDateTime": self.completed_ms.map(seconds), "StateChangeReason": self.reason,
                "AthenaError": error,
            },
            "Statistics": {
                "EngineExecutionTimeInMillis": ran, "DataScannedInBytes": self.scanned_bytes,
                "TotalExecutionTimeInMillis": queued + ran, "QueryQueueTimeInMillis": queued,
                "ServicePreProcessingTimeInMillis": 0, "ServiceProcessingTimeInMillis": 0,
                "ResultReuseInformation": {"ReusedPreviousResult": false}, "DataManifestLocation": manifest,
            },
            "WorkGroup": self.work_group, "SubstatementType": self.substatement,
            "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": ENGINE_VERSION},
            "ExecutionParameters": parameters,
        }))
    }
}
