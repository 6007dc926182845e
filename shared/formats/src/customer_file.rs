//! The customer records of one landing file.

use crate::landing::Collect;
use crate::landing::fields::{Fields, Reason, Rejection};
use model::consent::{ConsentHistory, Statement, Unreadable, is_ahead, statement};
use model::customer::{Customer, consent_since, excluded};
use model::hash::{HashKey, KeyHash};
use model::identity;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The positions of the fields that [`Customers`] reads one by one.
const EMAIL: usize = 1;
const SERIAL_NUMBER: usize = 4;
const REGISTERED: usize = 5;
const UPDATED: usize = 6;
const RESEARCH: usize = 7;

/// The customer records of one landing file, reduced to what counts for each customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Customers {
    hash_key: HashKey,
    stored_ms: i64,
    customers: BTreeMap<String, FileCustomer>,
    rows: u64,
    excluded: BTreeMap<String, u64>,
    withdrew: u64,
    suspended: u64,
    /// About how much memory the customers take.
    memory_bytes: usize,
}

/// What a file says about one customer.
#[derive(Clone, Debug, PartialEq)]
pub struct FileCustomer {
    /// The hash of the customer's identity.
    pub key: KeyHash,
    /// The grant that counts among those of the file.
    pub grant: Option<Customer>,
    /// The latest withdrawal of the file.
    pub withdrawal: Option<Withdrawal>,
    /// What all records of the file say about the consent, the malformed ones included.
    pub history: ConsentHistory,
}

/// A record without a consent to research.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Its date.
    pub date_ms: i64,
    /// Whether the record is valid in every field.
    pub is_valid: bool,
    /// The device that it names, as far as that can be read.
    pub device: Option<KeyHash>,
}

impl Withdrawal {
    /// Compares two withdrawals of one customer; the greater one is the latest record: the later one, and of one date the one
    /// without a device or with the smaller hash of it.
    pub fn cmp_latest(&self, other: &Self) -> Ordering {
        let rank = |withdrawal: &Self| (withdrawal.date_ms, Reverse(withdrawal.device), withdrawal.is_valid);
        rank(self).cmp(&rank(other))
    }
}

impl Customers {
    /// Returns a collector for a file that S3 stored at this time, with the lake's hash key.
    pub fn stored_at(stored_ms: i64, hash_key: HashKey) -> Self {
        let (customers, excluded) = (BTreeMap::new(), BTreeMap::new());
        Self { hash_key, stored_ms, customers, rows: 0, excluded, withdrew: 0, suspended: 0, memory_bytes: 0 }
    }

    /// Returns when S3 stored the file.
    pub fn stored_ms(&self) -> i64 {
        self.stored_ms
    }

    /// Returns what the file says about each customer, by identity.
    pub fn customers(&self) -> impl Iterator<Item = &FileCustomer> + Clone {
        self.customers.values()
    }

    /// Takes out what the file says about each customer, by identity.
    pub fn take_customers(&mut self) -> impl Iterator<Item = FileCustomer> + use<> {
        std::mem::take(&mut self.customers).into_values()
    }

    /// Returns the number of valid records in the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns a bound of the records in memory. Rejected records may hold customers, too.
    pub fn held(&self) -> u64 {
        self.rows.max(self.customers.len() as u64)
    }

    /// Returns how many records another record of the same file excludes, by reason.
    pub fn excluded(&self) -> &BTreeMap<String, u64> {
        &self.excluded
    }

    /// Returns how many records withdraw a consent, rejected ones included.
    pub fn withdrew(&self) -> u64 {
        self.withdrew
    }

    /// Returns how many records suspend a customer, because their consent cannot be read.
    pub fn suspended(&self) -> u64 {
        self.suspended
    }

    fn exclude(&mut self, reason: &str) {
        *self.excluded.entry(reason.to_owned()).or_default() += 1;
    }

