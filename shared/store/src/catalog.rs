//! Glue: databases, tables, partitions.

use crate::counters::Counters;
use crate::error_kind::{ErrorKind, Failure};
use crate::{answer_of, kind_of, with_causes};
use aws_sdk_glue::Client;
use aws_sdk_glue::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_glue::types::{
    Column, DatabaseInput, PartitionError, PartitionInput, SerDeInfo, StorageDescriptor, TableInput,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures::future::BoxFuture;
use model::table::{Storage, Table};
use model::time::Partition;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The most partitions of one BatchCreatePartition call.
const BATCH_PARTITIONS_MAX: usize = 100;
/// How often a registration is tried while other functions change the same table.
const ATTEMPTS_MAX: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The tables of a lake in the Glue Data Catalog.
#[derive(Clone, Debug)]
pub struct Catalog {
    client: Client,
    database: String,
    bucket: String,
    /// The partitions that this process has registered. Functions never remove a partition.
    registered: Arc<Mutex<BTreeSet<(Table, Partition)>>>,
    counters: Arc<Counters>,
}

/// A failed Glue call.
#[derive(Debug, thiserror::Error)]
#[error("cannot {call} in Glue database {database}: {cause}")]
pub struct CatalogError {
    call: String,
    database: String,
    cause: String,
    kind: ErrorKind,
}

impl Failure for CatalogError {
    fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl Catalog {
    /// The tables over `bucket` in `database`, behind `client`. Repeated calls are counted.
    pub fn new(client: Client, database: &str, bucket: &str, counters: Arc<Counters>) -> Self {
        let (database, bucket) = (database.to_owned(), bucket.to_owned());
        Self { client, database, bucket, registered: Arc::default(), counters }
    }

    /// Registers partitions of `table`. Existing partitions stay as they are.
    pub fn register<'a>(
        &'a self,
        table: Table,
        partitions: &'a BTreeSet<Partition>,
    ) -> BoxFuture<'a, Result<(), CatalogError>> {
        Box::pin(async move {
            let known = |p: &Partition| self.known().contains(&(table, *p));
            let missing: Vec<Partition> = partitions.iter().copied().filter(|p| !known(p)).collect();
            for batch in missing.chunks(BATCH_PARTITIONS_MAX) {
                self.create(table, batch.to_vec()).await?;
                self.known().extend(batch.iter().map(|partition| (table, *partition)));
            }
            Ok(())
        })
    }

    async fn create(&self, table: Table, mut pending: Vec<Partition>) -> Result<(), CatalogError> {
        let call = || format!("register partitions of {table}");
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let cause = match self.create_once(table, &pending).await {
                Ok(errors) => {
                    // An answer of 200 may hold errors. An existing partition is the only one that does not matter.
                    let failed: Vec<PartitionError> = errors.into_iter().filter(|e| code(e) != Some(EXISTS)).collect();
                    let Some(first) = failed.first() else { return Ok(()) };
                    let cause = format!("{:?}: {:?}", first.partition_values(), first.error_detail());
                    pending.retain(|p| failed.iter().any(|e| e.partition_values() == p.values()));
                    cause
                }
                Err(error) if error.code() == Some(CONCURRENT) => answer_of(&error),
                Err(error) => return Err(self.refused(call(), &error)),
            };
            if attempt == ATTEMPTS_MAX {
                return Err(CatalogError {
                    call: call(),
                    database: self.database.clone(),
                    cause,
                    kind: ErrorKind::Retry,
                });
            }
            self.counters.add(|counts| counts.retries += 1);
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    async fn create_once(&self, table: Table, partitions: &[Partition]) -> Result<Vec<PartitionError>, CreateError> {
        let inputs = partitions.iter().map(|partition| {
            let location = format!("s3://{}/{}", self.bucket, model::layout::partition_prefix(table, *partition));
            PartitionInput::builder()
                .set_values(Some(partition.values().to_vec()))
                .storage_descriptor(storage(table, location))
                .build()
        });
        let call = self.client.batch_create_partition().database_name(&self.database).table_name(table.name());
        let answer = call.set_partition_input_list(Some(inputs.collect())).send().await?;
        Ok(answer.errors.unwrap_or_default())
    }

    /// Creates the database and the tables that do not exist. On AWS, Terraform does this.
    pub fn create_tables(&self) -> BoxFuture<'_, Result<(), CatalogError>> {
        Box::pin(async move {
            let input = DatabaseInput::builder().name(&self.database).description("STEDI Lake").build();
            let input = input.map_err(|error| self.failed("describe the database".into(), &error))?;
            let created = self.client.create_database().database_input(input).send().await;
            self.unless_exists("create the database".into(), created)?;
            for table in Table::ALL {
                let input = TableInput::builder()
                    .name(table.name())
                    .description(table.comment())
                    .table_type("EXTERNAL_TABLE")
                    .parameters("EXTERNAL", "TRUE")
                    .parameters("classification", table.format().name())
                    .set_partition_keys(Some(columns(table.partition_columns())))
                    .storage_descriptor(storage(table, format!("s3://{}/{}", self.bucket, table.prefix())))
                    .build()
                    .map_err(|error| self.failed(format!("describe {table}"), &error))?;
                let created = self.client.create_table().database_name(&self.database).table_input(input).send().await;
                self.unless_exists(format!("create {table}"), created)?;
            }
            Ok(())
        })
    }

    /// Lists the registered partitions of `table`, in order.
    pub fn partitions(&self, table: Table) -> BoxFuture<'_, Result<BTreeSet<Partition>, CatalogError>> {
        Box::pin(async move {
            let mut partitions = BTreeSet::new();
            let call = self.client.get_partitions().database_name(&self.database).table_name(table.name());
            let mut pages = call.into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| self.refused(format!("list partitions of {table}"), &error))?;
                for partition in page.partitions.unwrap_or_default() {
                    let [dt, hour] = partition.values() else { continue };
                    partitions.extend(Partition::parse(&format!("dt={dt}/hour={hour}")));
                }
            }
            Ok(partitions)
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<(Table, Partition)>> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unless_exists<T, E>(
        &self,
        call: String,
        result: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<(), CatalogError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match result {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(EXISTS) => Ok(()),
            Err(error) => Err(self.refused(call, &error)),
        }
    }

    fn refused<E>(&self, call: String, error: &SdkError<E, HttpResponse>) -> CatalogError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        CatalogError { call, database: self.database.clone(), cause: answer_of(error), kind: kind_of(error) }
    }

    fn failed(&self, call: String, error: &(dyn std::error::Error + 'static)) -> CatalogError {
        let kind = ErrorKind::Retry;
        CatalogError { call, database: self.database.clone(), cause: with_causes(error), kind }
    }
}

type CreateError = SdkError<aws_sdk_glue::operation::batch_create_partition::BatchCreatePartitionError, HttpResponse>;

const EXISTS: &str = "AlreadyExistsException";
const CONCURRENT: &str = "ConcurrentModificationException";

fn code(error: &PartitionError) -> Option<&str> {
    error.error_detail()?.error_code()
}

fn columns(columns: &[model::table::Column]) -> Vec<Column> {
    // Glue requires only a name.
    let column =
        |c: &model::table::Column| Column::builder().name(c.name).r#type(c.kind.to_string()).comment(c.comment).build();
    columns.iter().filter_map(|c| column(c).ok()).collect()
}

fn storage(table: Table, location: String) -> StorageDescriptor {
    let Storage { input_format, output_format, serialization_library, parameters } = table.format().storage();
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let serde = SerDeInfo::builder().serialization_library(serialization_library);
    StorageDescriptor::builder()
        .set_columns(Some(columns(table.columns())))
        .location(location)
        .input_format(input_format)
        .output_format(output_format)
        .serde_info(serde.set_parameters(Some(parameters.collect())).build())
        .build()
}
