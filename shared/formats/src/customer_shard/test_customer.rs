//! A customer record for the tests of this module.

use model::customer::Customer;

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
