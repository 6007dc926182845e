//! The parts of a lake that SQL may read but not change.

use emulator_sql::Protected;
use formats::receipt;
use model::layout::{LAKE_CONFIG, LATEST_READINGS, RECEIPTS, Source, quarantined};
use model::table::Table;
use store::lake::DATABASE;

const ADVICE: &str = "the lake computes these rows from landing files and consents; upload landing files to change \
                      them, or make a table of your own in a location of its own";

/// The tables, state, receipts and quarantine of the lake in `bucket`.
pub(crate) fn protected(bucket: &str) -> Protected {
    let tables = Table::ALL.map(|table| (table.prefix().to_owned(), format!("table {table}")));
    let state = [LAKE_CONFIG, LATEST_READINGS, RECEIPTS, &quarantined(Source::Customer)].map(|key| {
        let folder = key.split_inclusive('/').next().unwrap_or(key);
        (folder.to_owned(), folder.to_owned())
    });
    Protected {
        database: DATABASE.to_owned(),
        tables: Table::ALL.map(Table::name).into_iter().chain([receipt::TABLE]).map(str::to_owned).collect(),
        bucket: bucket.to_owned(),
        prefixes: tables.into_iter().chain(state).collect(),
        advice: ADVICE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_and_tables_are_protected() {
        let protected = protected("lake");
        for prefix in ["_state/", "lookup/", "receipts/", "quarantine/", "customer/landing/", "step_trainer/curated/"] {
            assert!(protected.prefixes.iter().any(|(found, _)| found == prefix), "{prefix}");
        }
        for name in ["customer_trusted", "receipts"] {
            assert!(protected.tables.iter().any(|table| table == name), "{name}");
        }
    }
}
