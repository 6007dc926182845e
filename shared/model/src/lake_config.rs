//! The lake config: the settings that are fixed when a lake is made.

use crate::hash::ShardCount;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which readings of a consenting customer count (`CONSENT_POLICY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentPolicy {
    /// Readings of any time.
    #[default]
    Ever,
    /// Only readings at or after the customer's `sharewithresearchasofdate`.
    AtReading,
}

impl ConsentPolicy {
    /// Whether a reading at `time_ms` counts for a customer with a consent since `since_ms`.
    pub fn admits(self, time_ms: i64, since_ms: i64) -> bool {
        match self {
            Self::Ever => true,
            Self::AtReading => time_ms >= since_ms,
        }
    }
}

impl fmt::Display for ConsentPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ever => "ever",
            Self::AtReading => "at-reading",
        })
    }
}

/// The error for a text that does not name a consent policy.
#[derive(Debug, thiserror::Error)]
#[error("consent policy is {0:?}, expected ever or at-reading")]
pub struct NoConsentPolicy(String);

impl FromStr for ConsentPolicy {
    type Err = NoConsentPolicy;

    fn from_str(text: &str) -> Result<Self, NoConsentPolicy> {
        match text {
            "ever" => Ok(Self::Ever),
            "at-reading" => Ok(Self::AtReading),
            other => Err(NoConsentPolicy(other.to_owned())),
        }
    }
}

/// The settings that are fixed when a lake is made. The lake stores them as `_state/lake.json`.
///
/// A function with other settings would mix two meanings in one table, so it refuses to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LakeConfig {
    /// The number of customer shards.
    pub customer_shards: ShardCount,
    /// Which readings of a consenting customer count.
    pub consent_policy: ConsentPolicy,
}
