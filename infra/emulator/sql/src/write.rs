//! Statements that write files: CREATE TABLE AS, INSERT INTO, UNLOAD.

mod target;

use crate::answer::{Answer, Column};
use crate::engine::Context;
use crate::error::SqlError;
use crate::files::parse_folder;
use crate::query::{RunningQuery, Session, find_table};
use crate::sql_type::SqlType;
use crate::statement::{PARQUET_INPUT, PARQUET_OUTPUT, PARQUET_SERDE, Properties, Query, TableName};
use crate::{partition, table_provider, view};
use emulator_client::ObjectLocation;
use emulator_client::data_catalog::{Column as CatalogColumn, Storage, Table};
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use target::Target;

/// The rows and files that a statement wrote.
struct WriteSummary {
    rows: u64,
    files: Vec<ObjectLocation>,
    partitions: BTreeSet<Vec<String>>,
}

impl WriteSummary {
    fn answer(self, scanned: crate::Scanned) -> Answer {
        let column = Column::new("rows", SqlType::BigInt);
        let mut answer = Answer::lines(vec![column], Vec::new());
        (answer.written, answer.update_count, answer.scanned) = (self.files, Some(self.rows), scanned);
        answer
    }
}

fn catalog_columns(columns: &[Column]) -> Result<Vec<CatalogColumn>, SqlError> {
    let column = |(n, column): (usize, &Column)| {
        if column.name == format!("_col{n}") {
            let message = format!("Column name not specified at position {}", n + 1);
            return Err(SqlError::user(format!("MISSING_COLUMN_NAME: line 1:1: {message}")));
        }
        let kind = column.kind.to_hive().ok_or_else(|| {
            SqlError::user(format!("NOT_SUPPORTED: Unsupported Hive type: {} of column {}", column.kind, column.name))
        })?;
        Ok(CatalogColumn { name: column.name.to_lowercase(), kind, comment: None })
    };
    columns.iter().enumerate().map(column).collect()
}

/// Takes the known properties of a statement and refuses others.
struct PropertyReader(Properties);

impl PropertyReader {
    fn value(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).and_then(|values| values.into_iter().next())
    }

    fn list(&mut self, name: &str) -> Vec<String> {
        self.0.remove(name).unwrap_or_default().into_iter().map(|name| name.to_lowercase()).collect()
    }

    fn parquet(&mut self, by_default: &str) -> Result<String, SqlError> {
        let format = self.value("format").unwrap_or_else(|| by_default.to_owned()).to_uppercase();
        if format != "PARQUET" {
            let message = format!("format {format} cannot be written: expected PARQUET");
            return Err(SqlError::user(format!("NOT_SUPPORTED: {message}")));
        }
        let names = ["write_compression", "parquet_compression", "compression"];
        let compression = names.map(|name| self.value(name)).into_iter().flatten().next();
        // The level of zstd has no effect here.
        self.value("compression_level");
        Ok(compression.unwrap_or_else(|| "GZIP".to_owned()).to_uppercase())
    }

    fn check_empty(&self) -> Result<(), SqlError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(SqlError::user(format!(
                "INVALID_TABLE_PROPERTY: line 1:1: Catalog 'awsdatacatalog' table property '{name}' does not exist"
            ))),
        }
    }
}

impl Session {
    async fn write(&self, running: RunningQuery, target: &mut Target) -> Result<WriteSummary, SqlError> {
        let mut rows = running.rows;
        while let Some(batch) = rows.next().await {
            let batch = match batch {
                Ok(batch) => target.write(&batch).await,
                Err(error) => Err(SqlError::from(error)),
            };
            if let Err(error) = batch {
                target.abort().await;
                return Err(error);
            }
        }
        target.finish().await
    }

    pub(crate) async fn unload(
        &self,
        query: &Query,
        properties: Properties,
        location: &str,
        context: &Context,
    ) -> Result<Answer, SqlError> {
        let mut properties = PropertyReader(properties);
        let compression = properties.parquet("missing")?;
        let by = properties.list("partitioned_by");
        properties.check_empty()?;
        let location = parse_folder(location)?;
        self.protected.check_folder(&location)?;
        self.check_empty(&location).await?;
        let running = self.begin(query, context).await?;
        let scanned = running.scanned.clone();
        let mut target = Target::new(&self.store, location, &context.id, &running, by, &compression)?;
        Ok(self.write(running, &mut target).await?.answer(scanned))
    }

