//! What each function may do with the objects of the lake: the least that its rule and the engine need. Terraform makes
//! the functions' roles of it, and the simulation holds every request against it.

use crate::triggers::inputs_of;
use model::layout::{self, Source};
use model::table::Table;
use serde::Serialize;
use std::collections::BTreeSet;

/// What a function may do. Objects are named by prefixes, which end with a slash, or by whole keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// The prefixes whose objects wake it.
    pub inputs: BTreeSet<String>,
    /// Of these the ones that lie in a landing bucket, which may be another than the lake's: to read.
    pub landing: BTreeSet<String>,
    /// What it reads in the lake's bucket.
    pub reads: BTreeSet<String>,
    /// What it writes there.
    pub writes: BTreeSet<String>,
    /// What it lists there.
    pub lists: BTreeSet<String>,
    /// Whether it registers partitions of its table.
    pub registers_partitions: bool,
}

impl Access {
    /// What the function that derives `table` may do; nothing for a table that no function derives.
    pub fn of(table: Table) -> Self {
        let mut access = Self {
            inputs: inputs_of(table).map(str::to_owned).collect(),
            landing: BTreeSet::new(),
            reads: BTreeSet::new(),
            writes: BTreeSet::new(),
            lists: BTreeSet::new(),
            registers_partitions: !table.partition_columns().is_empty(),
        };
        match table {
            Table::CustomerTrusted => {
                access.account_for(Source::Customer);
                access.write([layout::checkpoints(table)]);
            }
            Table::AccelerometerTrusted => {
                access.derive_readings(Source::Accelerometer, table, Table::CustomerTrusted);
                access.write([layout::LATEST_READINGS.to_owned()]);
            }
            Table::CustomerCurated => access.read([Table::CustomerTrusted.prefix(), layout::LATEST_READINGS]),
            Table::StepTrainerTrusted => {
                access.derive_readings(Source::StepTrainer, table, Table::CustomerCurated);
            }
            Table::MachineLearningCurated => {
                let inputs = [Table::StepTrainerTrusted.prefix(), Table::AccelerometerTrusted.prefix()];
                access.read(inputs);
                access.lists.extend(inputs.map(str::to_owned));
            }
            Table::CustomerLanding | Table::AccelerometerLanding | Table::StepTrainerLanding => return access,
        }
        access.read([layout::LAKE_CONFIG]);
        access.write([table.prefix().to_owned()]);
        access
    }

    /// What allows it to read `key`, which is in a landing bucket or in the lake's.
    pub fn to_read(&self, key: &str) -> Option<&str> {
        naming(&self.reads, key).or_else(|| naming(&self.landing, key))
    }

    /// What allows it to write `key`.
    pub fn to_write(&self, key: &str) -> Option<&str> {
        naming(&self.writes, key)
    }

    /// What allows it to list the objects below `prefix`.
    pub fn to_list(&self, prefix: &str) -> Option<&str> {
        naming(&self.lists, prefix)
    }

    /// Every landing file is announced, and has a receipt and a quarantine. Whoever lands the first one makes the lake; the
    /// other functions are woken by what is in it.
    fn account_for(&mut self, source: Source) {
        self.write([layout::LAKE_CONFIG.to_owned()]);
        self.landing.insert(source.landing().prefix().to_owned());
        self.write([layout::manifests(source), layout::receipts(source), layout::quarantined(source)]);
    }

    /// Readings are derived by whom they trust, found by key, and derived again by checkpoint.
    fn derive_readings(&mut self, source: Source, table: Table, trust: Table) {
        self.account_for(source);
        self.read([trust.prefix()]);
        self.lists.extend([trust.prefix().to_owned(), layout::index(source), layout::index_segments(source)]);
        // An entry of the index says all by its name.
        self.writes.insert(layout::index(source));
        self.write([layout::index_segments(source), layout::compacted_index(source), layout::checkpoints(table)]);
    }

    fn read<const N: usize>(&mut self, what: [&str; N]) {
        self.reads.extend(what.map(str::to_owned));
    }

    fn write<const N: usize>(&mut self, what: [String; N]) {
        self.reads.extend(what.iter().cloned());
        self.writes.extend(what);
    }
}

/// Everything that any function writes.
pub fn derived() -> BTreeSet<String> {
    Table::DERIVED.into_iter().flat_map(|table| Access::of(table).writes).collect()
}

/// The prefix or key among `what` that names `key`.
fn naming<'a>(what: &'a BTreeSet<String>, key: &str) -> Option<&'a str> {
    let names = |name: &&str| if name.ends_with('/') { key.starts_with(*name) } else { key == *name };
    what.iter().map(String::as_str).find(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_reads_and_lists_what_wakes_it_and_writes_its_own_table_only() {
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
    fn only_the_functions_of_landing_files_read_landing_files() {
        let landing = |table| Access::of(table).landing.into_iter().collect::<Vec<_>>();
        assert_eq!(landing(Table::CustomerTrusted), ["customer/landing/"]);
        assert_eq!(landing(Table::AccelerometerTrusted), ["accelerometer/landing/"]);
        assert_eq!(landing(Table::StepTrainerTrusted), ["step_trainer/landing/"]);
        for table in [Table::CustomerCurated, Table::MachineLearningCurated] {
            assert!(landing(table).is_empty(), "{table}");
        }
    }

    #[test]
    fn whoever_derives_the_training_table_sees_no_customer() {
        let access = Access::of(Table::MachineLearningCurated);
        for personal in [Table::CustomerTrusted.prefix(), Table::CustomerCurated.prefix(), "receipts/", "quarantine/"] {
            assert_eq!(access.to_read(personal), None);
        }
    }

    #[test]
    fn a_whole_key_names_itself_alone() {
        let access = Access::of(Table::CustomerTrusted);
        assert_eq!(access.to_write("_state/lake.json"), Some("_state/lake.json"));
        assert_eq!(access.to_write("_state/lake.json.bak").or(access.to_write("_state/")), None);
    }

    #[test]
    fn no_landing_prefix_is_derived() {
        let derived = derived();
        for source in Source::ALL {
            assert_eq!(naming(&derived, source.landing().prefix()), None);
        }
    }
}
