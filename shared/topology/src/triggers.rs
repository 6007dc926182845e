//! Which new or changed object triggers which function.

use model::layout::{DEVICES, LATEST_READINGS, work_items};
use model::table::Table;
use serde::Serialize;

/// A prefix, and the functions that a new or changed object with this prefix triggers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Trigger {
    /// The prefix of the objects' keys, with the slash at the end.
    pub prefix: &'static str,
    /// The functions, each named by the table that it materializes.
    pub functions: &'static [Table],
}

const fn trigger(prefix: &'static str, functions: &'static [Table]) -> Trigger {
    Trigger { prefix, functions }
}

/// All triggers.
pub const TRIGGERS: &[Trigger] = &[
    trigger(Table::CustomerLanding.prefix(), &[Table::CustomerTrusted]),
    trigger(Table::AccelerometerLanding.prefix(), &[Table::AccelerometerTrusted]),
    trigger(Table::StepTrainerLanding.prefix(), &[Table::StepTrainerTrusted]),
    trigger(Table::CustomerTrusted.prefix(), &[Table::AccelerometerTrusted, Table::CustomerCurated]),
    trigger(LATEST_READINGS, &[Table::CustomerCurated]),
    trigger(Table::AccelerometerTrusted.prefix(), &[Table::MachineLearningCurated]),
    trigger(DEVICES, &[Table::StepTrainerTrusted]),
    trigger(Table::StepTrainerTrusted.prefix(), &[Table::MachineLearningCurated]),
    trigger(work_items(Table::AccelerometerTrusted), &[Table::AccelerometerTrusted]),
    trigger(work_items(Table::StepTrainerTrusted), &[Table::StepTrainerTrusted]),
];

/// Returns the prefixes whose objects trigger the function of `table`.
pub fn inputs_of(table: Table) -> impl Iterator<Item = &'static str> {
    TRIGGERS.iter().filter(move |trigger| trigger.functions.contains(&table)).map(|trigger| trigger.prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_an_input_and_prefixes_do_not_overlap() {
        for table in Table::DERIVED {
            assert!(inputs_of(table).next().is_some(), "{table}");
        }
        for a in TRIGGERS {
            assert_eq!(TRIGGERS.iter().filter(|b| a.prefix.starts_with(b.prefix)).count(), 1, "{}", a.prefix);
        }
    }

    #[test]
    fn no_table_triggers_its_own_function() {
        for table in Table::DERIVED {
            assert!(inputs_of(table).all(|prefix| prefix != table.prefix()), "{table}");
        }
    }
}
