//! Glue: reads and changes all databases, tables and partitions, as plain values.

mod entry;
mod glue;

pub use entry::{Column, Database, Partition, Storage, Table};

use crate::with_causes;
use aws_sdk_glue::Client;
use aws_sdk_glue::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_glue::types::{PartitionError, PartitionValueList};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::time::Duration;

/// The most partitions of one BatchCreatePartition call, and of one BatchDeletePartition call.
const CREATED_MAX: usize = 100;
const DELETED_MAX: usize = 25;
/// The attempts of a change while other clients change the same table.
const ATTEMPTS_MAX: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The most databases, tables or partitions that are read into memory.
pub const ENTRIES_MAX: usize = 1_000_000;

const MISSING: &str = "EntityNotFoundException";
const EXISTS: &str = "AlreadyExistsException";
const CONCURRENT: &str = "ConcurrentModificationException";

/// The databases of the account's Glue Data Catalog.
#[derive(Clone, Debug)]
pub struct DataCatalog {
    client: Client,
}

/// A failed call of Glue: the call and the cause.
#[derive(Debug, thiserror::Error)]
#[error("cannot {call}: {cause}")]
pub struct DataCatalogError {
    call: String,
    code: Option<String>,
    cause: String,
}

impl DataCatalogError {
    /// Whether the entry does not exist.
    pub fn is_missing(&self) -> bool {
        self.code.as_deref() == Some(MISSING)
    }

    /// Whether the new entry exists already.
    pub fn exists(&self) -> bool {
        self.code.as_deref() == Some(EXISTS)
    }

    fn too_many(call: String) -> Self {
        let cause = format!("expected at most {ENTRIES_MAX} entries");
        Self { call, code: None, cause }
    }
}

/// The result of a call.
pub type Outcome<T> = Result<T, DataCatalogError>;