    async fn check_empty(&self, location: &ObjectLocation) -> Result<(), SqlError> {
        let found = self.store.has_objects(&location.bucket, &location.key).await;
        match found.map_err(|error| SqlError::system(format!("HIVE_FILESYSTEM_ERROR: {error}")))? {
            false => Ok(()),
            true => Err(SqlError::user(format!(
                "HIVE_PATH_ALREADY_EXISTS: Target directory for table already exists: {location}"
            ))),
        }
    }

    pub(crate) async fn create_table_as(
        &self,
        name: &TableName,
        if_not_exists: bool,
        properties: Properties,
        with_data: bool,
        query: &Query,
        context: &Context,
    ) -> Result<Answer, SqlError> {
        let database = context.database_of(name);
        if find_table(&self.catalog, &database, &name.name).await?.is_some() {
            let message = format!("Table 'awsdatacatalog.{database}.{}' already exists", name.name);
            return match if_not_exists {
                true => Ok(Answer::empty()),
                false => Err(SqlError::user(format!("TABLE_ALREADY_EXISTS: line 1:1: {message}"))),
            };
        }
        let mut properties = PropertyReader(properties);
        let compression = properties.parquet("PARQUET")?;
        let by = properties.list("partitioned_by");
        // Buckets are a hint that no reader here needs. All tables are external.
        let _ = (properties.list("bucketed_by"), properties.value("bucket_count"), properties.value("is_external"));
        let location = match properties.value("external_location") {
            Some(location) => parse_folder(&location)?,
            None => {
                let below = context.output.key.trim_end_matches('/');
                let key = format!("{below}{}tables/{}/", if below.is_empty() { "" } else { "/" }, context.id);
                ObjectLocation { bucket: context.output.bucket.clone(), key }
            }
        };
        properties.check_empty()?;
        self.protected.check_folder(&location)?;
        self.check_empty(&location).await?;
        let running = self.begin(query, context).await?;
        let scanned = running.scanned.clone();
        let (keys, columns): (Vec<_>, Vec<_>) =
            catalog_columns(&running.columns)?.into_iter().partition(|column| by.contains(&column.name));
        let mut target = Target::new(&self.store, location.clone(), &context.id, &running, by, &compression)?;
        let written = match with_data {
            true => self.write(running, &mut target).await?,
            false => WriteSummary { rows: 0, files: Vec::new(), partitions: BTreeSet::new() },
        };
        let table = Table {
            database,
            name: name.name.clone(),
            description: None,
            kind: "EXTERNAL_TABLE".to_owned(),
            columns,
            partition_keys: keys,
            storage: parquet_storage(location.to_string()),
            parameters: BTreeMap::from([
                ("EXTERNAL".to_owned(), "TRUE".to_owned()),
                ("classification".to_owned(), "parquet".to_owned()),
                ("parquet.compression".to_owned(), compression),
            ]),
            view: None,
        };
        let made = self.catalog.create_table(&table).await;
        made.map_err(|error| SqlError::system(format!("HIVE_METASTORE_ERROR: {error}")))?;
        self.register(&table, &written).await?;
        Ok(written.answer(scanned))
    }

    async fn register(&self, table: &Table, written: &WriteSummary) -> Result<(), SqlError> {
        let entry = |values: &Vec<String>| {
            let location = partition::location(table, values);
            partition::entry(table, values.clone(), location)
        };
        let entries: Vec<_> = written.partitions.iter().filter(|values| !values.is_empty()).map(entry).collect();
        let made = self.catalog.add_partitions(&table.database, &table.name, &entries).await;
        made.map(|_| ()).map_err(|error| SqlError::system(format!("HIVE_METASTORE_ERROR: {error}")))
    }

