//! `step_trainer_trusted`: the step trainer readings of the customers in `customer_curated`.
//!
//! ```sql
//! SELECT s.sensorreadingtime, trim(s.serialnumber) AS serialnumber, s.distancefromobject, c.email AS user
//! FROM step_trainer_landing s
//! JOIN (SELECT * FROM latest_record          -- the latest record of each customer, consenting or not
//!       QUALIFY row_number() OVER (PARTITION BY trim(serialnumber)
//!                                  ORDER BY date DESC, is_eligible, customer_hash) = 1
//!      ) owner
//!   ON trim(s.serialnumber) = trim(owner.serialnumber)
//! JOIN customer_curated c ON c.email = owner.email -- else no reading of the device is admitted
//! WHERE consent_policy = 'ever' OR s.sensorreadingtime >= c.sharewithresearchasofdate
//! ```
//!
//! Partitions are by the time of the reading. [`OfCuratedCustomers`] is the rule.

mod rule;

use ingest::{LIMITS, Limits, ReadingFiles};
use model::table::Table;
pub use rule::OfCuratedCustomers;
use runtime::function::{Function, Handling, Input};
use std::collections::BTreeSet;
use store::lake::Lake;

/// The function.
pub struct StepTrainerTrusted {
    files: ReadingFiles<OfCuratedCustomers>,
}

impl StepTrainerTrusted {
    /// The function on `lake`.
    pub fn new(lake: Lake) -> Self {
        Self::with_limits(lake, LIMITS)
    }

    /// The function on `lake`, with other limits.
    pub fn with_limits(lake: Lake, limits: Limits) -> Self {
        Self { files: ReadingFiles::new(lake, limits) }
    }
}

impl Function for StepTrainerTrusted {
    const TABLE: Table = Table::StepTrainerTrusted;

    fn lake(&self) -> &Lake {
        self.files.lake()
    }

    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_> {
        Box::pin(async move { self.files.handle(inputs, |_, _| {}).await })
    }
}
