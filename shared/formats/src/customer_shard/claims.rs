//! Claims: which customer's latest record names a device.
//!
//! A customer claims the device of the latest record, with or without consent. So the readings of a device of a
//! customer without consent are not admitted, even if an earlier record of a consenting customer names it.

use model::hash::KeyHash;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// A customer's claim to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The hash of the serial number.
    pub device: KeyHash,
    /// The hash of the email.
    pub customer: KeyHash,
    /// The date of the customer's latest record.
    pub date_ms: i64,
    /// Whether a grant of the customer is in force.
    pub is_eligible: bool,
}

impl Claim {
    /// Orders claims to one device: the owner's is the greatest. The later record owns the device. Of one date, the customer
    /// without consent does, and then the one with the smaller hash.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        (self.date_ms, !self.is_eligible, Reverse(self.customer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_record_owns_then_the_one_without_consent_then_the_smaller_hash() {
        let hash = |n| KeyHash::from_bytes([n; 16]);
        let claim =
            |customer, date_ms, is_eligible| Claim { device: hash(9), customer: hash(customer), date_ms, is_eligible };
        let ranked = [claim(1, 1, false), claim(2, 2, true), claim(1, 2, true), claim(2, 2, false), claim(1, 2, false)];
        assert!(ranked.is_sorted_by(|a, b| a.rank() < b.rank()));
    }
}
