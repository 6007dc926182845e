//! Customer records, and the order that decides which record of a customer is the latest.

use crate::hash::{ContentDigest, KeyHash};
use serde::Serialize;
use std::cmp::Ordering;

/// A customer record. Its fields are in alphabetical order, so that its JSON is canonical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Customer {
    /// Date of birth, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthday: Option<String>,
    /// Full name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customername: Option<String>,
    /// The customer's identity.
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
    /// Returns the hash of the email.
    pub fn key(&self) -> KeyHash {
        KeyHash::of(&self.email)
    }

    /// Returns the record's time: its last update, else the registration, else 0.
    pub fn date_ms(&self) -> i64 {
        made(self.lastupdatedate, self.registrationdate)
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
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::of(&self.canonical_json())
    }

    /// Compares two records of one customer; the greater one counts.
    ///
    /// The later record is greater. With equal times, the record without consent is greater. With equal consent, the one with
    /// the smaller canonical JSON is greater. The order in which the records arrive never decides.
    pub fn cmp_latest(&self, other: &Self) -> Ordering {
        self.date_ms()
            .cmp(&other.date_ms())
            .then_with(|| self.since_ms().is_none().cmp(&other.since_ms().is_none()))
            .then_with(|| other.canonical_json().cmp(&self.canonical_json()))
    }
}

/// Returns a record's time, given its dates.
pub fn made(updated_ms: Option<i64>, registered_ms: Option<i64>) -> i64 {
    updated_ms.or(registered_ms).unwrap_or(0)
}

/// Returns the time of a consent, given the record's date of it. 0 means that there is no consent.
pub fn consent_since(date_ms: Option<i64>) -> Option<i64> {
    date_ms.filter(|date_ms| *date_ms != 0)
}

/// Why a customer's record is not a row of `customer_trusted`.
pub mod excluded {
    /// The record has no consent to research.
    pub const NO_CONSENT: &str = "no_consent";
    /// The record has a consent, but the customer's latest record does not.
    pub const CONSENT_WITHDRAWN: &str = "consent_withdrawn";
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
    fn later_beats_earlier_then_no_consent_beats_consent_then_smaller_json() {
        let earlier = customer("a", 1, None);
        let yes = customer("a", 2, Some(2));
        let no = customer("a", 2, None);
        let zero = customer("a", 2, Some(0));
        let mut other = yes.clone();
        other.phone = Some("1".into());
        assert!(yes.cmp_latest(&earlier).is_gt());
        assert!(no.cmp_latest(&yes).is_gt());
        assert!(zero.cmp_latest(&yes).is_gt());
        assert!(yes.canonical_json() > other.canonical_json() && other.cmp_latest(&yes).is_gt());
        assert!(yes.cmp_latest(&yes).is_eq());
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
