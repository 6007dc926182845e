//! Converts between the types of the SDK and plain values.

use super::entry::{Column, Database, Partition, Storage, Table};
use aws_sdk_glue::error::BuildError;
use aws_sdk_glue::types;
use std::collections::{BTreeMap, HashMap};

pub(super) fn database(database: types::Database) -> Database {
    Database {
        name: database.name,
        description: database.description,
        location: database.location_uri,
        parameters: sorted(database.parameters),
    }
}

pub(super) fn database_input(database: &Database) -> Result<types::DatabaseInput, BuildError> {
    types::DatabaseInput::builder()
        .name(&database.name)
        .set_description(database.description.clone())
        .set_location_uri(database.location.clone())
        .set_parameters(unsorted(&database.parameters))
        .build()
}

pub(super) fn table(database: &str, table: types::Table) -> Table {
    let mut descriptor = table.storage_descriptor;
    let found = descriptor.as_mut().and_then(|descriptor| descriptor.columns.take());
    Table {
        database: database.to_owned(),
        name: table.name,
        description: table.description,
        kind: table.table_type.unwrap_or_default(),
        columns: columns(found),
        partition_keys: columns(table.partition_keys),
        storage: storage(descriptor),
        parameters: sorted(table.parameters),
        view: table.view_original_text,
    }
}

pub(super) fn table_input(table: &Table) -> Result<types::TableInput, BuildError> {
    let is_view = table.view.is_some();
    types::TableInput::builder()
        .name(&table.name)
        .set_description(table.description.clone())
        .table_type(&table.kind)
        .set_partition_keys(Some(columns_input(&table.partition_keys)?))
        .storage_descriptor(descriptor(&table.columns, &table.storage)?)
        .set_parameters(unsorted(&table.parameters))
        .set_view_original_text(table.view.clone())
        .set_view_expanded_text(is_view.then(|| "/* Presto View */".to_owned()))
        .build()
}

pub(super) fn partition(partition: types::Partition) -> Partition {
    let mut descriptor = partition.storage_descriptor;
    let found = descriptor.as_mut().and_then(|descriptor| descriptor.columns.take());
    Partition { values: partition.values.unwrap_or_default(), columns: columns(found), storage: storage(descriptor) }
}

pub(super) fn partition_input(partition: &Partition) -> types::PartitionInput {
    types::PartitionInput::builder()
        .set_values(Some(partition.values.clone()))
        .set_storage_descriptor(descriptor(&partition.columns, &partition.storage).ok())
        .build()
}

fn columns(columns: Option<Vec<types::Column>>) -> Vec<Column> {
    let column = |column: types::Column| Column {
        name: column.name,
        kind: column.r#type.unwrap_or_default(),
        comment: column.comment,
    };
    columns.into_iter().flatten().map(column).collect()
}

fn columns_input(columns: &[Column]) -> Result<Vec<types::Column>, BuildError> {
    let column =
        |c: &Column| types::Column::builder().name(&c.name).r#type(&c.kind).set_comment(c.comment.clone()).build();
    columns.iter().map(column).collect()
}

fn storage(descriptor: Option<types::StorageDescriptor>) -> Storage {
    let Some(descriptor) = descriptor else { return Storage::default() };
    let (serde, serde_parameters) =
        descriptor.serde_info.map(|info| (info.serialization_library, info.parameters)).unwrap_or_default();
    Storage {
        location: descriptor.location,
        input_format: descriptor.input_format,
        output_format: descriptor.output_format,
        serde,
        serde_parameters: sorted(serde_parameters),
    }
}

fn descriptor(columns: &[Column], storage: &Storage) -> Result<types::StorageDescriptor, BuildError> {
    let serde = types::SerDeInfo::builder()
        .set_serialization_library(storage.serde.clone())
        .set_parameters(unsorted(&storage.serde_parameters))
        .build();
    Ok(types::StorageDescriptor::builder()
        .set_columns(Some(columns_input(columns)?))
        .set_location(storage.location.clone())
        .set_input_format(storage.input_format.clone())
        .set_output_format(storage.output_format.clone())
        .set_serde_info(storage.serde.is_some().then_some(serde))
        .build())
}

fn sorted(parameters: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    parameters.into_iter().flatten().collect()
}

fn unsorted(parameters: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    Some(parameters.clone().into_iter().collect())
}
