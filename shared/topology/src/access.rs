//! The least access to objects that each function needs. Terraform makes the functions' roles from it. The simulation checks
//! every request against it.

use crate::triggers::inputs_of;
use model::layout::{self, Source};
use model::table::Table;
use serde::Serialize;
use std::collections::BTreeSet;

/// The access of one function. Each set holds prefixes, which end with a slash, and whole keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// The prefixes whose objects trigger the function.
    pub inputs: BTreeSet<String>,
    /// The inputs that it reads from a landing bucket. A landing bucket may be another bucket than the lake's.
    pub landing: BTreeSet<String>,
    /// The objects that it reads in the lake's bucket.
    pub reads: BTreeSet<String>,
    /// The objects that it writes in the lake's bucket.
    pub writes: BTreeSet<String>,
    /// The prefixes that it lists in the lake's bucket.
    pub lists: BTreeSet<String>,
    /// The objects that it deletes in the lake's bucket: work items that are done.
    pub deletes: BTreeSet<String>,
    /// Whether it registers partitions of its table in the catalog.
    pub registers_partitions: bool,
}

impl Access {
    /// Returns the access of the function of `table`; no access for a landing table, which has no function.
    pub fn of(table: Table) -> Self {
        let mut access = Self {
            inputs: inputs_of(table).map(str::to_owned).collect(),
            landing: BTreeSet::new(),
            reads: BTreeSet::new(),
            writes: BTreeSet::new(),
            lists: BTreeSet::new(),
            deletes: BTreeSet::new(),
            registers_partitions: !table.partition_columns().is_empty(),
        };
        match table {
            Table::CustomerTrusted => {
                access.ingest(Source::Customer);
                access.reads.insert(layout::checkpoints(Table::AccelerometerTrusted));
            }
            Table::AccelerometerTrusted => {
                access.ingest_readings(Source::Accelerometer, table, Table::CustomerTrusted.prefix());
                access.write([layout::LATEST_READINGS.to_owned()]);
            }
            Table::CustomerCurated => {
                access.read([Table::CustomerTrusted.prefix(), layout::LATEST_READINGS]);
                access.write([layout::DEVICES.to_owned(), layout::checkpoints(table)]);
                access.reads.insert(layout::checkpoints(Table::StepTrainerTrusted));
            }
            Table::StepTrainerTrusted => access.ingest_readings(Source::StepTrainer, table, layout::DEVICES),
            Table::MachineLearningCurated => {
                access.read([Table::StepTrainerTrusted.prefix(), Table::AccelerometerTrusted.prefix()]);
            }
            Table::CustomerLanding | Table::AccelerometerLanding | Table::StepTrainerLanding => return access,
        }
        access.read([layout::LAKE_CONFIG]);
        access.write([table.prefix().to_owned()]);
        access
    }

    /// Returns the prefix or key that allows it to read `key`, in a landing bucket or in the lake's.
    pub fn to_read(&self, key: &str) -> Option<&str> {
        naming(&self.reads, key).or_else(|| naming(&self.landing, key))
    }

    /// Returns the prefix or key that allows it to write `key`.
    pub fn to_write(&self, key: &str) -> Option<&str> {
        naming(&self.writes, key)
    }

    /// Returns the prefix that allows it to list `prefix`.
    pub fn to_list(&self, prefix: &str) -> Option<&str> {
        naming(&self.lists, prefix)
    }

    /// Returns the prefix that allows it to delete `key`.
    pub fn to_delete(&self, key: &str) -> Option<&str> {
        naming(&self.deletes, key)
    }

    /// Adds the access of a function of landing files. Each landing file has a manifest, a receipt and a quarantine. The
    /// function of the first landing file makes the lake, so it writes the lake config.
    fn ingest(&mut self, source: Source) {
        self.write([layout::LAKE_CONFIG.to_owned()]);
        self.landing.insert(source.landing().prefix().to_owned());
        self.write([layout::manifests(source), layout::receipts(source), layout::quarantined(source)]);
    }

