//! The invariants that a lake must obey, each looked at by something that knows nothing of the simulator.
//!
//! [`watch`] looks at every single object that is stored, [`settled`] at everything once nothing is left to deliver.

pub mod settled;
pub mod watch;

use serde::{Deserialize, Serialize};
use std::fmt;

/// A invariant of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Invariant {
    /// L1: the tables are those of the definitions.
    Convergence,
    /// L2: never a row of somebody who never consented.
    Safety,
    /// L3: no row of somebody whose latest record has no consent, anywhere outside landing.
    Withdrawal,
    /// L4: rows = kept + excluded + quarantined, and kept = rows in the outputs.
    Accounting,
    /// L5: the registered partitions are those that ever had rows.
    Catalogue,
    /// L6: delivering every event again writes nothing.
    Quiescence,
    /// L7: the same rows from the same versions give the same bytes.
    Determinism,
    /// L8: nothing personal in the training table.
    Anonymity,
    /// A function asks for nothing that its role does not allow.
    Access,
    /// It comes to rest, and no event fails for ever.
    Progress,
}

impl Invariant {
    /// The invariants, in order.
    pub const ALL: [Self; 10] = [
        Self::Convergence,
        Self::Safety,
        Self::Withdrawal,
        Self::Accounting,
        Self::Catalogue,
        Self::Quiescence,
        Self::Determinism,
        Self::Anonymity,
        Self::Access,
        Self::Progress,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Convergence => "L1 convergence",
            Self::Safety => "L2 safety",
            Self::Withdrawal => "L3 withdrawal",
            Self::Accounting => "L4 accounting",
            Self::Catalogue => "L5 catalogue",
            Self::Quiescence => "L6 quiescence",
            Self::Determinism => "L7 determinism",
            Self::Anonymity => "L8 anonymity",
            Self::Access => "access",
            Self::Progress => "progress",
        })
    }
}

/// A invariant that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}
