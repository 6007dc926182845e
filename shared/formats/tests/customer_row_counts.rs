//! Compares the row counts and rows of a `customer_trusted` shard with those computed from all files by definition.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use formats::customer_shard::row_counts::{FileRowCounts, RowCounts};
use formats::customer_shard::trusted::{CustomerShard, TrustedShard};
use model::customer::{Customer, excluded};
use model::layout::{FileName, ObjectLocation};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;

const FILES: usize = 5;

/// The current files by number, each with its customers by email.
type Files = BTreeMap<usize, BTreeMap<String, Customer>>;

fn location(file: usize) -> ObjectLocation {
    ObjectLocation { bucket: "b".into(), key: format!("customer/landing/{file}.json") }
}

/// Generates few customers with few different records, so that records often collide: in several files, with one date, with and
/// without consent.
fn customers() -> impl Strategy<Value = BTreeMap<String, Customer>> {
    let record = (0..3_i64, prop::option::of(0..3_i64), prop::option::of("[pq]"));
    btree_map("[a-d]", record, 0..4).prop_map(|records| {
        let customer = |(email, (date_ms, since_ms, phone)): (String, (i64, Option<i64>, Option<String>))| {
            let customer = Customer {
                birthday: None,
                customername: None,
                email: email.clone(),
                lastupdatedate: Some(date_ms),
                phone,
                registrationdate: None,
                serialnumber: None,
                sharewithfriendsasofdate: None,
                sharewithpublicasofdate: None,
                sharewithresearchasofdate: since_ms,
            };
            (email, customer)
        };
        records.into_iter().map(customer).collect()
    })
}

/// Returns the record of each customer that counts.
fn latest(files: &Files) -> BTreeMap<&str, &Customer> {
    let mut latest: BTreeMap<&str, &Customer> = BTreeMap::new();
    for customer in files.values().flat_map(BTreeMap::values) {
        let counts = latest.entry(&customer.email).or_insert(customer);
        if customer.cmp_latest(counts).is_gt() {
            *counts = customer;
        }
    }
    latest
}

/// Returns the row counts of one of the files.
fn row_counts(files: &Files, file: usize) -> RowCounts {
    let latest = latest(files);
    let mut row_counts = RowCounts::default();
    for (email, customer) in &files[&file] {
        let counts = latest[email.as_str()];
        let before = || files.range(..file).any(|(_, customers)| customers.get(email) == Some(customer));
        let reason = match customer.since_ms() {
            None => excluded::NO_CONSENT,
            Some(_) if before() => excluded::DUPLICATE,
            Some(_) if counts.since_ms().is_none() => excluded::CONSENT_WITHDRAWN,
            Some(_) if counts == customer => {
                row_counts.kept += 1;
                continue;
            }
            Some(_) => excluded::SUPERSEDED,
        };
        *row_counts.excluded.entry(reason.into()).or_default() += 1;
    }
    row_counts
}

proptest! {
    /// Files arrive and are replaced in any batches. The rows and the row counts are those of the current files, and the
    /// version of a file's row counts changes exactly when they change.
    #[test]
    fn row_counts_are_those_of_the_current_files(
        batches in vec(vec((0..FILES, customers()), 1..4), 1..8),
    ) {
        let mut files = Files::new();
        let mut shard = CustomerShard::default();
        let mut changed: BTreeMap<usize, (RowCounts, u64)> = BTreeMap::new();
        for batch in batches {
            let mut update = shard.clone().update();
            for (file, customers) in batch {
                update.ingest(&FileName::of(&location(file)), &location(file), customers.values());
                files.insert(file, customers);
            }
            for location in update.wanted() {
                let held = files.iter().find(|(file, _)| self::location(**file) == location);
                update.supply(held.unwrap().1.values());
            }
            prop_assert!(update.wanted().is_empty());
            shard = match update.settle().unwrap() {
                None => shard,
                Some(shard) => CustomerShard::decode(shard.encode().unwrap()).unwrap(),
            };
            let object = shard.encode().unwrap();
            let stored = FileRowCounts::decode(object.clone()).unwrap();
            for file in files.keys() {
                let (counts_before, version_before) = changed.get(file).cloned().unwrap_or_default();
                let row_counts = row_counts(&files, *file);
                let version = if row_counts == counts_before { version_before } else { stored.version() };
                let found = stored.of(&FileName::of(&location(*file)));
                let found = found.map(|(row_counts, version)| (row_counts.clone(), version)).unwrap_or_default();
                prop_assert_eq!(found, (row_counts.clone(), version));
                changed.insert(*file, (row_counts, version));
            }
            let trusted = TrustedShard::decode(object).unwrap();
            let consenting = latest(&files).into_values().filter(|customer| customer.since_ms().is_some()).cloned();
            prop_assert_eq!(trusted.customers().collect::<Vec<_>>(), consenting.collect::<Vec<_>>());
        }
    }
}
