//! The catalog's entries as plain values.

use std::collections::BTreeMap;

/// A database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// Its name, lower case.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Where its tables are by default.
    pub location: Option<String>,
    /// What else is said of it.
    pub parameters: BTreeMap<String, String>,
}

/// A table or view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its database.
    pub database: String,
    /// Its name, lower case.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// `EXTERNAL_TABLE` or `VIRTUAL_VIEW`, mostly.
    pub kind: String,
    /// Its columns, without those of the partition.
    pub columns: Vec<Column>,
    /// The columns it is partitioned by.
    pub partition_keys: Vec<Column>,
    /// Where and how its files are.
    pub storage: Storage,
    /// What else is said of it.
    pub parameters: BTreeMap<String, String>,
    /// A view's text, as its maker encodes it.
    pub view: Option<String>,
}

/// A column of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as Hive spells it: `bigint`, `array<string>`.
    pub kind: String,
    /// What it means.
    pub comment: Option<String>,
}

/// Where files are, and how they are read.
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
    /// What that class is told.
    pub serde_parameters: BTreeMap<String, String>,
}

/// A registered partition of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The values of the partition's columns, as text, in their order.
    pub values: Vec<String>,
    /// The columns its files are said to have; none are the table's.
    pub columns: Vec<Column>,
    /// Where and how its files are.
    pub storage: Storage,
}
