//! Adds, drops and repairs partitions.

use super::{Ddl, failed};
use crate::answer::{Answer, Scanned};
use crate::error::SqlError;
use crate::files::{Files, parse_location};
use crate::partition::{self, entry, location};
use crate::statement::{PartitionSpec, TableName};
use emulator_client::data_catalog::{Column, Table};
use percent_encoding::percent_decode_str;
use std::collections::BTreeSet;

/// The values of a spec in the order of the table's keys.
fn values(table: &Table, spec: &PartitionSpec) -> Result<Vec<String>, SqlError> {
    let value = |key: &Column| spec.get(&key.name.to_lowercase()).cloned();
    let found: Option<Vec<_>> = table.partition_keys.iter().map(value).collect();
    found.filter(|found| found.len() == spec.len() && !found.is_empty()).ok_or_else(|| {
        let keys: Vec<_> = table.partition_keys.iter().map(|key| key.name.as_str()).collect();
        let message = format!("partition spec {spec:?} does not match the partition columns [{}]", keys.join(", "));
        SqlError::user(format!("FAILED: SemanticException [Error 10006]: {message}"))
    })
}

impl Ddl<'_> {
    pub(super) async fn add_partitions(
        &self,
        name: &TableName,
        if_not_exists: bool,
        partitions: Vec<(PartitionSpec, Option<String>)>,
    ) -> Result<Answer, SqlError> {
        let table = self.table_to_change(name).await?;
        let mut entries = Vec::new();
        for (spec, custom) in partitions {
            let values = values(&table, &spec)?;
            let location = custom.unwrap_or_else(|| location(&table, &values));
            parse_location(&location)?;
            entries.push(entry(&table, values, location));
        }
        let existing = self.session.catalog.add_partitions(&table.database, &table.name, &entries).await;
        match existing.map_err(failed)?.first() {
            Some(existing) if !if_not_exists => Err(SqlError::user(format!(
                "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. \
                 AlreadyExistsException(message:Partition already exists: {})",
                partition::name(&table, existing)
            ))),
            _ => Ok(Answer::empty()),
        }
    }

    pub(super) async fn drop_partitions(
        &self,
        name: &TableName,
        if_exists: bool,
        partitions: Vec<PartitionSpec>,
    ) -> Result<Answer, SqlError> {
        let table = self.table_to_change(name).await?;
        let values = partitions.iter().map(|spec| values(&table, spec)).collect::<Result<Vec<_>, _>>()?;
        let missing = self.session.catalog.drop_partitions(&table.database, &table.name, &values).await;
        match missing.map_err(failed)?.first() {
            Some(missing) if !if_exists => Err(SqlError::user(format!(
                "FAILED: SemanticException [Error 10006]: Partition not found {}",
                partition::name(&table, missing)
            ))),
            _ => Ok(Answer::empty()),
        }
    }

    /// Registers the partitions whose files are in the location of a table. Protected tables allow it, since it registers
    /// only what the application has written.
    pub(super) async fn repair(&self, name: &TableName) -> Result<Answer, SqlError> {
        let table = self.table(name).await?;
        let Some(below) = table.storage.location.as_deref() else {
            return Ok(Answer::empty());
        };
        let listed = self.session.catalog.partitions(&table.database, &table.name, None).await.map_err(failed)?;
        let registered: BTreeSet<_> = listed.into_iter().map(|partition| partition.values).collect();
        let files = Files::new(self.session.store.clone(), Scanned::default()).below(below).await?;
        let prefix = format!("{}/", below.trim_end_matches('/'));
        let partition_values = |address: String| {
            let below = address.strip_prefix(&prefix)?.to_owned();
            let mut parts = below.split('/');
            let value = |key: &Column| {
                let (name, value) = parts.next()?.split_once('=')?;
                // A value as Hive has it in a key: `%3A` is a colon.
                name.eq_ignore_ascii_case(&key.name).then(|| percent_decode_str(value).decode_utf8_lossy().into_owned())
            };
            table.partition_keys.iter().map(value).collect::<Option<Vec<_>>>()
        };
        let found: BTreeSet<_> =
            files.into_iter().filter_map(|file| partition_values(file.location.to_string())).collect();
        let missing: Vec<_> =
            found.into_iter().filter(|values| !values.is_empty() && !registered.contains(values)).collect();
        let entries: Vec<_> =
            missing.iter().map(|values| entry(&table, values.clone(), location(&table, values))).collect();
        self.session.catalog.add_partitions(&table.database, &table.name, &entries).await.map_err(failed)?;
        let mut lines = Vec::new();
        if !missing.is_empty() {
            let names = missing.iter().map(|values| format!("{}:{}", table.name, partition::name(&table, values)));
            let names: Vec<_> = names.collect();
            lines.push(format!("Partitions not in metastore:\t{}", names.join("\t")));
            lines.extend(names.iter().map(|name| format!("Repair: Added partition to metastore {name}")));
        }
        Ok(Answer::lines(Vec::new(), lines))
    }
}