    pub(crate) async fn insert(
        &self,
        name: &TableName,
        columns: &[String],
        query: &Query,
        context: &Context,
    ) -> Result<Answer, SqlError> {
        let database = context.database_of(name);
        let Some(table) = find_table(&self.catalog, &database, &name.name).await? else {
            let message = format!("Table 'awsdatacatalog.{database}.{}' does not exist", name.name);
            return Err(SqlError::user(format!("TABLE_NOT_FOUND: line 1:1: {message}")));
        };
        if table_provider::format_of(&table)? != table_provider::Format::Parquet {
            let message =
                format!("{database}.{} is not a Parquet table: expected a Parquet table for INSERT", name.name);
            return Err(SqlError::user(format!("NOT_SUPPORTED: {message}")));
        }
        let location = parse_folder(table.storage.location.as_deref().unwrap_or_default())?;
        self.protected.check_folder(&location)?;
        let mut running = self.begin(query, context).await?;
        let scanned = running.scanned.clone();
        let own: Vec<_> = table.columns.iter().chain(&table.partition_keys).collect();
        let named: Vec<&str> = match columns {
            [] => own.iter().map(|column| column.name.as_str()).collect(),
            columns => columns.iter().map(String::as_str).collect(),
        };
        let kind = |name: &str| own.iter().find(|c| c.name == name).map(|c| SqlType::from_hive(&c.kind));
        let mismatch = || {
            let all: Vec<_> = own.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
            let query: Vec<_> = running.columns.iter().map(|column| column.kind.to_string()).collect();
            SqlError::user(format!(
                "TYPE_MISMATCH: line 1:1: Insert query has mismatched column types: Table: [{}], Query: [{}]",
                all.join(", "),
                query.join(", ")
            ))
        };
        if named.len() != own.len() || running.columns.len() != own.len() {
            return Err(mismatch());
        }
        let mut kinds = Vec::with_capacity(own.len());
        for (name, column) in named.iter().zip(&running.columns) {
            let Some(Ok(kind)) = kind(name) else { return Err(mismatch()) };
            if !widens(&column.kind, &kind) {
                return Err(mismatch());
            }
            kinds.push(kind);
        }
        for ((name, kind), column) in named.iter().zip(kinds).zip(&mut running.columns) {
            (column.name, column.kind) = ((*name).to_owned(), kind);
        }
        let by = table.partition_keys.iter().map(|key| key.name.clone()).collect();
        let compression = table.parameters.get("parquet.compression").map_or("GZIP", String::as_str).to_uppercase();
        let mut target = Target::new(&self.store, location, &context.id, &running, by, &compression)?;
        let written = self.write(running, &mut target).await?;
        self.register(&table, &written).await?;
        Ok(written.answer(scanned))
    }

    pub(crate) async fn create_view(
        &self,
        name: &TableName,
        replace: bool,
        query: &Query,
        context: &Context,
    ) -> Result<Answer, SqlError> {
        let database = context.database_of(name);
        let files = crate::files::Files::new(self.store.clone(), crate::Scanned::default());
        let (_, plan) = self.plan(query.clone(), context.database.clone(), files, 0).await?;
        let columns = crate::query::columns(&plan, query);
        catalog_columns(&columns)?;
        let entry = view::entry(&database, &name.name, &query.text, &context.database.to_lowercase(), &columns)?;
        let made = match find_table(&self.catalog, &database, &name.name).await? {
            None => self.catalog.create_table(&entry).await,
            Some(old) if replace && old.view.is_some() => self.catalog.replace_table(&entry).await,
            Some(old) => {
                let kind = if old.view.is_some() { "View" } else { "Table" };
                let message = format!("{kind} 'awsdatacatalog.{database}.{}' already exists", name.name);
                return Err(SqlError::user(format!("TABLE_ALREADY_EXISTS: line 1:1: {message}")));
            }
        };
        made.map_err(|error| SqlError::system(format!("HIVE_METASTORE_ERROR: {error}")))?;
        Ok(Answer::empty())
    }
}

/// Whether Trino coerces one type to the other.
fn widens(from: &SqlType, to: &SqlType) -> bool {
    let rank = |kind: &SqlType| match kind {
        SqlType::TinyInt => Some(0),
        SqlType::SmallInt => Some(1),
        SqlType::Integer => Some(2),
        SqlType::BigInt => Some(3),
        SqlType::Decimal { .. } => Some(4),
        SqlType::Real => Some(5),
        SqlType::Double => Some(6),
        _ => None,
    };
    match (rank(from), rank(to)) {
        (Some(from), Some(to)) if from < to => true,
        _ => *from == SqlType::Unknown || from.arrow() == to.arrow(),
    }
}

fn parquet_storage(location: String) -> Storage {
    Storage {
        location: Some(location),
        input_format: Some(PARQUET_INPUT.to_owned()),
        output_format: Some(PARQUET_OUTPUT.to_owned()),
        serde: Some(PARQUET_SERDE.to_owned()),
        serde_parameters: BTreeMap::from([("serialization.format".to_owned(), "1".to_owned())]),
    }
}
