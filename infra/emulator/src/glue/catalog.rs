//! The files of the catalog, and a cache of partitions.
//!
//! The files are `DATABASE/database.json` and `DATABASE/TABLE/table.json` (replaced by rename) and
//! `DATABASE/TABLE/partitions.jsonl` (one appended line per change). Names are escaped like keys. The partitions of a table
//! are read on their first use.

use super::error::Refusal;
use crate::clock::{Clock, milliseconds};
use crate::lines::Lines;
use crate::objects::names;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

const DATABASE: &str = "database.json";
const TABLE: &str = "table.json";

/// A table's partitions, by their values.
pub(super) type Partitions = BTreeMap<Vec<String>, Partition>;

/// A partition, as its line in the file. It is parsed when a call returns it: most calls need only the values of most
/// partitions.
pub(super) struct Partition(Bytes);

impl Partition {
    /// Parses the partition.
    pub(super) fn read(&self) -> Result<Map<String, Value>, Refusal> {
        #[derive(Deserialize)]
        enum Line {
            Put(Map<String, Value>),
        }
        let Line::Put(partition) = serde_json::from_slice(&self.0)?;
        Ok(partition)
    }
}

/// One line of a partitions file.
#[derive(Serialize, Deserialize)]
enum Change<T> {
    Put(T),
    Delete(Vec<String>),
}

/// The part of a partition that is parsed when the file is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PartitionValues {
    #[serde(default)]
    values: Vec<String>,
}

struct TablePartitions {
    partitions: Partitions,
    lines: Lines,
}

pub(super) struct Catalog {
    directory: PathBuf,
    clock: Clock,
    tables: HashMap<PathBuf, TablePartitions>,
}

impl Catalog {
    pub(super) fn new(directory: PathBuf, clock: Clock) -> Self {
        Self { directory, clock, tables: HashMap::new() }
    }

    /// Seconds since 1970, as JSON 1.1 writes times.
    pub(super) fn now(&self) -> f64 {
        milliseconds((self.clock)()) as f64 / 1000.0
    }

    fn database_directory(&self, database: &str) -> PathBuf {
        self.directory.join(names::escape(database).concat())
    }

    fn table_directory(&self, database: &str, table: &str) -> PathBuf {
        self.database_directory(database).join(names::escape(table).concat())
    }

    pub(super) fn database(&self, database: &str) -> Result<Map<String, Value>, Refusal> {
        read(&self.database_directory(database).join(DATABASE))?
            .ok_or_else(|| Refusal::missing(format_args!("Database {database}")))
    }

    /// The names of all databases, in order.
    pub(super) fn databases(&self) -> Result<Vec<String>, Refusal> {
        entries(&self.directory, DATABASE)
    }

    pub(super) fn put_database(&self, database: &str, value: &Map<String, Value>) -> Result<(), Refusal> {
        replace(&self.database_directory(database), DATABASE, value)
    }

    /// Creates a database. First it removes what a killed removal left of an earlier one.
    pub(super) fn new_database(&mut self, database: &str, value: &Map<String, Value>) -> Result<(), Refusal> {
        self.clear(&self.database_directory(database))?;
        self.put_database(database, value)
    }

    /// Removes a database and its tables.
    pub(super) fn delete_database(&mut self, database: &str) -> Result<(), Refusal> {
        self.delete(&self.database_directory(database), DATABASE)
    }

    /// Removes a directory. Its file `what` goes first, so that after a kill the database or table does not exist.
    fn delete(&mut self, directory: &Path, what: &str) -> Result<(), Refusal> {
        fs::remove_file(directory.join(what))?;
        self.clear(directory)
    }

    fn clear(&mut self, directory: &Path) -> Result<(), Refusal> {
        self.tables.retain(|path, _| !path.starts_with(directory));
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn table(&self, database: &str, table: &str) -> Result<Map<String, Value>, Refusal> {
        read(&self.table_directory(database, table).join(TABLE))?
            .ok_or_else(|| Refusal::missing(format_args!("Table {table}")))
    }

    pub(super) fn put_table(&self, database: &str, table: &str, value: &Map<String, Value>) -> Result<(), Refusal> {
        replace(&self.table_directory(database, table), TABLE, value)
    }

    /// Creates a table without partitions. First it removes what a killed removal left of an earlier one.
    pub(super) fn new_table(&mut self, database: &str, table: &str, value: &Map<String, Value>) -> Result<(), Refusal> {
        self.clear(&self.table_directory(database, table))?;
        self.put_table(database, table, value)
    }

    /// Removes a table and its partitions.
    pub(super) fn delete_table(&mut self, database: &str, table: &str) -> Result<(), Refusal> {
        self.delete(&self.table_directory(database, table), TABLE)
    }

    /// The names of a database's tables, in order.
    pub(super) fn tables(&self, database: &str) -> Result<Vec<String>, Refusal> {
        entries(&self.database_directory(database), TABLE)
    }

    pub(super) fn partitions(&mut self, database: &str, table: &str) -> Result<&Partitions, Refusal> {
        Ok(&self.load(database, table)?.partitions)
    }

    pub(super) fn put_partitions(
        &mut self,
        database: &str,
        table: &str,
        new: Vec<(Vec<String>, Map<String, Value>)>,
    ) -> Result<(), Refusal> {
        let table = self.load(database, table)?;
        let mut lines = Vec::new();
        for (_, partition) in &new {
            lines.push(Bytes::from(serde_json::to_vec(&Change::Put(partition))?));
        }
        table.lines.append_raw(&lines)?;
        table.partitions.extend(new.into_iter().map(|(key, _)| key).zip(lines.into_iter().map(Partition)));
        Ok(())
    }

    pub(super) fn delete_partitions(
        &mut self,
        database: &str,
        table: &str,
        deleted: &[Vec<String>],
    ) -> Result<(), Refusal> {
        let table = self.load(database, table)?;
        let changes: Vec<Change<()>> = deleted.iter().cloned().map(Change::Delete).collect();
        table.lines.append(&changes)?;
        for key in deleted {
            table.partitions.remove(key);
        }
        Ok(())
    }

    fn load(&mut self, database: &str, table: &str) -> Result<&mut TablePartitions, Refusal> {
        use std::collections::hash_map::Entry;
        self.table(database, table)?;
        let path = self.table_directory(database, table).join("partitions.jsonl");
        match self.tables.entry(path) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let (lines, changes) = Lines::open_raw(entry.key())?;
                let mut partitions = Partitions::new();
                for change in changes {
                    match serde_json::from_slice(&change)? {
                        Change::Put(PartitionValues { values }) => drop(partitions.insert(values, Partition(change))),
                        Change::Delete(values) => drop(partitions.remove(&values)),
                    }
                }
                Ok(entry.insert(TablePartitions { partitions, lines }))
            }
        }
    }
}

/// Returns the sorted names of the directories that contain a file `what`.
fn entries(directory: &Path, what: &str) -> Result<Vec<String>, Refusal> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().join(what).is_file()
            && let Some(name) = entry.file_name().to_str().and_then(names::unescape)
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<Option<Map<String, Value>>, Refusal> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Replaces a file by rename, so that after a kill the old or the new file exists.
fn replace(directory: &Path, name: &str, value: &Map<String, Value>) -> Result<(), Refusal> {
    let write = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let new = directory.join(format!("{name}.new"));
        fs::write(&new, serde_json::to_vec_pretty(value)?)?;
        fs::rename(new, directory.join(name))
    };
    Ok(write()?)
}