    fn customer(&mut self, email: &str) -> &mut FileCustomer {
        match self.customers.entry(identity::of_email(email).into_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                self.memory_bytes += CUSTOMER_BYTES + TEXT_COPIES * email.len();
                let key = self.hash_key.of_email(email);
                new.insert(FileCustomer { key, grant: None, withdrawal: None, history: ConsentHistory::default() })
            }
        }
    }

    /// Takes what a record says about the consent of the customer with this email.
    fn take_statement(&mut self, email: &str, fields: &Fields<'_>, is_valid: bool) {
        let (consent, date) = (consent(fields).map_err(|_| Unreadable), own_date(fields).map_err(|_| Unreadable));
        let stored_ms = self.stored_ms;
        let mut history = ConsentHistory { valid_seen_at_ms: is_valid.then_some(stored_ms), ..Default::default() };
        match statement(consent, date, stored_ms) {
            // Rejected for another field than the consent, it has no effect.
            Statement::Grant if !is_valid => return,
            Statement::Grant => {}
            Statement::Suspension => {
                history.suspended_at_ms = Some(stored_ms);
                self.suspended += 1;
            }
            Statement::Withdrawal { date_ms } => {
                history.withdrawn_at_ms = Some(date_ms);
                self.withdraw(email, fields, date_ms, is_valid);
            }
        }
        let customer = self.customer(email);
        customer.history = customer.history.raised(history);
    }

    /// Takes a withdrawal. A valid one is a row of the file, and of those all but one are excluded here.
    fn withdraw(&mut self, email: &str, fields: &Fields<'_>, date_ms: i64, is_valid: bool) {
        let serial_number = fields.text(SERIAL_NUMBER).ok().flatten();
        let device = serial_number.and_then(|serial_number| self.hash_key.of_serial_number(&serial_number));
        let withdrawal = Withdrawal { date_ms, is_valid, device };
        self.withdrew += 1;
        let latest = &mut self.customer(email).withdrawal;
        let other = match latest {
            Some(latest) if withdrawal.cmp_latest(latest).is_le() => Some(withdrawal),
            latest => latest.replace(withdrawal),
        };
        if other.is_some_and(|other| other.is_valid) {
            self.exclude(excluded::NO_CONSENT);
        }
    }

    fn grant(&mut self, record: Customer) {
        let Customer { customername, phone, birthday, serialnumber, .. } = &record;
        let texts = [customername, phone, birthday, serialnumber].into_iter().flatten();
        self.memory_bytes += TEXT_COPIES * texts.map(String::len).sum::<usize>();
        let best = &mut self.customer(&record.email.clone()).grant;
        let reason = match best {
            None => {
                *best = Some(record);
                return;
            }
            Some(best) if *best == record => excluded::DUPLICATE,
            Some(best) => {
                if record.cmp_grants(best).is_gt() {
                    *best = record;
                }
                excluded::SUPERSEDED
            }
        };
        self.exclude(reason);
    }
}

/// Reads the date of the consent; `None` if the record has no consent.
fn consent(fields: &Fields<'_>) -> Result<Option<i64>, Rejection> {
    if fields.is_false(RESEARCH) { Ok(None) } else { fields.time(RESEARCH).map(consent_since) }
}

/// Reads the record's own date: its last update, else the registration.
fn own_date(fields: &Fields<'_>) -> Result<Option<i64>, Rejection> {
    match fields.time(UPDATED)? {
        None => fields.time(REGISTERED),
        updated => Ok(updated),
    }
}

/// Reads a record that must be valid in every field.
fn record(fields: &Fields<'_>, stored_ms: i64) -> Result<Customer, Rejection> {
    let text = |i: usize| fields.text(i).map(|text| text.map(|text| text.into_owned()));
    let customer = Customer {
        customername: text(0)?,
        email: fields.required_text(EMAIL)?.into_owned(),
        phone: text(2)?,
        birthday: text(3)?,
        serialnumber: text(SERIAL_NUMBER)?,
        registrationdate: fields.time(REGISTERED)?,
        lastupdatedate: fields.time(UPDATED)?,
        sharewithresearchasofdate: consent(fields)?,
        sharewithpublicasofdate: fields.time(8)?,
        sharewithfriendsasofdate: fields.time(9)?,
    };
    if customer.since_ms().is_some_and(|since_ms| is_ahead(since_ms, stored_ms)) {
        return Err(fields.rejection(Reason::TimeAhead, RESEARCH));
    }
    let dated = if customer.lastupdatedate.is_some() { UPDATED } else { REGISTERED };
    match customer.lastupdatedate.or(customer.registrationdate) {
        Some(date_ms) if is_ahead(date_ms, stored_ms) => Err(fields.rejection(Reason::TimeAhead, dated)),
        None if customer.since_ms().is_some() => Err(fields.rejection(Reason::MissingField, UPDATED)),
        _ => Ok(customer),
    }
}

