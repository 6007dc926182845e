//! The operations on named queries and prepared statements.

use super::Inner;
use super::clock::seconds;
use super::documents::{Documents, page};
use super::executions::with_next_token;
use super::fault::Fault;
use super::page_length;
use super::work_groups::{PRIMARY, check_name};
use crate::engine::STATEMENT_BYTES_MAX;
use emulator_client::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

const NAMED_MAX: usize = 10_000;
const PREPARED_MAX: usize = 1_000;
const BATCH_MAX: usize = 50;
const TEXT_BYTES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 256;
const PAGE: u32 = 50;

#[derive(Debug, Serialize, Deserialize)]
struct Named {
    id: String,
    name: String,
    description: Option<String>,
    database: String,
    sql: String,
    work_group: String,
}

/// A prepared statement.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Prepared {
    name: String,
    pub(super) sql: String,
    work_group: String,
    description: Option<String>,
    modified_ms: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreateNamed {
    name: String,
    description: Option<String>,
    database: String,
    query_string: String,
    #[serde(rename = "ClientRequestToken")]
    token: Option<String>,
    work_group: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateNamed {
    named_query_id: String,
    name: String,
    description: Option<String>,
    query_string: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OneNamed {
    named_query_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SeveralNamed {
    named_query_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct List {
    next_token: Option<String>,
    max_results: Option<u32>,
    work_group: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Prepare {
    statement_name: String,
    work_group: String,
    query_statement: String,
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OnePrepared {
    statement_name: String,
    work_group: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SeveralPrepared {
    prepared_statement_names: Vec<String>,
    work_group: String,
}

impl Named {
    fn to_json(&self) -> Value {
        let mut shown = json!({
            "Name": self.name, "Database": self.database, "QueryString": self.sql, "NamedQueryId": self.id,
            "WorkGroup": self.work_group,
        });
        if let Some(description) = &self.description {
            shown["Description"] = json!(description);
        }
        shown
    }
}

impl Prepared {
    fn to_json(&self) -> Value {
        let mut shown = json!({
            "StatementName": self.name, "QueryStatement": self.sql, "WorkGroupName": self.work_group,
            "LastModifiedTime": seconds(self.modified_ms),
        });
        if let Some(description) = &self.description {
            shown["Description"] = json!(description);
        }
        shown
    }
}

fn check_text(sql: &str, texts: &[Option<&str>]) -> Result<(), Fault> {
    if sql.is_empty() || sql.len() > STATEMENT_BYTES_MAX {
        return Err(Fault::invalid(format!("the query has {} bytes, expected 1 to {STATEMENT_BYTES_MAX}", sql.len())));
    }
    match texts.iter().flatten().any(|text| text.len() > TEXT_BYTES_MAX) {
        true => Err(Fault::invalid(format!("a name or description is longer than {TEXT_BYTES_MAX} bytes"))),
        false => Ok(()),
    }
}

fn check_statement_name(name: &str) -> Result<(), Fault> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | ':');
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    match name.len() <= NAME_BYTES_MAX && name.starts_with(is_first) && name.chars().all(is_name) {
        true => Ok(()),
        false => Err(Fault::invalid(format!(
            "{name:?} is not the name of a prepared statement: expected [a-zA-Z_][a-zA-Z0-9_@:]*"
        ))),
    }
}

impl Inner {
    fn named_queries(&self) -> Documents {
        Documents::new(self.store.clone(), &self.settings.bucket, "athena/named_queries/".to_owned(), 2 * NAMED_MAX)
    }

    fn prepared_statements(&self, group: &str) -> Documents {
        let prefix = format!("athena/prepared_statements/{group}/");
        Documents::new(self.store.clone(), &self.settings.bucket, prefix, 2 * PREPARED_MAX)
    }

    async fn named(&self, id: &str) -> Result<(Named, Version), Fault> {
        let missing = || Fault::invalid(format!("NamedQuery {id} was not found"));
        // Only a UUID may become part of a key.
        Uuid::try_parse(id).map_err(|_| missing())?;
        self.named_queries().get(id).await?.ok_or_else(missing)
    }

    pub(super) async fn create_named(&self, request: CreateNamed) -> Result<Value, Fault> {
        let group = self.group(request.work_group.as_deref().unwrap_or(PRIMARY)).await?;
        check_text(
            &request.query_string,
            &[Some(&request.name), request.description.as_deref(), Some(&request.database)],
        )?;
        let documents = self.named_queries();
        if documents.names().await?.len() >= NAMED_MAX {
            return Err(Fault::invalid(format!("there are {NAMED_MAX} named queries, which is the most")));
        }
        // A token that is a UUID, as most are, becomes the id, so that a call sent twice saves one query.
        let id = request.token.as_deref().and_then(|token| Uuid::try_parse(token).ok()).unwrap_or_else(Uuid::new_v4);
        let id = id.to_string();
        let named = Named {
            id: id.clone(),
            name: request.name,
            description: request.description,
            database: request.database,
            sql: request.query_string,
            work_group: group.name,
        };
        if !documents.put(&id, &named, &Version::Absent).await? && self.named(&id).await?.0.to_json() != named.to_json()
        {
            return Err(Fault::invalid("Idempotent parameters do not match"));
        }
        Ok(json!({"NamedQueryId": id}))
    }

    pub(super) async fn update_named(&self, request: UpdateNamed) -> Result<Value, Fault> {
        check_text(&request.query_string, &[Some(&request.name), request.description.as_deref()])?;
        let (mut named, version) = self.named(&request.named_query_id).await?;
        named.name = request.name;
        named.sql = request.query_string;
        named.description = request.description.or(named.description);
        match self.named_queries().put(&named.id, &named, &version).await? {
            true => Ok(json!({})),
            false => Err(Fault::invalid(format!("NamedQuery {} is being changed by another call", named.id))),
        }
    }

    pub(super) async fn get_named(&self, request: OneNamed) -> Result<Value, Fault> {
        Ok(json!({"NamedQuery": self.named(&request.named_query_id).await?.0.to_json()}))
    }

    pub(super) async fn get_all_named(&self, request: SeveralNamed) -> Result<Value, Fault> {
        if request.named_query_ids.is_empty() || request.named_query_ids.len() > BATCH_MAX {
            return Err(Fault::invalid(format!("NamedQueryIds are 1 to {BATCH_MAX}")));
        }
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in request.named_query_ids {
            match self.named(&id).await {
                Ok((named, _)) => found.push(named.to_json()),
                Err(_) => missing.push(json!({"NamedQueryId": id, "ErrorCode": "INVALID_INPUT",
                    "ErrorMessage": format!("NamedQuery {id} was not found")})),
            }
        }
        Ok(json!({"NamedQueries": found, "UnprocessedNamedQueryIds": missing}))
    }

    pub(super) async fn list_named(&self, request: List) -> Result<Value, Fault> {
        let group = self.group(request.work_group.as_deref().unwrap_or(PRIMARY)).await?;
        let (ids, next) = page(
            self.named_of(&group.name).await?,
            request.next_token.as_deref(),
            page_length(request.max_results, PAGE)?,
        );
        Ok(with_next_token(json!({"NamedQueryIds": ids}), next))
    }

    async fn named_of(&self, group: &str) -> Result<Vec<String>, Fault> {
        let mut ids = Vec::new();
        for id in self.named_queries().names().await? {
            if self.named(&id).await.is_ok_and(|(named, _)| named.work_group == group) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    pub(super) async fn delete_named(&self, request: OneNamed) -> Result<Value, Fault> {
        let (named, _) = self.named(&request.named_query_id).await?;
        self.named_queries().remove(&named.id).await?;
        Ok(json!({}))
    }

    /// Removes the saved queries of a work group if `all` is set; returns whether none is left.
    pub(super) async fn remove_saved(&self, group: &str, all: bool) -> Result<bool, Fault> {
        let (named, prepared) = (self.named_of(group).await?, self.prepared_statements(group).names().await?);
        if !all {
            return Ok(named.is_empty() && prepared.is_empty());
        }
        for id in named {
            self.named_queries().remove(&id).await?;
        }
        for name in prepared {
            self.prepared_statements(group).remove(&name).await?;
        }
        Ok(true)
    }

    /// Reads a prepared statement.
    pub(super) async fn prepared(&self, group: &str, name: &str) -> Result<Option<Prepared>, Fault> {
        check_name(group)?;
        check_statement_name(name)?;
        Ok(self.prepared_statements(group).get(name).await?.map(|(prepared, _)| prepared))
    }

    async fn expect_prepared(&self, group: &str, name: &str) -> Result<Prepared, Fault> {
        let missing = || Fault::missing(name, format!("PreparedStatement {name} was not found in workGroup {group}"));
        self.prepared(group, name).await?.ok_or_else(missing)
    }

    pub(super) async fn create_prepared(&self, request: Prepare) -> Result<Value, Fault> {
        let Prepare { statement_name, work_group, query_statement, description } = request;
        self.keep_prepared(&work_group, statement_name, query_statement, description).await?;
        Ok(json!({}))
    }

    /// Runs PREPARE.
    pub(super) async fn prepare(&self, group: &str, name: &str, sql: &str) -> Result<(), Fault> {
        self.keep_prepared(group, name.to_owned(), sql.to_owned(), None).await
    }

    async fn keep_prepared(
        &self,
        group: &str,
        name: String,
        sql: String,
        description: Option<String>,
    ) -> Result<(), Fault> {
        let group = self.group(group).await?.name;
        check_statement_name(&name)?;
        check_text(&sql, &[description.as_deref()])?;
        let documents = self.prepared_statements(&group);
        if documents.names().await?.len() >= PREPARED_MAX {
            return Err(Fault::invalid(format!("there are {PREPARED_MAX} prepared statements, which is the most")));
        }
        let prepared = Prepared {
            name: name.clone(),
            sql,
            work_group: group.clone(),
            description,
            modified_ms: (self.settings.clock)(),
        };
        match documents.put(&name, &prepared, &Version::Absent).await? {
            true => Ok(()),
            false => Err(Fault::invalid(format!("PreparedStatement {name} already exists in workGroup {group}"))),
        }
    }

    pub(super) async fn update_prepared(&self, request: Prepare) -> Result<Value, Fault> {
        check_text(&request.query_statement, &[request.description.as_deref()])?;
        self.expect_prepared(&request.work_group, &request.statement_name).await?;
        let documents = self.prepared_statements(&request.work_group);
        let found = documents.get::<Prepared>(&request.statement_name).await?;
        let (mut prepared, version) =
            found.ok_or_else(|| Fault::invalid("the prepared statement was deleted meanwhile"))?;
        prepared.sql = request.query_statement;
        prepared.description = request.description.or(prepared.description);
        prepared.modified_ms = (self.settings.clock)();
        match documents.put(&request.statement_name, &prepared, &version).await? {
            true => Ok(json!({})),
            false => {
                Err(Fault::invalid(format!("PreparedStatement {} is being changed by another call", prepared.name)))
            }
        }
    }

    pub(super) async fn get_prepared(&self, request: OnePrepared) -> Result<Value, Fault> {
        let found = self.expect_prepared(&request.work_group, &request.statement_name).await?;
        Ok(json!({"PreparedStatement": found.to_json()}))
    }

    pub(super) async fn get_all_prepared(&self, request: SeveralPrepared) -> Result<Value, Fault> {
        if request.prepared_statement_names.len() > BATCH_MAX {
            return Err(Fault::invalid(format!("PreparedStatementNames are at most {BATCH_MAX}")));
        }
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in request.prepared_statement_names {
            match self.prepared(&request.work_group, &name).await? {
                Some(prepared) => found.push(prepared.to_json()),
                None => missing.push(json!({"StatementName": name, "ErrorCode": "STATEMENT_NOT_FOUND",
                    "ErrorMessage": format!("PreparedStatement {name} was not found")})),
            }
        }
        Ok(json!({"PreparedStatements": found, "UnprocessedPreparedStatementNames": missing}))
    }

    pub(super) async fn list_prepared(&self, request: List) -> Result<Value, Fault> {
        let group = request.work_group.ok_or_else(|| Fault::invalid("WorkGroup is missing"))?;
        let group = self.group(&group).await?.name;
        let names = self.prepared_statements(&group).names().await?;
        let (names, next) = page(names, request.next_token.as_deref(), page_length(request.max_results, PAGE)?);
        let mut shown = Vec::new();
        for name in names {
            if let Some(prepared) = self.prepared(&group, &name).await? {
                shown.push(json!({"StatementName": name, "LastModifiedTime": seconds(prepared.modified_ms)}));
            }
        }
        Ok(with_next_token(json!({"PreparedStatements": shown}), next))
    }

    pub(super) async fn delete_prepared(&self, request: OnePrepared) -> Result<Value, Fault> {
        self.deallocate(&request.work_group, &request.statement_name).await?;
        Ok(json!({}))
    }

    /// Runs DEALLOCATE PREPARE.
    pub(super) async fn deallocate(&self, group: &str, name: &str) -> Result<(), Fault> {
        self.expect_prepared(group, name).await?;
        self.prepared_statements(group).remove(name).await
    }
}