    /// Adds the access of a function of readings. The objects below `consents` decide which readings are eligible. The key index
    /// finds the cells and files of a customer, the checkpoints say which changes are planned, and work items say what is due.
    fn ingest_readings(&mut self, source: Source, table: Table, consents: &str) {
        self.ingest(source);
        self.read([consents]);
        self.lists.extend([layout::index(source), layout::index_segments(source)]);
        // An index entry is an empty object, so the function writes it and never reads it.
        self.writes.insert(layout::index(source));
        self.write([layout::index_segments(source), layout::compacted_index(source), layout::checkpoints(table)]);
        self.write([layout::work_items(table).to_owned()]);
        self.deletes.insert(layout::work_items(table).to_owned());
    }

    fn read<const N: usize>(&mut self, what: [&str; N]) {
        self.reads.extend(what.map(str::to_owned));
    }

    fn write<const N: usize>(&mut self, what: [String; N]) {
        self.reads.extend(what.iter().cloned());
        self.writes.extend(what);
    }
}

/// Returns the prefixes and keys that any function writes.
pub fn derived() -> BTreeSet<String> {
    Table::DERIVED.into_iter().flat_map(|table| Access::of(table).writes).collect()
}

/// Returns the prefix or key of `what` that matches `key`.
fn naming<'a>(what: &'a BTreeSet<String>, key: &str) -> Option<&'a str> {
    let names = |name: &&str| if name.ends_with('/') { key.starts_with(*name) } else { key == *name };
    what.iter().map(String::as_str).find(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_reads_its_inputs_and_writes_its_own_table_only() {
        for table in Table::DERIVED {
            let access = Access::of(table);
            assert!(access.inputs.iter().all(|input| access.to_read(input).is_some()), "{table}");
            assert!(access.to_write(table.prefix()).is_some() && access.to_read(table.prefix()).is_some(), "{table}");
            for other in Table::ALL.into_iter().filter(|other| *other != table) {
                assert_eq!(access.to_write(other.prefix()), None, "{table}");
            }
        }
    }

    #[test]
    fn only_functions_of_landing_files_read_landing_files() {
        let landing = |table| Access::of(table).landing.into_iter().collect::<Vec<_>>();
        assert_eq!(landing(Table::CustomerTrusted), ["customer/landing/"]);
        assert_eq!(landing(Table::AccelerometerTrusted), ["accelerometer/landing/"]);
        assert_eq!(landing(Table::StepTrainerTrusted), ["step_trainer/landing/"]);
        for table in [Table::CustomerCurated, Table::MachineLearningCurated] {
            assert!(landing(table).is_empty(), "{table}");
        }
    }

    #[test]
    fn the_training_function_reads_no_customer_data() {
        let access = Access::of(Table::MachineLearningCurated);
        for personal in [Table::CustomerTrusted.prefix(), Table::CustomerCurated.prefix(), "receipts/", "quarantine/"] {
            assert_eq!(access.to_read(personal), None);
        }
    }

    #[test]
    fn only_work_items_are_deleted() {
        for table in Table::DERIVED {
            let deletes = Access::of(table).deletes;
            assert!(deletes.iter().all(|prefix| prefix.starts_with("_state/work/")), "{table}: {deletes:?}");
        }
    }

    #[test]
    fn a_whole_key_matches_only_itself() {
        let access = Access::of(Table::CustomerTrusted);
        assert_eq!(access.to_write("_state/lake.json"), Some("_state/lake.json"));
        assert_eq!(access.to_write("_state/lake.json.bak").or(access.to_write("_state/")), None);
    }

    #[test]
    fn no_function_writes_a_landing_prefix() {
        let derived = derived();
        for source in Source::ALL {
            assert_eq!(naming(&derived, source.landing().prefix()), None);
        }
    }
}