/// About how much memory a customer of a file takes without the texts: entries in maps and in the shard.
const CUSTOMER_BYTES: usize = 700;
/// How often a function holds the texts of a customer.
const TEXT_COPIES: usize = 4;

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
        let email = fields.required_text(EMAIL)?;
        let record = record(fields, self.stored_ms);
        self.take_statement(&email, fields, record.is_ok());
        let record = record?;
        self.rows += 1;
        if record.since_ms().is_some() {
            self.grant(record);
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    fn inspect_rejected(&mut self, fields: &Fields<'_>) {
        if let Ok(email) = fields.required_text(EMAIL)
            && !email.contains(char::REPLACEMENT_CHARACTER)
        {
            self.take_statement(&email, fields, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landing::LandingReader;

    const STORED_MS: i64 = 1_700_000_000_000;
    const DATE_MS: i64 = 1_650_000_000_000;

    /// Reads the lines of a file. Returns the customers and the reasons of rejections.
    fn read(lines: &[&[u8]]) -> (Customers, Vec<String>) {
        let mut reader = LandingReader::new(Customers::stored_at(STORED_MS, HashKey::public()));
        reader.push(&lines.join(&b'\n')).unwrap();
        let (customers, quarantine) = reader.finish().unwrap();
        (customers, quarantine.reasons().keys().cloned().collect())
    }

    fn only(customers: &Customers) -> &FileCustomer {
        let mut all = customers.customers();
        let (Some(only), None) = (all.next(), all.next()) else { panic!("not one customer: {customers:?}") };
        only
    }

    fn with(fields: &str) -> String {
        format!(r#"{{"email":"a@b.c","lastUpdateDate":{DATE_MS},"serialNumber":"s",{fields}}}"#)
    }

    #[test]
    fn a_withdrawal_counts_in_every_form_and_beside_any_malformed_field() {
        let (own, stored) = (Some(DATE_MS), Some(STORED_MS));
        let bare = |fields: &str| format!(r#"{{"email":"a@b.c",{fields}}}"#);
        for (line, reason, withdrawn_at_ms) in [
            (with(r#""phone":"1""#), None, own),
            (with(r#""shareWithResearchAsOfDate":null"#), None, own),
            (with(r#""shareWithResearchAsOfDate":"""#), None, own),
            (with(r#""shareWithResearchAsOfDate":" ""#), None, own),
            (with(r#""shareWithResearchAsOfDate":0"#), None, own),
            (with(r#""SHAREWITHRESEARCHASOFDATE":"0.0""#), None, own),
            (with(r#""shareWithResearchAsOfDate":false"#), None, own),
            (with(r#""phone":{}"#), Some("not_text"), own),
            (with(r#""phone":"1","phone":"2""#), Some("duplicate_field"), own),
            (with(r#""customerName":"\ud800""#), Some("not_text"), own),
            (with(r#""shareWithPublicAsOfDate":12"#), Some("time_out_of_range"), own),
            (bare(r#""lastUpdateDate":"yesterday","registrationDate":1650000000000"#), Some("not_an_integer"), stored),
            (bare(r#""lastUpdateDate":1650000000"#), Some("time_in_seconds"), stored),
            (bare(r#""lastUpdateDate":4000000000000"#), Some("time_ahead"), stored),
            (bare(r#""lastUpdateDate":0"#), None, stored),
            (bare(r#""phone":"1""#), None, stored),
            (bare(r#""lastUpdateDate":"","registrationDate":1650000000000"#), None, own),
        ] {
            let (customers, reasons) = read(&[line.as_bytes()]);
            assert_eq!(only(&customers).history.withdrawn_at_ms, withdrawn_at_ms, "{line}");
            assert_eq!((customers.withdrew(), customers.suspended()), (1, 0), "{line}");
            assert_eq!(reasons.first().map(String::as_str), reason, "{line}");
            assert_eq!(only(&customers).history.valid_seen_at_ms, reason.is_none().then_some(STORED_MS), "{line}");
        }
    }

    #[test]
    fn a_withdrawal_counts_beside_bytes_that_cannot_be_decoded() {
        let line = [&br#"{"email":" A@B.C ","customerName":""#[..], &[0xff], br#""}"#].concat();
        let (customers, reasons) = read(&[&line]);
        assert_eq!(only(&customers).key, HashKey::public().of_email("a@b.c"));
        assert_eq!((customers.withdrew(), reasons), (1, vec!["not_json".to_owned()]));
        let email = [&br#"{"email":"a"#[..], &[0xff], br#"@b.c"}"#].concat();
        assert_eq!(read(&[&email]).0.customers().count(), 0);
    }

    #[test]
    fn a_consent_that_cannot_be_read_suspends() {
        for consent in
            ["\"no\"", "true", "{}", "12", "1650000000", "4000000000000", "1.5", "1,\"shareWithResearchAsOfDate\":0"]
        {
            let line = with(&format!(r#""shareWithResearchAsOfDate":{consent}"#));
            let (customers, reasons) = read(&[line.as_bytes()]);
            let history = ConsentHistory { suspended_at_ms: Some(STORED_MS), ..ConsentHistory::default() };
            assert_eq!(only(&customers).history, history, "{line}");
            assert_eq!((customers.suspended(), reasons.len()), (1, 1), "{line}");
        }
    }

    #[test]
    fn a_grant_must_be_valid_in_every_field_and_have_a_date() {
        let consent = format!(r#""shareWithResearchAsOfDate":{DATE_MS}"#);
        let (customers, _) = read(&[with(&consent).as_bytes()]);
        assert_eq!(only(&customers).grant.as_ref().and_then(Customer::since_ms), Some(DATE_MS));
        for line in [
            with(&format!(r#"{consent},"phone":[]"#)),
            with(&format!(r#"{consent},"phone":"1","phone":"1""#)),
            format!(r#"{{"email":"a@b.c",{consent}}}"#),
            format!(r#"{{"email":"a@b.c","lastUpdateDate":4000000000000,{consent}}}"#),
        ] {
            let (customers, reasons) = read(&[line.as_bytes()]);
            assert_eq!((customers.customers().count(), reasons.len()), (0, 1), "{line}");
        }
    }

    #[test]
    fn records_without_a_readable_email_name_no_customer() {
        for email in ["null", "\"\"", "\" \"", "[]", "\"a\",\"email\":\"b\""] {
            let (customers, reasons) = read(&[format!(r#"{{"email":{email}}}"#).as_bytes()]);
            assert_eq!((customers.customers().count(), reasons.len()), (0, 1), "{email}");
        }
    }

    #[test]
    fn spellings_of_one_email_are_one_customer() {
        let consent = |email: &str, date_ms: i64| {
            format!(r#"{{"email":"{email}","lastUpdateDate":{date_ms},"shareWithResearchAsOfDate":{DATE_MS}}}"#)
        };
        let (first, second) = (consent("A@b.c", DATE_MS), consent(" a@B.c", DATE_MS + 1));
        let (customers, _) = read(&[first.as_bytes(), second.as_bytes(), second.as_bytes()]);
        assert_eq!(only(&customers).grant.as_ref().map(|grant| grant.email.as_str()), Some(" a@B.c"));
        let excluded = BTreeMap::from([(excluded::SUPERSEDED.to_owned(), 1), (excluded::DUPLICATE.to_owned(), 1)]);
        assert_eq!((customers.rows(), customers.excluded()), (3, &excluded));
    }
}
