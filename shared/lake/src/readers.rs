//! Who of a shard has accelerometer readings, and until when: what `customer_curated` needs to know of readings.

use crate::Corrupt;
use crate::hash::KeyHash;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The readers register of one shard: per customer the time of the latest reading that landed, consent or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readers {
    latest_ms: BTreeMap<KeyHash, i64>,
}

impl Readers {
    /// Reads a register's object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        serde_json::from_slice(bytes).map_err(|error| Corrupt::new("readers register", error))
    }

    /// The register's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| Corrupt::new("readers register", error))
    }

    /// The time of the customer's latest reading; none if there is none.
    pub fn latest_ms(&self, customer: KeyHash) -> Option<i64> {
        self.latest_ms.get(&customer).copied()
    }

    /// There is a reading of this time: the latest, or not.
    pub fn raise(&mut self, customer: KeyHash, time_ms: i64) {
        let latest_ms = self.latest_ms.entry(customer).or_insert(time_ms);
        *latest_ms = time_ms.max(*latest_ms);
    }

    /// This is the latest reading of all, or there is none.
    pub fn set(&mut self, customer: KeyHash, latest_ms: Option<i64>) {
        match latest_ms {
            Some(time_ms) => self.latest_ms.insert(customer, time_ms),
            None => self.latest_ms.remove(&customer),
        };
    }
}
