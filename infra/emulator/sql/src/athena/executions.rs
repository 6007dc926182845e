//! The operations on executions: start, describe, list, stop.

use super::execution::{CATALOG, Execution, State};
use super::fault::Fault;
use super::history::Admission;
use super::location;
use super::prepared_sql::{self, PreparedSql};
use super::runner::{self, Plan};
use super::work_groups::PRIMARY;
use super::{Inner, page_length, with_next_token};
use crate::engine::Kind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const PARAMETER_BYTES_MAX: usize = 1024;
const PARAMETERS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 256;
const BATCH_MAX: usize = 50;

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

impl Inner {
    pub(super) async fn start(self: &Arc<Self>, body: &[u8]) -> Result<Value, Fault> {
        // Results of earlier executions are never reused. Callers must allow for that on AWS, too.
        parameters!(body, {
            query_string: String, client_request_token: Option<String>, query_execution_context: Option<QueryContext>,
            result_configuration: Option<ResultConfiguration>, work_group: Option<String>,
            execution_parameters: Option<Vec<String>>; unused result_reuse_configuration: Option<Value>
        });
        let QueryContext { database, catalog } = query_execution_context.unwrap_or_default();
        if [&database, &catalog].into_iter().flatten().any(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
            return Err(Fault::invalid(format!("Database and Catalog have 1 to {NAME_BYTES_MAX} bytes")));
        }
        let parameters = execution_parameters.unwrap_or_default();
        let wrong = |parameter: &String| parameter.is_empty() || parameter.len() > PARAMETER_BYTES_MAX;
        if parameters.len() > PARAMETERS_MAX || parameters.iter().any(wrong) {
            let message =
                format!("ExecutionParameters are at most {PARAMETERS_MAX}, of 1 to {PARAMETER_BYTES_MAX} bytes each");
            return Err(Fault::invalid(message));
        }
        let group = self.group(work_group.as_deref().unwrap_or(PRIMARY)).await?;
        group.check_enabled()?;
        let custom = result_configuration.and_then(|configuration| configuration.output_location);
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
        let (plan, kind, substatement) = self.plan(&group.name, &query_string, &parameters).await?;
        let execution = Execution {
            id: Uuid::new_v4().to_string(),
            query: query_string,
            parameters,
            work_group: group.name,
            catalog: catalog.unwrap_or_else(|| CATALOG.to_owned()),
            // Some clients quote the name.
            database: database.map(|name| name.replace('`', "")),
            kind: format!("{kind:?}").to_uppercase(),
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
        let token = client_request_token.map(|token| (token, String::from_utf8_lossy(body).into_owned()));
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

    /// Plans a statement; returns the plan, kind and SubstatementType.
    async fn plan(&self, group: &str, sql: &str, parameters: &[String]) -> Result<(Plan, Kind, &'static str), Fault> {
        let malformed = |message: String| Fault::coded("MALFORMED_QUERY", message);
        let statement = match prepared_sql::parse(sql).map_err(|error| malformed(error.message))? {
            PreparedSql::Prepare { name, sql } => return Ok((Plan::Prepare { name, sql }, Kind::Ddl, "PREPARE")),
            PreparedSql::Deallocate { name } => return Ok((Plan::Deallocate { name }, Kind::Ddl, "DEALLOCATE")),
            PreparedSql::Execute { name, mut using } => {
                // As on AWS, USING takes precedence over ExecutionParameters.
                if using.is_empty() {
                    using = parameters.to_vec();
                }
                let (prepared, _) = self
                    .prepared(group, &name)
                    .await?
                    .ok_or_else(|| malformed(format!("PreparedStatement {name} was not found in workGroup {group}")))?;
                self.engine.parse(&prepared.sql, &using)
            }
            PreparedSql::Other => self.engine.parse(sql, parameters),
        };
        let statement = statement.map_err(|error| malformed(error.message))?;
        let (kind, substatement) = (statement.kind(), statement.substatement());
        Ok((Plan::Statement(Box::new(statement)), kind, substatement))
    }

    pub(super) async fn get_execution(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { query_execution_id: String });
        let execution = self.history.get(&query_execution_id).await?;
        Ok(json!({"QueryExecution": execution.to_json((self.settings.clock)())}))
    }

    pub(super) async fn get_executions(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { query_execution_ids: Vec<String> });
        if query_execution_ids.is_empty() || query_execution_ids.len() > BATCH_MAX {
            return Err(Fault::invalid(format!("QueryExecutionIds are 1 to {BATCH_MAX}")));
        }
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in query_execution_ids {
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

    pub(super) async fn list_executions(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { next_token: Option<String>, max_results: Option<u32>, work_group: Option<String> });
        let group = self.group(work_group.as_deref().unwrap_or(PRIMARY)).await?;
        let (ids, next) = self.history.list(&group.name, next_token.as_deref(), page_length(max_results, 50)?);
        Ok(with_next_token(json!({"QueryExecutionIds": ids}), next))
    }

    pub(super) async fn stop_execution(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { query_execution_id: String });
        self.history.stop(&query_execution_id).await?;
        Ok(json!({}))
    }
}
