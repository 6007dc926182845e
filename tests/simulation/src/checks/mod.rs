//! The invariants of a lake. Their checks know nothing of the simulator.
//!
//! [`watch`] checks each object when it is stored. [`at_rest`] checks the whole lake when no event is pending.

pub mod at_rest;
pub mod watch;

use serde::{Deserialize, Serialize};
use std::fmt;

/// An invariant of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Invariant {
    /// L1: the tables equal those of the definitions.
    Convergence,
    /// L2: there is never a row of a customer who never consented.
    Safety,
    /// L3: no row of a customer who is not eligible remains, anywhere outside landing and quarantine, and no withdrawal or
    /// suspension that was processed is forgotten.
    Withdrawal,
    /// L4: rows = kept + excluded + quarantined, and each cell has the rows of a file that are due.
    RowCounts,
    /// L5: the registered partitions are those that ever had rows.
    Catalog,
    /// L6: delivering every event once more writes nothing.
    Quiescence,
    /// L7: the same rows and metadata give the same bytes.
    Determinism,
    /// L8: nothing personal is in the training table.
    NoIdentifiers,
    /// A function asks S3 and Glue only for what its role allows.
    Access,
    /// The run comes to rest, and no event fails for ever.
    Progress,
}

impl Invariant {
    /// All invariants, in order.
    pub const ALL: [Self; 10] = [
        Self::Convergence,
        Self::Safety,
        Self::Withdrawal,
        Self::RowCounts,
        Self::Catalog,
        Self::Quiescence,
        Self::Determinism,
        Self::NoIdentifiers,
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
            Self::RowCounts => "L4 row counts",
            Self::Catalog => "L5 catalog",
            Self::Quiescence => "L6 quiescence",
            Self::Determinism => "L7 determinism",
            Self::NoIdentifiers => "L8 no identifiers",
            Self::Access => "access",
            Self::Progress => "progress",
        })
    }
}

/// A violation of an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// Where and how it is violated.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}
