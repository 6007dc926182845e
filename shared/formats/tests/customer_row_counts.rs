//! Compares the row counts and rows of a `customer_trusted` shard with those computed from all files by definition.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use formats::customer_file::{FileCustomer, Withdrawal};
use formats::customer_shard::records::{FileVersion, RowCounts};
use formats::customer_shard::trusted::CustomerShard;
use model::consent::ConsentHistory;
use model::customer::{Customer, excluded};
use model::hash::HashKey;
use model::layout::{FileId, ObjectLocation};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const FILES: usize = 5;

/// A customer in a file: a grant and a withdrawal, each if there is one. The withdrawal may be malformed.
#[derive(Clone, Debug)]
struct Records {
    grant: Option<Customer>,
    withdrawal: Option<(i64, bool)>,
}

/// The date of a grant, the date of its consent, and a phone number.
type Grant = (i64, i64, Option<String>);

/// The current files by number, each with its customers by email.
type Files = BTreeMap<usize, BTreeMap<String, Records>>;

fn id(file: usize) -> FileId {
    FileId::of(&HashKey::public(), &ObjectLocation { bucket: "b".into(), key: format!("customer/landing/{file}.json") })
}

/// Generates few customers with few different records, so that records often collide: in several files, with one date, with and
/// without consent.
fn customers() -> impl Strategy<Value = BTreeMap<String, Records>> {
    let grant = prop::option::of((1..4_i64, 1..3_i64, prop::option::of("[pq]")));
    let withdrawal = prop::option::weighted(0.3, (0..4_i64, any::<bool>()));
    btree_map("[a-d]", (grant, withdrawal), 0..4).prop_map(|records| {
        let customer = |(email, (grant, withdrawal)): (String, (Option<Grant>, _))| {
            let grant = grant.map(|(date_ms, since_ms, phone): Grant| Customer {
                birthday: None,
                customername: None,
                email: email.clone(),
                lastupdatedate: Some(date_ms),
                phone,
                registrationdate: None,
                serialnumber: None,
                sharewithfriendsasofdate: None,
                sharewithpublicasofdate: None,
                sharewithresearchasofdate: Some(since_ms),
            });
            (email, Records { grant, withdrawal })
        };
        records.into_iter().map(customer).collect()
    })
}

fn says(customers: &BTreeMap<String, Records>) -> Vec<FileCustomer> {
    let says = |(email, Records { grant, withdrawal }): (&String, &Records)| FileCustomer {
        key: HashKey::public().of_email(email),
        grant: grant.clone(),
        withdrawal: withdrawal.map(|(date_ms, is_valid)| Withdrawal { date_ms, is_valid, device: None }),
        history: ConsentHistory { withdrawn_at_ms: withdrawal.map(|(date_ms, _)| date_ms), ..Default::default() },
    };
    customers.iter().map(says).collect()
}

/// Returns the grant of each customer that counts, given the dates of all withdrawals.
fn counting<'a>(files: &'a Files, withdrawn: &BTreeMap<String, i64>) -> BTreeMap<&'a str, &'a Customer> {
    let mut counting: BTreeMap<&str, &Customer> = BTreeMap::new();
    let grants = files.values().flat_map(BTreeMap::values).filter_map(|records| records.grant.as_ref());
    for grant in grants.filter(|grant| withdrawn.get(&grant.email).is_none_or(|date_ms| grant.date_ms() > *date_ms)) {
        let counts = counting.entry(&grant.email).or_insert(grant);
        if grant.cmp_grants(counts).is_gt() {
            *counts = grant;
        }
    }
    counting
}

/// Returns the row counts of one of the files. `order` has the files in the order in which they first came.
fn row_counts(files: &Files, order: &[usize], file: usize, withdrawn: &BTreeMap<String, i64>) -> RowCounts {
    let counting = counting(files, withdrawn);
    let mut row_counts = RowCounts::default();
    let mut exclude = |reason| *row_counts.excluded.entry(reason).or_default() += 1;
    for (email, Records { grant, withdrawal }) in &files[&file] {
        if let Some((_, true)) = withdrawal {
            exclude(excluded::NO_CONSENT);
        }
        let Some(grant) = grant else { continue };
        let holds = |customers: &BTreeMap<String, Records>| {
            customers.get(email).is_some_and(|records| records.grant.as_ref() == Some(grant))
        };
        if counting.get(email.as_str()) == Some(&grant) {
            match order.iter().find(|other| holds(&files[other])) {
                Some(first) if *first == file => row_counts.kept += 1,
                _ => exclude(excluded::DUPLICATE),
            }
        } else if withdrawn.get(email).is_some_and(|date_ms| grant.date_ms() <= *date_ms) {
            exclude(excluded::CONSENT_WITHDRAWN);
        } else {
            exclude(excluded::SUPERSEDED);
        }
    }
    row_counts
}

proptest! {
    /// Files arrive and are replaced in any batches. The rows, and what became of the records of each file of a batch, are those
    /// of the current files, given every withdrawal, also of versions that were replaced.
    #[test]
    fn rows_and_row_counts_are_those_of_the_current_files(
        batches in vec(vec((0..FILES, customers()), 1..4), 1..8),
    ) {
        let (mut files, mut order, mut generation) = (Files::new(), Vec::new(), 0);
        let mut withdrawn: BTreeMap<String, i64> = BTreeMap::new();
        let mut shard = CustomerShard::empty(HashKey::public());
        for batch in batches {
            let (mut update, mut touched) = (shard.update(), BTreeSet::new());
            for (file, customers) in batch {
                generation += 1;
                update.ingest(FileVersion { file: id(file), generation, stored_ms: 1 }, says(&customers).iter());
                for (email, records) in &customers {
                    if let Some((date_ms, _)) = records.withdrawal {
                        let latest_ms = withdrawn.entry(email.clone()).or_insert(date_ms);
                        *latest_ms = date_ms.max(*latest_ms);
                    }
                }
                // The first generation of a file without customers leaves nothing.
                if !order.contains(&file) && (generation > 1 || !customers.is_empty()) {
                    order.push(file);
                }
                files.insert(file, customers);
                touched.insert(file);
            }
            for wanted in update.wanted() {
                let held = files.iter().find(|(file, _)| id(**file) == wanted);
                update.supply(held.unwrap().1.values().filter_map(|records| records.grant.as_ref()));
            }
            prop_assert!(update.wanted().is_empty());
            shard = CustomerShard::decode(update.settle().unwrap().0.encode().unwrap(), HashKey::public()).unwrap();
            for file in touched {
                let customers = says(&files[&file]).into_iter().map(|customer| customer.key);
                let expected = row_counts(&files, &order, file, &withdrawn);
                prop_assert_eq!(shard.row_counts(id(file), customers), expected);
            }
            let rows: Vec<Customer> = shard.customers().collect();
            prop_assert_eq!(rows, counting(&files, &withdrawn).into_values().cloned().collect::<Vec<_>>());
        }
    }
}
