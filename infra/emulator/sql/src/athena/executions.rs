//! The operations on executions: start, describe, list, stop.

use super::execution::{CATALOG, Execution, State, name_of};
use super::fault::Fault;
use super::history::Admission;
use super::location;
use super::page::{self, GetResults};
use super::prepared_sql::{self, PreparedSql};
use super::runner::{self, Plan};
use super::work_groups::PRIMARY;
use super::{Inner, page_length};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const PARAMETER_BYTES_MAX: usize = 1024;
const PARAMETERS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 256;
const BATCH_MAX: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Start {
    query_string: String,
    client_request_token: Option<String>,
    #[serde(default)]
    query_execution_context: QueryContext,
    #[serde(default)]
    result_configuration: ResultConfiguration,
    work_group: Option<String>,
    execution_parameters: Option<Vec<String>>,
    // Results of earlier executions are never reused. Callers must allow for that on AWS, too.
    #[expect(dead_code, reason = "known, and of no effect here")]
    result_reuse_configuration: Option<Reuse>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct QueryContext {
    database: Option<String>,
    catalog: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ResultConfiguration {
    output_location: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(dead_code, reason = "known, and of no effect here")]
struct Reuse {
    result_reuse_by_age_configuration: Option<ReuseByAge>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(dead_code, reason = "known, and of no effect here")]
struct ReuseByAge {
    enabled: bool,
    max_age_in_minutes: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct One {
    query_execution_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Several {
    query_execution_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct List {
    next_token: Option<String>,
    max_results: Option<u32>,
    work_group: Option<String>,
}

impl Inner {
    pub(super) async fn start(self: &Arc<Self>, request: Start, call: &[u8]) -> Result<Value, Fault> {
        let names = [&request.query_execution_context.database, &request.query_execution_context.catalog];
        if names.into_iter().flatten().any(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
            return Err(Fault::invalid(format!("Database and Catalog have 1 to {NAME_BYTES_MAX} bytes")));
        }
        let parameters = request.execution_parameters.unwrap_or_default();
        let wrong = |parameter: &String| parameter.is_empty() || parameter.len() > PARAMETER_BYTES_MAX;
        if parameters.len() > PARAMETERS_MAX || parameters.iter().any(wrong) {
            let message =
                format!("ExecutionParameters are at most {PARAMETERS_MAX}, of 1 to {PARAMETER_BYTES_MAX} bytes each");
            return Err(Fault::invalid(message));
        }
        let group = self.group(request.work_group.as_deref().unwrap_or(PRIMARY)).await?;
        group.check_enabled()?;
        let custom = request.result_configuration.output_location;
        let location = match (group.enforced, custom) {
            (false, Some(custom)) => Some(custom),
            (_, custom) => group.output_location.clone().or(custom),
        };
        let location = location.ok_or_else(|| {
            let message = "No output location provided. An output location is required either through the Workgroup result \
                        configuration setting or as an API input.";
            Fault::coded("INVALID_INPUT", message)
        })?;
        let folder = location::folder(&location, &self.settings.bucket, self.engine.protected())?;
        let (plan, kind, substatement) = self.plan(&group.name, &request.query_string, &parameters).await?;
        let execution = Execution {
            id: Uuid::new_v4().to_string(),
            query: request.query_string,
            parameters,
            work_group: group.name,
            catalog: request.query_execution_context.catalog.unwrap_or_else(|| CATALOG.to_owned()),
            // Some clients quote the name.
            database: request.query_execution_context.database.map(|name| name.replace('`', "")),
            kind: kind.to_owned(),
            substatement: substatement.to_owned(),
            expires: Execution::expires_in(&folder, &self.settings.bucket),
            folder,
            state: State::Queued,
            reason: None,
            error_category: None,
            submitted_ms: (self.settings.clock)(),
            started_ms: None,
            completed_ms: None,
            scanned_bytes: 0,
            result: None,
        };
        let token = request.client_request_token.map(|token| (token, String::from_utf8_lossy(call).into_owned()));
        let live_max = self.settings.running_max + self.settings.waiting_max;
        let id = match self.history.begin(&execution, token, live_max).await? {
            Admission::Duplicate(id) => id,
            Admission::New(stopped) => {
                let id = execution.id.clone();
                tokio::spawn(runner::run(Arc::clone(self), execution, plan, group.scanned_bytes_max, stopped));
                id
            }
        };
        Ok(json!({"QueryExecutionId": id}))
    }

    /// Plans a statement; returns the plan, StatementType and SubstatementType.
    async fn plan(
        &self,
        group: &str,
        sql: &str,
        parameters: &[String],
    ) -> Result<(Plan, &'static str, &'static str), Fault> {
        let malformed = |message: String| Fault::coded("MALFORMED_QUERY", message);
        let statement = match prepared_sql::parse(sql).map_err(|error| malformed(error.message))? {
            PreparedSql::Prepare { name, sql } => return Ok((Plan::Prepare { name, sql }, "DDL", "PREPARE")),
            PreparedSql::Deallocate { name } => return Ok((Plan::Deallocate { name }, "DDL", "DEALLOCATE")),
            PreparedSql::Execute { name, mut using } => {
                // As on AWS, USING takes precedence over ExecutionParameters.
                if using.is_empty() {
                    using = parameters.to_vec();
                }
                let prepared = self.prepared(group, &name).await?.ok_or_else(|| {
                    Fault::coded(
                        "MALFORMED_QUERY",
                        format!("PreparedStatement {name} was not found in workGroup {group}"),
                    )
                })?;
                self.engine.parse(&prepared.sql, &using)
            }
            PreparedSql::Other => self.engine.parse(sql, parameters),
        };
        let statement = statement.map_err(|error| malformed(error.message))?;
        let (kind, substatement) = (name_of(statement.kind()), statement.substatement());
        Ok((Plan::Statement(Box::new(statement)), kind, substatement))
    }

    pub(super) async fn get_execution(&self, request: One) -> Result<Value, Fault> {
        let execution = self.history.get(&request.query_execution_id).await?;
        Ok(json!({"QueryExecution": execution.to_json((self.settings.clock)())}))
    }

    pub(super) async fn get_executions(&self, request: Several) -> Result<Value, Fault> {
        if request.query_execution_ids.is_empty() || request.query_execution_ids.len() > BATCH_MAX {
            return Err(Fault::invalid(format!("QueryExecutionIds are 1 to {BATCH_MAX}")));
        }
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in request.query_execution_ids {
            match self.history.get(&id).await {
                Ok(execution) => found.push(execution.to_json((self.settings.clock)())),
                Err(_) => missing.push(json!({
                    "QueryExecutionId": id, "ErrorCode": "INVALID_INPUT",
                    "ErrorMessage": format!("QueryExecution {id} was not found"),
                })),
            }
        }
        Ok(json!({"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}))
    }

    pub(super) async fn list_executions(&self, request: List) -> Result<Value, Fault> {
        let group = self.group(request.work_group.as_deref().unwrap_or(PRIMARY)).await?;
        let length = page_length(request.max_results, 50)?;
        let (ids, next) = self.history.list(&group.name, request.next_token.as_deref(), length);
        Ok(with_next_token(json!({"QueryExecutionIds": ids}), next))
    }

    pub(super) async fn stop_execution(&self, request: One) -> Result<Value, Fault> {
        self.history.stop(&request.query_execution_id).await?;
        Ok(json!({}))
    }

    pub(super) async fn get_results(&self, request: GetResults) -> Result<Value, Fault> {
        let execution = self.history.get(&request.query_execution_id).await?;
        page::page(&self.store, &execution, &request).await
    }

    pub(super) async fn get_statistics(&self, request: One) -> Result<Value, Fault> {
        let execution = self.history.get(&request.query_execution_id).await?;
        let (queued, ran) = execution.times((self.settings.clock)());
        let (rows, bytes) = execution.result.as_ref().map_or((0, 0), |result| (result.rows, result.bytes));
        Ok(json!({"QueryRuntimeStatistics": {
            "Timeline": {
                "QueryQueueTimeInMillis": queued, "EngineExecutionTimeInMillis": ran,
                "TotalExecutionTimeInMillis": queued + ran, "ServicePreProcessingTimeInMillis": 0,
                "ServiceProcessingTimeInMillis": 0,
            },
            "Rows": {"InputBytes": execution.scanned_bytes, "OutputRows": rows, "OutputBytes": bytes},
        }}))
    }
}

/// Adds the token of the next page.
pub(super) fn with_next_token(mut page: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        page["NextToken"] = Value::from(next);
    }
    page
}
