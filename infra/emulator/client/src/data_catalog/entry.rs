//! The entries of the catalog as plain values.

use std::collections::BTreeMap;

/// A database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// Its name, lower case.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// The default location of its tables.
    pub location: Option<String>,
    /// Its other properties.
    pub parameters: BTreeMap<String, String>,
}

/// A table or view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its database.
    pub database: String,
    /// Its name, lower case.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// Its type, mostly `EXTERNAL_TABLE` or `VIRTUAL_VIEW`.
    pub kind: String,
    /// Its columns without the partition keys.
    pub columns: Vec<Column>,
    /// Its partition keys.
    pub partition_keys: Vec<Column>,
    /// The location and format of its files.
    pub storage: Storage,
    /// Its other properties.
    pub parameters: BTreeMap<String, String>,
    /// The text of a view, as encoded by its author.
    pub view: Option<String>,
}

/// A column of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in Hive's spelling: `bigint`, `array<string>`.
    pub kind: String,
    /// Its description.
    pub comment: Option<String>,
}

/// The location and format of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// `s3://BUCKET/PREFIX`.
    pub location: Option<String>,
    /// The class that splits files into records.
    pub input_format: Option<String>,
    /// The class that writes files.
    pub output_format: Option<String>,
    /// The class that reads records.
    pub serde: Option<String>,
    /// The parameters of that class.
    pub serde_parameters: BTreeMap<String, String>,
}

/// A registered partition of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The values of the partition keys as text, in the order of the keys.
    pub values: Vec<String>,
    /// The columns of its files; empty for those of the table.
    pub columns: Vec<Column>,
    /// The location and format of its files.
    pub storage: Storage,
}
