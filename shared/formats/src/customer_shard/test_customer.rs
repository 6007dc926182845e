//! Customer records for the tests of this module.

use super::records::FileVersion;
use super::trusted::{CustomerShard, Update};
use crate::customer_file::{FileCustomer, Withdrawal};
use model::consent::ConsentHistory;
use model::customer::Customer;
use model::hash::HashKey;
use model::layout::{FileId, ObjectLocation};

/// Returns the id of the customer file with this name.
pub(crate) fn file(name: &str) -> FileId {
    FileId::of(&HashKey::public(), &ObjectLocation { bucket: "b".into(), key: format!("customer/landing/{name}.json") })
}

/// Returns the first version of the customer file with this name.
pub(crate) fn version(name: &str) -> FileVersion {
    FileVersion { file: file(name), generation: 1, stored_ms: 1 }
}

/// Returns the new version of a shard; none if nothing changed.
pub(crate) fn settled(update: Update) -> Option<CustomerShard> {
    let (shard, is_new) = update.settle().unwrap();
    is_new.then_some(shard)
}

/// Returns a record with these fields and a serial number.
pub(crate) fn customer(email: &str, date_ms: i64, since_ms: Option<i64>) -> Customer {
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

/// Returns what a file with these records says of each customer, one record for each.
pub(crate) fn says(records: &[Customer]) -> Vec<FileCustomer> {
    let says = |record: &Customer| {
        let (key, date_ms, device) =
            (HashKey::public().of_email(&record.email), record.date_ms(), record.device(&HashKey::public()));
        let withdrawal = record.since_ms().is_none().then_some(Withdrawal { date_ms, is_valid: true, device });
        let history = ConsentHistory { withdrawn_at_ms: withdrawal.map(|w| w.date_ms), ..ConsentHistory::default() };
        FileCustomer { key, grant: record.since_ms().map(|_| record.clone()), withdrawal, history }
    };
    records.iter().map(says).collect()
}
