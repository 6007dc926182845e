//! Customer records, and which of two grants counts.

use crate::hash::{ContentDigest, HashKey, KeyHash};
use serde::Serialize;
use std::cmp::Ordering;

/// A customer record that is valid in every field. Its fields are in alphabetical order, so that its JSON is canonical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Customer {
    /// Date of birth, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthday: Option<String>,
    /// Full name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customername: Option<String>,
    /// The email, as the record spells it. It identifies the customer.
    pub email: String,
    /// The time of the last update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lastupdatedate: Option<i64>,
    /// Phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The time of the registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrationdate: Option<i64>,
    /// Serial number of the customer's step trainer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serialnumber: Option<String>,
    /// The time from which friends may see the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharewithfriendsasofdate: Option<i64>,
    /// The time from which the public may see the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharewithpublicasofdate: Option<i64>,
    /// The time from which research may use the data. Absent or 0: there is no consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharewithresearchasofdate: Option<i64>,
}

impl Customer {
    /// Returns the hash of the identity of the customer's device.
    pub fn device(&self, hash_key: &HashKey) -> Option<KeyHash> {
        hash_key.of_serial_number(self.serialnumber.as_deref()?)
    }

    /// Returns the record's time: its last update, else the registration, else 0.
    pub fn date_ms(&self) -> i64 {
        self.lastupdatedate.or(self.registrationdate).unwrap_or(0)
    }

    /// Returns the time of the consent to research; `None` without consent.
    pub fn since_ms(&self) -> Option<i64> {
        consent_since(self.sharewithresearchasofdate)
    }

    /// Returns the record as JSON: lower-case names in alphabetical order, without absent fields.
    pub fn canonical_json(&self) -> String {
        // Serializing strings and integers cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the digest of the record's content.
    pub fn digest(&self, hash_key: &HashKey) -> ContentDigest {
        hash_key.digest(&self.canonical_json())
    }

    /// Compares two grants of one customer; the greater one counts.
    ///
    /// The later grant is greater, and of one time the one with the smaller canonical JSON. The order in which the records
    /// arrive never decides.
    pub fn cmp_grants(&self, other: &Self) -> Ordering {
        self.date_ms().cmp(&other.date_ms()).then_with(|| other.canonical_json().cmp(&self.canonical_json()))
    }
}

/// Returns the time of a consent, given the record's date of it. 0 means that there is no consent.
pub fn consent_since(date_ms: Option<i64>) -> Option<i64> {
    date_ms.filter(|date_ms| *date_ms != 0)
}

/// Why a customer's record is not a row of `customer_trusted`.
pub mod excluded {
    /// The record has no consent to research.
    pub const NO_CONSENT: &str = "no_consent";
    /// The record has a consent, but the customer withdrew it.
    pub const CONSENT_WITHDRAWN: &str = "consent_withdrawn";
    /// The record has a consent, but a record whose consent cannot be read suspends the customer.
    pub const SUSPENDED: &str = "suspended";
    /// A later record of the customer counts instead.
    pub const SUPERSEDED: &str = "superseded";
    /// Another file has the same record, and it counts there.
    pub const DUPLICATE: &str = "duplicate";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a record with these fields and a serial number.
    fn customer(email: &str, date_ms: i64, since_ms: Option<i64>) -> Customer {
        Customer {
            birthday: None,
            customername: None,
            email: email.into(),
            lastupdatedate: Some(date_ms),
            phone: None,
            registrationdate: None,
            serialnumber: Some(format!("serial of {email}")),
            sharewithfriendsasofdate: None,
            sharewithpublicasofdate: None,
            sharewithresearchasofdate: since_ms,
        }
    }

    #[test]
    fn the_later_grant_counts_and_then_the_one_with_the_smaller_json() {
        let earlier = customer("a", 1, Some(1));
        let later = customer("a", 2, Some(2));
        let mut other = later.clone();
        other.phone = Some("1".into());
        assert!(later.cmp_grants(&earlier).is_gt());
        assert!(later.canonical_json() > other.canonical_json() && other.cmp_grants(&later).is_gt());
        assert!(later.cmp_grants(&later).is_eq());
    }

    #[test]
    fn one_identity_has_one_hash() {
        let key = HashKey::public();
        assert_eq!(key.of_email(" Ann@Example.com"), key.of_email("ann@example.com"));
        let device =
            |serial: &str| Customer { serialnumber: Some(serial.into()), ..customer("a", 1, None) }.device(&key);
        assert_eq!(device(" s-1 "), device("s-1"));
        assert_ne!(device("S-1"), device("s-1"));
        assert_eq!(device(" "), None);
    }

    #[test]
    fn the_date_falls_back_to_the_registration_and_then_to_0() {
        let mut record = customer("a", 5, None);
        assert_eq!(record.date_ms(), 5);
        record.lastupdatedate = None;
        record.registrationdate = Some(3);
        assert_eq!(record.date_ms(), 3);
        record.registrationdate = None;
        assert_eq!(record.date_ms(), 0);
    }

    #[test]
    fn canonical_json_is_sorted() {
        let json = customer("a", 1, Some(2)).canonical_json();
        let names: Vec<&str> =
            json.split('"').skip(1).step_by(2).filter(|name| json.contains(&format!("\"{name}\":"))).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted, "{json}");
    }
}
