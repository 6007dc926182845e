//! The latest-reading index: per customer, whether accelerometer readings were ingested, and the time of the latest one.
//!
//! It is only raised. A correction that takes all readings of a customer away does not take the customer away.
//!
//! The function `customer_curated` reads it instead of the readings.

use crate::Corrupt;
use crate::key_map::KeyMap;
use bytes::Bytes;
use model::hash::KeyHash;
use model::lake_config::ConsentPolicy;
use std::collections::BTreeMap;

/// The latest-reading index of one shard: per customer, the time of the latest ingested reading, with or without consent.
///
/// Under the policy `ever` any reading counts, so the index keeps only that there is one. Then a later reading of a known
/// customer changes nothing: it neither writes the index nor triggers `customer_curated`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatestReadings(KeyMap);

/// The time that the index keeps for every customer with a reading under the policy `ever`.
const ANY_TIME_MS: i64 = 0;

impl LatestReadings {
    /// Reads an object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        KeyMap::decode(bytes.clone(), "latest-reading index").map(Self)
    }

    /// Writes the object.
    pub fn encode(&self) -> Bytes {
        self.0.encode()
    }

    /// Returns the time of the customer's latest reading; `None` without readings. Under the policy `ever` the time says nothing.
    pub fn latest_ms(&self, customer: KeyHash) -> Option<i64> {
        self.0.get(customer).map(u64::cast_signed)
    }

    /// Returns the index with the times of further readings. A time counts only if it is later than the known one.
    /// Returns `None` if nothing changes.
    pub fn raised(&self, latest_ms: impl IntoIterator<Item = (KeyHash, i64)>, policy: ConsentPolicy) -> Option<Self> {
        let raised = latest_ms.into_iter().map(|(customer, time_ms)| (customer, kept_ms(time_ms, policy)));
        let raised =
            raised.filter(|(customer, time_ms)| self.latest_ms(*customer).is_none_or(|known| known < *time_ms));
        let raised: BTreeMap<_, _> = raised.map(|(key, time_ms)| (key, Some(time_ms.cast_unsigned()))).collect();
        (!raised.is_empty()).then(|| Self(self.0.with(&raised)))
    }
}

fn kept_ms(time_ms: i64, policy: ConsentPolicy) -> i64 {
    match policy {
        ConsentPolicy::Ever => ANY_TIME_MS,
        ConsentPolicy::AtReading => time_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConsentPolicy::{AtReading, Ever};
    use model::hash::HashKey;

    #[test]
    fn under_ever_a_later_reading_changes_nothing() {
        let (ann, bob) = (HashKey::public().of("ann"), HashKey::public().of("bob"));
        let first = (ann, 5);
        let later = (ann, 9);
        let ever = LatestReadings::default().raised([first], Ever).unwrap();
        assert_eq!(ever.raised([later], Ever), None);
        assert_eq!(ever.raised([(bob, 1)], Ever).unwrap().latest_ms(bob), Some(ANY_TIME_MS));
        let at_reading = LatestReadings::default().raised([first], AtReading).unwrap();
        assert_eq!(at_reading.raised([(ann, 4)], AtReading), None);
        assert_eq!(at_reading.raised([later], AtReading).unwrap().latest_ms(ann), Some(9));
    }
}
