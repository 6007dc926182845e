//! The operations on named queries and prepared statements.

use super::clock::seconds;
use super::documents::{Documents, page};
use super::fault::Fault;
use super::work_groups::{PRIMARY, check_name};
use super::{Inner, page_length, with_next_token, without_nulls};
use crate::engine::STATEMENT_BYTES_MAX;
use emulator_client::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

const NAMED_MAX: usize = 10_000;
const PREPARED_MAX: usize = 1_000;
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

impl Named {
    fn to_json(&self) -> Value {
        without_nulls(json!({
            "Name": self.name, "Database": self.database, "QueryString": self.sql, "NamedQueryId": self.id,
            "WorkGroup": self.work_group, "Description": self.description,
        }))
    }
}

impl Prepared {
    fn to_json(&self) -> Value {
        without_nulls(json!({
            "StatementName": self.name, "QueryStatement": self.sql, "WorkGroupName": self.work_group,
            "LastModifiedTime": seconds(self.modified_ms), "Description": self.description,
        }))
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

    pub(super) async fn create_named(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, {
            name: String, description: Option<String>, database: String, query_string: String,
            client_request_token: Option<String>, work_group: Option<String>
        });
        let work_group = self.group(work_group.as_deref().unwrap_or(PRIMARY)).await?.name;
        check_text(&query_string, &[Some(&name), description.as_deref(), Some(&database)])?;
        let documents = self.named_queries();
        if documents.names().await?.len() >= NAMED_MAX {
            return Err(Fault::invalid(format!("there are {NAMED_MAX} named queries, which is the most")));
        }
        // A token that is a UUID, as most are, becomes the id, so that a call sent twice saves one query.
        let id = client_request_token.and_then(|token| Uuid::try_parse(&token).ok()).unwrap_or_else(Uuid::new_v4);
        let id = id.to_string();
        let named = Named { id: id.clone(), name, description, database, sql: query_string, work_group };
        if !documents.put(&id, &named, &Version::Absent).await? && self.named(&id).await?.0.to_json() != named.to_json()
        {
            return Err(Fault::invalid("Idempotent parameters do not match"));
        }
        Ok(json!({"NamedQueryId": id}))
    }

    pub(super) async fn update_named(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, {
            named_query_id: String, name: String, description: Option<String>, query_string: String
        });
        check_text(&query_string, &[Some(&name), description.as_deref()])?;
        let (mut named, version) = self.named(&named_query_id).await?;
        (named.name, named.sql) = (name, query_string);
        named.description = description.or(named.description);
        match self.named_queries().put(&named.id, &named, &version).await? {
            true => Ok(json!({})),
            false => Err(Fault::invalid(format!("NamedQuery {} is being changed by another call", named.id))),
        }
    }

    pub(super) async fn get_named(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { named_query_id: String });
        Ok(json!({"NamedQuery": self.named(&named_query_id).await?.0.to_json()}))
    }

    pub(super) async fn list_named(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { next_token: Option<String>, max_results: Option<u32>, work_group: Option<String> });
        let group = self.group(work_group.as_deref().unwrap_or(PRIMARY)).await?;
        let (length, ids) = (page_length(max_results, PAGE)?, self.named_of(&group.name).await?);
        let (ids, next) = page(ids, |id| id, next_token.as_deref(), length);
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

    pub(super) async fn delete_named(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { named_query_id: String });
        let (named, _) = self.named(&named_query_id).await?;
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

    /// Reads a prepared statement and its version; none if it does not exist.
    pub(super) async fn prepared(&self, group: &str, name: &str) -> Result<Option<(Prepared, Version)>, Fault> {
        check_name(group)?;
        check_statement_name(name)?;
        self.prepared_statements(group).get(name).await
    }

    async fn expect_prepared(&self, group: &str, name: &str) -> Result<(Prepared, Version), Fault> {
        let missing = || Fault::missing(name, format!("PreparedStatement {name} was not found in workGroup {group}"));
        self.prepared(group, name).await?.ok_or_else(missing)
    }

    pub(super) async fn create_prepared(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, {
            statement_name: String, work_group: String, query_statement: String, description: Option<String>
        });
        self.prepare(&work_group, statement_name, query_statement, description).await?;
        Ok(json!({}))
    }

    /// Stores a prepared statement, as PREPARE does.
    pub(super) async fn prepare(
        &self,
        group: &str,
        name: String,
        sql: String,
        description: Option<String>,
    ) -> Result<(), Fault> {
        let work_group = self.group(group).await?.name;
        check_statement_name(&name)?;
        check_text(&sql, &[description.as_deref()])?;
        let documents = self.prepared_statements(&work_group);
        if documents.names().await?.len() >= PREPARED_MAX {
            return Err(Fault::invalid(format!("there are {PREPARED_MAX} prepared statements, which is the most")));
        }
        let prepared = Prepared { name, sql, work_group, description, modified_ms: (self.settings.clock)() };
        let Prepared { name, work_group, .. } = &prepared;
        match documents.put(name, &prepared, &Version::Absent).await? {
            true => Ok(()),
            false => Err(Fault::invalid(format!("PreparedStatement {name} already exists in workGroup {work_group}"))),
        }
    }

    pub(super) async fn update_prepared(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, {
            statement_name: String, work_group: String, query_statement: String, description: Option<String>
        });
        check_text(&query_statement, &[description.as_deref()])?;
        let (mut prepared, version) = self.expect_prepared(&work_group, &statement_name).await?;
        (prepared.sql, prepared.modified_ms) = (query_statement, (self.settings.clock)());
        prepared.description = description.or(prepared.description);
        match self.prepared_statements(&work_group).put(&statement_name, &prepared, &version).await? {
            true => Ok(json!({})),
            false => {
                Err(Fault::invalid(format!("PreparedStatement {statement_name} is being changed by another call")))
            }
        }
    }

    pub(super) async fn get_prepared(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { statement_name: String, work_group: String });
        let (found, _) = self.expect_prepared(&work_group, &statement_name).await?;
        Ok(json!({"PreparedStatement": found.to_json()}))
    }

    pub(super) async fn list_prepared(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { next_token: Option<String>, max_results: Option<u32>, work_group: String });
        let group = self.group(&work_group).await?.name;
        let names = self.prepared_statements(&group).names().await?;
        let (names, next) = page(names, |name| name, next_token.as_deref(), page_length(max_results, PAGE)?);
        let mut shown = Vec::new();
        for name in names {
            if let Some((prepared, _)) = self.prepared(&group, &name).await? {
                shown.push(json!({"StatementName": name, "LastModifiedTime": seconds(prepared.modified_ms)}));
            }
        }
        Ok(with_next_token(json!({"PreparedStatements": shown}), next))
    }

    pub(super) async fn delete_prepared(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { statement_name: String, work_group: String });
        self.deallocate(&work_group, &statement_name).await?;
        Ok(json!({}))
    }

    /// Removes a prepared statement, as DEALLOCATE PREPARE does.
    pub(super) async fn deallocate(&self, group: &str, name: &str) -> Result<(), Fault> {
        self.expect_prepared(group, name).await?;
        self.prepared_statements(group).remove(name).await
    }
}