impl DataCatalog {
    /// The catalog behind `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists all databases in Glue's order.
    ///
    /// # Errors
    /// If Glue fails.
    pub fn databases(&self) -> BoxFuture<'_, Outcome<Vec<Database>>> {
        Box::pin(async move {
            let call = || "list the databases".to_owned();
            let mut pages = self.client.get_databases().into_paginator().send();
            let mut found = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| failed(call(), &error))?;
                found.extend(page.database_list.into_iter().map(glue::database));
                if found.len() > ENTRIES_MAX {
                    return Err(DataCatalogError::too_many(call()));
                }
            }
            Ok(found)
        })
    }

    /// Reads a database; none if it does not exist.
    ///
    /// # Errors
    /// If Glue fails.
    pub fn database<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Outcome<Option<Database>>> {
        Box::pin(async move {
            let answer = self.client.get_database().name(name).send().await;
            let found = unless(MISSING, format!("read database {name}"), answer)?;
            Ok(found.and_then(|found| found.database).map(glue::database))
        })
    }

    /// Lists the tables and views of a database in Glue's order.
    ///
    /// # Errors
    /// If the database does not exist, or if Glue fails.
    pub fn tables<'a>(&'a self, database: &'a str) -> BoxFuture<'a, Outcome<Vec<Table>>> {
        Box::pin(async move {
            let call = || format!("list the tables of {database}");
            let mut pages = self.client.get_tables().database_name(database).into_paginator().send();
            let mut found = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| failed(call(), &error))?;
                found.extend(page.table_list.into_iter().flatten().map(|table| glue::table(database, table)));
                if found.len() > ENTRIES_MAX {
                    return Err(DataCatalogError::too_many(call()));
                }
            }
            Ok(found)
        })
    }

    /// Reads a table or view; none if the table or the database does not exist.
    ///
    /// # Errors
    /// If Glue fails.
    pub fn table<'a>(&'a self, database: &'a str, name: &'a str) -> BoxFuture<'a, Outcome<Option<Table>>> {
        Box::pin(async move {
            let answer = self.client.get_table().database_name(database).name(name).send().await;
            let found = unless(MISSING, format!("read table {database}.{name}"), answer)?;
            Ok(found.and_then(|found| found.table).map(|table| glue::table(database, table)))
        })
    }

    /// Lists the registered partitions of a table in Glue's order. An expression in Glue's language, such as
    /// `dt = '2022-06-18' AND hour >= '14'`, selects some of them.
    ///
    /// # Errors
    /// If the table does not exist, or if Glue fails.
    pub fn partitions<'a>(
        &'a self,
        database: &'a str,
        table: &'a str,
        expression: Option<String>,
    ) -> BoxFuture<'a, Outcome<Vec<Partition>>> {
        Box::pin(async move {
            let call = || format!("list the partitions of {database}.{table}");
            let request = self.client.get_partitions().database_name(database).table_name(table);
            // Each partition would repeat the columns of the table.
            let request = request.exclude_column_schema(true).set_expression(expression);
            let mut pages = request.into_paginator().send();
            let mut found = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| failed(call(), &error))?;
                found.extend(page.partitions.into_iter().flatten().map(glue::partition));
                if found.len() > ENTRIES_MAX {
                    return Err(DataCatalogError::too_many(call()));
                }
            }
            Ok(found)
        })
    }

    /// Creates a database.
    ///
    /// # Errors
    /// [`DataCatalogError::exists`] if the name is in use; or if Glue fails.
    pub fn create_database<'a>(&'a self, database: &'a Database) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(async move {
            let call = || format!("create database {}", database.name);
            let input = glue::database_input(database).map_err(|error| failed_locally(call(), &error))?;
            let answer = self.client.create_database().database_input(input).send().await;
            answer.map(|_| ()).map_err(|error| failed(call(), &error))
        })
    }

    /// Removes a database with the entries of its tables. Files stay.
    ///
    /// # Errors
    /// [`DataCatalogError::is_missing`] if it does not exist; or if Glue fails.
    pub fn drop_database<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(async move {
            let answer = self.client.delete_database().name(name).send().await;
            answer.map(|_| ()).map_err(|error| failed(format!("drop database {name}"), &error))
        })
    }

    /// Creates a table or view.
    ///
    /// # Errors
    /// [`DataCatalogError::exists`] if the name is in use; or if Glue fails.
    pub fn create_table<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(async move {
            let call = || format!("create table {}.{}", table.database, table.name);
            let input = glue::table_input(table).map_err(|error| failed_locally(call(), &error))?;
            let answer = self.client.create_table().database_name(&table.database).table_input(input).send().await;
            answer.map(|_| ()).map_err(|error| failed(call(), &error))
        })
    }

    /// Replaces the definition of a table or view.
    ///
    /// # Errors
    /// [`DataCatalogError::is_missing`] if it does not exist; or if Glue fails.
    pub fn replace_table<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(async move {
            let call = || format!("change table {}.{}", table.database, table.name);
            let input = glue::table_input(table).map_err(|error| failed_locally(call(), &error))?;
            let answer = self.client.update_table().database_name(&table.database).table_input(input).send().await;
            answer.map(|_| ()).map_err(|error| failed(call(), &error))
        })
    }

    /// Removes the entry of a table or view. Files stay.
    ///
    /// # Errors
    /// [`DataCatalogError::is_missing`] if it does not exist; or if Glue fails.
    pub fn drop_table<'a>(&'a self, database: &'a str, name: &'a str) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(async move {
            let answer = self.client.delete_table().database_name(database).name(name).send().await;
            answer.map(|_| ()).map_err(|error| failed(format!("drop table {database}.{name}"), &error))
        })
    }

    /// Registers partitions; returns those that are registered already, which stay unchanged.
    ///
    /// # Errors
    /// If the table does not exist, or if Glue fails.
    pub fn add_partitions<'a>(
        &'a self,
        database: &'a str,
        table: &'a str,
        partitions: &'a [Partition],
    ) -> BoxFuture<'a, Outcome<Vec<Vec<String>>>> {
        Box::pin(async move {
            let mut existing = Vec::new();
            for batch in partitions.chunks(CREATED_MAX) {
                let inputs: BTreeMap<_, _> =
                    batch.iter().map(|p| (p.values.clone(), glue::partition_input(p))).collect();
                let call = || format!("register partitions of {database}.{table}");
                let send = |pending: Vec<Vec<String>>| {
                    let inputs = pending.iter().filter_map(|values| inputs.get(values).cloned()).collect();
                    let request = self.client.batch_create_partition().database_name(database).table_name(table);
                    async move {
                        let answer = request.set_partition_input_list(Some(inputs)).send().await;
                        Ok(unless(CONCURRENT, call(), answer)?.map(|answer| answer.errors.unwrap_or_default()))
                    }
                };
                existing.extend(in_batches(call(), EXISTS, inputs.keys().cloned().collect(), send).await?);
            }
            Ok(existing)
        })
    }

    /// Removes the entries of partitions; returns those that were not registered. Files stay.
    ///
    /// # Errors
    /// If the table does not exist, or if Glue fails.
    pub fn drop_partitions<'a>(
        &'a self,
        database: &'a str,
        table: &'a str,
        partitions: &'a [Vec<String>],
    ) -> BoxFuture<'a, Outcome<Vec<Vec<String>>>> {
        Box::pin(async move {
            let mut missing = Vec::new();
            for batch in partitions.chunks(DELETED_MAX) {
                let call = || format!("drop partitions of {database}.{table}");
                let send = |pending: Vec<Vec<String>>| {
                    let lists =
                        pending.into_iter().map(|values| PartitionValueList::builder().set_values(Some(values)));
                    let lists: Result<Vec<_>, _> = lists.map(|list| list.build()).collect();
                    let request = self.client.batch_delete_partition().database_name(database).table_name(table);
                    async move {
                        let lists = lists.map_err(|error| failed_locally(call(), &error))?;
                        let answer = request.set_partitions_to_delete(Some(lists)).send().await;
                        Ok(unless(CONCURRENT, call(), answer)?.map(|answer| answer.errors.unwrap_or_default()))
                    }
                };
                missing.extend(in_batches(call(), MISSING, batch.to_vec(), send).await?);
            }
            Ok(missing)
        })
    }
}

