//! The lake config: the settings that are fixed when a lake is made.

use crate::hash::ShardCount;
use crate::slice::SlicesPerHour;
use serde::de::IntoDeserializer;
use serde::de::value::Error as UnknownValue;
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

/// Which pairs of readings the training table has (`PAIRS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pairs {
    /// Every pair of one instant. Their number grows with the square of the customers who have readings of that instant.
    #[default]
    SameInstant,
    /// Only pairs of one customer. Their number grows with that of the readings.
    SameCustomer,
}

/// Prints and parses a setting by the names that serde gives its values, so that each name is stated once.
macro_rules! named_by_serde {
    ($($setting:ty),*) => {$(
        impl fmt::Display for $setting {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }

        impl FromStr for $setting {
            type Err = UnknownValue;

            fn from_str(text: &str) -> Result<Self, UnknownValue> {
                Self::deserialize(text.into_deserializer())
            }
        }
    )*};
}

named_by_serde!(ConsentPolicy, Pairs);

/// The settings that are fixed when a lake is made. The lake stores them as `_state/lake.json`.
///
/// A function with other settings would mix two meanings in one table, so it refuses to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LakeConfig {
    /// The number of customer shards.
    pub customer_shards: ShardCount,
    /// Which readings of a consenting customer count.
    pub consent_policy: ConsentPolicy,
    /// Which pairs the training table has.
    pub pairs: Pairs,
    /// Into how many cells an hour is divided.
    pub slices_per_hour: SlicesPerHour,
}

/// As the variables of a function: `CUSTOMER_SHARDS=16 CONSENT_POLICY=ever PAIRS=same-instant SLICES_PER_HOUR=1`.
impl fmt::Display for LakeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { customer_shards, consent_policy, pairs, slices_per_hour } = self;
        write!(f, "CUSTOMER_SHARDS={customer_shards} CONSENT_POLICY={consent_policy} PAIRS={pairs} ")?;
        write!(f, "SLICES_PER_HOUR={slices_per_hour}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_settings_round_trip_as_text() {
        check(ConsentPolicy::Ever, "ever");
        check(ConsentPolicy::AtReading, "at-reading");
        check(Pairs::SameInstant, "same-instant");
        check(Pairs::SameCustomer, "same-customer");
    }

    #[track_caller]
    fn check<T: fmt::Display + fmt::Debug + FromStr<Err: fmt::Debug> + PartialEq>(value: T, text: &str) {
        assert_eq!(value.to_string(), text);
        assert_eq!(text.parse::<T>().unwrap(), value);
    }

    #[test]
    fn error_names_the_value_and_what_is_expected() {
        let error = "Ever".parse::<ConsentPolicy>().unwrap_err().to_string();
        assert!(["`Ever`", "`ever`", "`at-reading`"].iter().all(|word| error.contains(word)), "{error}");
    }
}
