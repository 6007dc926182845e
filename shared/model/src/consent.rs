//! Consent to research: what a customer record says about it, and what holds after many records.
//!
//! The rules fail closed. A withdrawal counts if the email and the consent of a record can be read, whatever is wrong with its
//! other fields. A consent that cannot be read suspends the customer. Only a record that is valid in every field grants.
//!
//! No clock is read. The time at which S3 stored the landing object is an input like the dates of the record, so the order
//! in which files are processed never decides.

use serde::{Deserialize, Serialize};

/// How much later than its landing object was stored a record may be dated. Clocks differ.
pub const DATE_AHEAD_MS_MAX: i64 = 24 * 3_600_000;

/// A field whose value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// What a record from which an email can be read says about the customer's consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// The customer consents, if the record is valid in every field.
    Grant,
    /// The customer does not consent, as of this date.
    Withdrawal {
        /// The record's date, or the time at which its object was stored.
        date_ms: i64,
    },
    /// The consent cannot be read.
    Suspension,
}

/// Returns the statement of a record.
///
/// `consent` is the date of the consent, none if the record has no consent. `date` is the record's own date. `stored_ms` is
/// when S3 stored the landing object.
pub fn statement(
    consent: Result<Option<i64>, Unreadable>,
    date: Result<Option<i64>, Unreadable>,
    stored_ms: i64,
) -> Statement {
    match consent {
        Err(Unreadable) => Statement::Suspension,
        Ok(Some(since_ms)) if is_ahead(since_ms, stored_ms) => Statement::Suspension,
        Ok(Some(_)) => Statement::Grant,
        Ok(None) => {
            // A date of 0 stands for no date.
            let own = date.ok().flatten().filter(|date_ms| *date_ms != 0 && !is_ahead(*date_ms, stored_ms));
            Statement::Withdrawal { date_ms: own.unwrap_or(stored_ms) }
        }
    }
}

/// Whether a date is too far in the future to be right.
pub fn is_ahead(date_ms: i64, stored_ms: i64) -> bool {
    date_ms > stored_ms.saturating_add(DATE_AHEAD_MS_MAX)
}

/// What the records of a customer have said so far. Each time is the greatest of all records that were processed; it never
/// decreases, even if the file of a record is replaced, redacted or deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentHistory {
    /// The latest date of a withdrawal.
    pub withdrawn_at_ms: Option<i64>,
    /// When the latest object was stored that has a record whose consent cannot be read.
    pub suspended_at_ms: Option<i64>,
    /// When the latest object was stored that has a valid record.
    pub valid_seen_at_ms: Option<i64>,
}

impl ConsentHistory {
    /// Returns the history of the records of both.
    pub fn raised(self, other: Self) -> Self {
        Self {
            withdrawn_at_ms: self.withdrawn_at_ms.max(other.withdrawn_at_ms),
            suspended_at_ms: self.suspended_at_ms.max(other.suspended_at_ms),
            valid_seen_at_ms: self.valid_seen_at_ms.max(other.valid_seen_at_ms),
        }
    }

    /// Whether the customer is suspended. Only a valid record in an object that was stored later ends a suspension.
    pub fn is_suspended(self) -> bool {
        self.suspended_at_ms.is_some_and(|suspended_ms| self.valid_seen_at_ms.is_none_or(|seen| seen <= suspended_ms))
    }

    /// Whether a grant of this date is in force.
    pub fn admits(self, date_ms: i64) -> bool {
        !self.is_suspended() && !self.is_withdrawn(date_ms)
    }

    /// Whether the customer withdrew a grant of this date. A withdrawal and a grant of one date: the withdrawal counts.
    pub fn is_withdrawn(self, date_ms: i64) -> bool {
        self.withdrawn_at_ms.is_some_and(|withdrawn_ms| date_ms <= withdrawn_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED_MS: i64 = 1_700_000_000_000;
    const AHEAD_MS: i64 = STORED_MS + DATE_AHEAD_MS_MAX + 1;

    #[test]
    fn a_record_without_consent_withdraws_as_of_its_date_or_when_it_was_stored() {
        for (date, date_ms) in [
            (Ok(Some(5)), 5),
            (Ok(Some(STORED_MS + DATE_AHEAD_MS_MAX)), STORED_MS + DATE_AHEAD_MS_MAX),
            (Ok(Some(AHEAD_MS)), STORED_MS),
            (Ok(Some(0)), STORED_MS),
            (Ok(None), STORED_MS),
            (Err(Unreadable), STORED_MS),
        ] {
            assert_eq!(statement(Ok(None), date, STORED_MS), Statement::Withdrawal { date_ms }, "{date:?}");
        }
    }

    #[test]
    fn an_unreadable_or_future_consent_suspends() {
        for consent in [Err(Unreadable), Ok(Some(AHEAD_MS))] {
            assert_eq!(statement(consent, Ok(Some(5)), STORED_MS), Statement::Suspension, "{consent:?}");
        }
        assert_eq!(statement(Ok(Some(AHEAD_MS - 1)), Ok(Some(5)), STORED_MS), Statement::Grant);
    }

    #[test]
    fn a_grant_needs_a_later_date_than_every_withdrawal() {
        let history = ConsentHistory { withdrawn_at_ms: Some(5), ..ConsentHistory::default() };
        assert_eq!([4, 5, 6].map(|date_ms| history.admits(date_ms)), [false, false, true]);
        assert!(ConsentHistory::default().admits(0));
    }

    #[test]
    fn a_suspension_ends_with_a_valid_record_that_was_stored_later() {
        let suspended = ConsentHistory { suspended_at_ms: Some(5), ..ConsentHistory::default() };
        for (seen, is_suspended) in [(None, true), (Some(4), true), (Some(5), true), (Some(6), false)] {
            let history = suspended.raised(ConsentHistory { valid_seen_at_ms: seen, ..ConsentHistory::default() });
            assert_eq!(history.is_suspended(), is_suspended, "{seen:?}");
            assert_eq!(history.admits(9), !is_suspended);
        }
    }
}