/// Sends `pending` until each entry succeeds or fails with `harmless`; returns the latter. A 200 may contain errors.
async fn in_batches<F>(
    call: String,
    harmless: &str,
    mut pending: Vec<Vec<String>>,
    send: impl Fn(Vec<Vec<String>>) -> F,
) -> Outcome<Vec<Vec<String>>>
where
    F: Future<Output = Outcome<Option<Vec<PartitionError>>>>,
{
    let (mut pause, mut passed_over) = (FIRST_PAUSE, Vec::new());
    for attempt in 1.. {
        let (code, cause) = match send(pending.clone()).await? {
            None => (Some(CONCURRENT.to_owned()), "other clients change the same table".to_owned()),
            Some(errors) => {
                let code = |error: &PartitionError| error.error_detail()?.error_code().map(str::to_owned);
                let (expected, errors): (Vec<_>, Vec<_>) =
                    errors.into_iter().partition(|error| code(error).as_deref() == Some(harmless));
                passed_over.extend(expected.iter().map(|error| error.partition_values().to_vec()));
                let Some(first) = errors.first() else { return Ok(passed_over) };
                pending.retain(|values| errors.iter().any(|error| error.partition_values() == values));
                (code(first), format!("{:?}: {:?}", first.partition_values(), first.error_detail()))
            }
        };
        if attempt == ATTEMPTS_MAX || code.as_deref() != Some(CONCURRENT) {
            return Err(DataCatalogError { call, code, cause });
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(passed_over)
}

/// The answer; none for the error `code`.
fn unless<T, E>(code: &str, call: String, answer: Result<T, SdkError<E, HttpResponse>>) -> Outcome<Option<T>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some(code) => Ok(None),
        Err(error) => Err(failed(call, &error)),
    }
}

fn failed<E>(call: String, error: &SdkError<E, HttpResponse>) -> DataCatalogError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let cause = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{message} ({code})"),
        _ => with_causes(error),
    };
    DataCatalogError { call, code: error.code().map(str::to_owned), cause }
}

fn failed_locally(call: String, error: &(dyn std::error::Error + 'static)) -> DataCatalogError {
    DataCatalogError { call, code: None, cause: with_causes(error) }
}
