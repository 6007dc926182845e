//! Which new or changed object functions which function. Stated here once; Terraform reads it from a generated file.

use model::layout::LATEST_READINGS;
use model::table::Table;
use serde::Serialize;

/// A prefix and the functions that an object below it functions.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Trigger {
    /// The prefix, with the slash at the end.
    pub prefix: &'static str,
    /// The functions, named by the tables they derive.
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
    trigger(Table::CustomerCurated.prefix(), &[Table::StepTrainerTrusted]),
    trigger(Table::StepTrainerTrusted.prefix(), &[Table::MachineLearningCurated]),
];

/// The prefixes whose objects wake the function that derives `table`.
pub fn inputs_of(table: Table) -> impl Iterator<Item = &'static str> {
    TRIGGERS.iter().filter(move |trigger| trigger.functions.contains(&table)).map(|trigger| trigger.prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_an_input_and_no_prefix_lies_below_another() {
        for table in Table::DERIVED {
            assert!(inputs_of(table).next().is_some(), "{table}");
        }
        for a in TRIGGERS {
            assert_eq!(TRIGGERS.iter().filter(|b| a.prefix.starts_with(b.prefix)).count(), 1, "{}", a.prefix);
        }
    }

    #[test]
    fn no_function_wakes_itself() {
        for table in Table::DERIVED {
            assert!(inputs_of(table).all(|prefix| prefix != table.prefix()), "{table}");
        }
    }
}
