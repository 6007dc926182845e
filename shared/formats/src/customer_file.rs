//! The customer records of one landing file.

use crate::landing::Collect;
use crate::landing::fields::{Fields, Rejection};
use model::customer::{Customer, excluded};
use std::collections::BTreeMap;

/// The customer records of one landing file, reduced to the latest record of each customer.
#[derive(Clone, Debug, Default)]
pub struct Customers {
    latest: BTreeMap<String, Customer>,
    rows: u64,
    excluded: BTreeMap<String, u64>,
}

impl Customers {
    /// Returns the latest record of each customer of the file, by email.
    pub fn latest(&self) -> impl Iterator<Item = &Customer> + Clone {
        self.latest.values()
    }

    /// Returns the number of records in the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns how many records another record of the same file excludes, by reason.
    pub fn excluded(&self) -> &BTreeMap<String, u64> {
        &self.excluded
    }
}

impl Collect for Customers {
    const FIELDS: &'static [&'static str] = &[
        "customerName",
        "email",
        "phone",
        "birthDay",
        "serialNumber",
        "registrationDate",
        "lastUpdateDate",
        "shareWithResearchAsOfDate",
        "shareWithPublicAsOfDate",
        "shareWithFriendsAsOfDate",
    ];

    fn collect(&mut self, fields: &Fields<'_>) -> Result<(), Rejection> {
        let text = |i: usize| fields.text(i).map(|text| text.map(|text| text.into_owned()));
        let mut customer = Customer {
            customername: text(0)?,
            email: fields.required_text(1)?.into_owned(),
            phone: text(2)?,
            birthday: text(3)?,
            serialnumber: text(4)?,
            registrationdate: fields.time(5)?,
            lastupdatedate: fields.time(6)?,
            sharewithresearchasofdate: fields.time(7)?,
            sharewithpublicasofdate: fields.time(8)?,
            sharewithfriendsasofdate: fields.time(9)?,
        };
        self.rows += 1;
        if let Some(latest) = self.latest.get_mut(&customer.email) {
            if customer.cmp_latest(latest).is_gt() {
                std::mem::swap(latest, &mut customer);
            }
            let reason = if customer.since_ms().is_none() {
                excluded::NO_CONSENT
            } else if customer == *latest {
                excluded::DUPLICATE
            } else if latest.since_ms().is_none() {
                excluded::CONSENT_WITHDRAWN
            } else {
                excluded::SUPERSEDED
            };
            *self.excluded.entry(reason.to_owned()).or_default() += 1;
        } else {
            self.latest.insert(customer.email.clone(), customer);
        }
        Ok(())
    }
}
