//! Tests of the generated files: they are reproducible, have the reference data's size, and hold the same rows clean and dirty.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod reading;

use std::collections::{BTreeMap, BTreeSet};

use reading::{Row, legal_rows};
use sample_data::{File, Options, generate};

fn files(options: &Options) -> Vec<File> {
    generate(options).collect()
}

fn clean() -> Options {
    Options::default()
}

fn dirty() -> Options {
    Options { dirty: true, ..clean() }
}

fn of<'a>(files: &'a [File], source: &str) -> Vec<&'a File> {
    files.iter().filter(|file| file.path.starts_with(&format!("{source}/landing/"))).collect()
}

/// Returns the legal rows of all files of a source, and how often each occurs.
fn rows(files: &[File], source: &str) -> BTreeMap<Row, usize> {
    let mut counts = BTreeMap::new();
    for row in of(files, source).into_iter().flat_map(|file| legal_rows(source, &file.bytes)) {
        *counts.entry(row).or_default() += 1;
    }
    counts
}

fn field<'a>(row: &'a Row, name: &str) -> &'a str {
    row.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
}

#[test]
fn same_seed_gives_the_same_bytes() {
    for options in [clean(), dirty()] {
        assert_eq!(files(&options), files(&options));
    }
}

#[test]
fn another_seed_gives_other_bytes() {
    for options in [clean(), dirty()] {
        let other = Options { seed: 2, ..options.clone() };
        for (one, two) in files(&options).iter().zip(files(&other)).filter(|(one, _)| one.bytes.len() > 100) {
            assert_ne!(one.bytes, two.bytes, "{}", one.path);
        }
    }
}

#[test]
fn no_two_files_have_one_path() {
    for customers in [0, 1, 5, 956, 2000] {
        for dirty in [false, true] {
            let files = files(&Options { customers, seed: 7, dirty });
            let paths: BTreeSet<_> = files.iter().map(|file| &file.path).collect();
            assert_eq!(paths.len(), files.len(), "{customers} customers, dirty: {dirty}");
        }
    }
}

#[test]
fn files_with_other_content_have_other_paths() {
    let mut known: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (customers, seed) in [(956, 1), (10, 1), (10, 7), (957, 1), (966, 1)] {
        for dirty in [false, true] {
            for file in files(&Options { customers, seed, dirty }) {
                let bytes = known.entry(file.path.clone()).or_insert_with(|| file.bytes.clone());
                assert!(*bytes == file.bytes, "{}: {customers} customers, seed {seed}", file.path);
            }
        }
    }
}

#[test]
fn a_path_carries_the_options() {
    let path = |seed, dirty| files(&Options { customers: 4, seed, dirty })[0].path.clone();
    assert_eq!(path(7, false), "customer/landing/customer-1709971680000-seed7-customers4.json");
    assert_eq!(path(7, true), "customer/landing/customer-1709971680000-seed7-customers4-dirty.json");
}

#[test]
fn default_size_is_that_of_the_reference_data() {
    let files = files(&clean());
    for (source, file_count, rows_expected) in
        [("customer", 1, 956..=956), ("accelerometer", 9, 80_000..=82_500), ("step_trainer", 3, 28_680..=28_680)]
    {
        assert_eq!(of(&files, source).len(), file_count, "{source} files");
        let rows: usize = rows(&files, source).values().sum();
        assert!(rows_expected.contains(&rows), "{rows} {source} rows");
    }
}

#[test]
fn spellings_are_those_of_the_reference_data() {
    let files = files(&clean());
    let first_line = |source: &str| {
        let text = String::from_utf8(of(&files, source)[0].bytes.clone()).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    let customer = first_line("customer");
    assert!(customer.starts_with(r#"{"customerName": ""#), "{customer}");
    for name in ["email", "birthDay", "serialNumber", "registrationDate", "lastUpdateDate", "shareWithResearchAsOfDate"]
    {
        assert!(customer.contains(&format!(r#", "{name}": "#)), "{name} in {customer}");
    }
    let (motion, step) = (first_line("accelerometer"), first_line("step_trainer"));
    assert!(motion.starts_with(r#"{"user":""#) && motion.contains(r#","timestamp":17099"#), "{motion}");
    assert!(step.starts_with(r#"{"sensorReadingTime":17099"#) && step.contains(r#","distanceFromObject":2"#), "{step}");
}

#[test]
fn half_of_the_customers_consent() {
    let customers = rows(&files(&clean()), "customer");
    let consenting = customers.keys().filter(|row| !field(row, "sharewithresearchasofdate").is_empty()).count();
    assert_eq!(consenting * 2, customers.len());
}

#[test]
fn birthdays_before_1677_occur() {
    let customers = rows(&files(&clean()), "customer");
    let years = customers.keys().map(|row| field(row, "birthday").split('-').next().unwrap().parse::<u32>().unwrap());
    assert!(years.min().unwrap() < 1677);
}

#[test]
fn readings_of_one_cohort_cross_one_hour() {
    let motions = rows(&files(&clean()), "accelerometer");
    let times: Vec<i64> = motions.keys().map(|row| field(row, "timestamp").parse().unwrap()).collect();
    let hours: BTreeSet<i64> = times.iter().map(|time| time / 3_600_000).collect();
    assert_eq!(hours.len(), 2);
    assert!(times.iter().max().unwrap() - times.iter().min().unwrap() <= 45 * 60 * 1000);
}

/// Of the pairs of consenting customers, about six in a hundred have the steps of one customer and the motion of another.
#[test]
fn some_customers_share_times() {
    let files = files(&clean());
    let customers = rows(&files, "customer");
    let consenting: Vec<&Row> =
        customers.keys().filter(|row| !field(row, "sharewithresearchasofdate").is_empty()).collect();
    let owners: BTreeMap<&str, &str> =
        consenting.iter().map(|row| (field(row, "serialnumber"), field(row, "email"))).collect();
    let emails: BTreeSet<&str> = owners.values().copied().collect();
    let (motions, steps) = (rows(&files, "accelerometer"), rows(&files, "step_trainer"));
    let mut users_at: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in motions.keys().filter(|row| emails.contains(field(row, "user"))) {
        users_at.entry(field(row, "timestamp")).or_default().push(field(row, "user"));
    }
    let (mut own, mut others) = (0, 0);
    for step in steps.keys() {
        let Some(owner) = owners.get(field(step, "serialnumber")) else {
            continue;
        };
        for user in users_at.get(field(step, "sensorreadingtime")).into_iter().flatten() {
            *(if user == owner { &mut own } else { &mut others }) += 1;
        }
    }
    let percent = others * 100 / (own + others);
    assert!((4..=8).contains(&percent), "{others} of {} pairs", own + others);
}

#[test]
fn dirty_files_hold_exactly_the_clean_rows() {
    let (clean, dirty) = (files(&clean()), files(&dirty()));
    for source in ["customer", "accelerometer", "step_trainer"] {
        let (expected, found) = (rows(&clean, source), rows(&dirty, source));
        let lost: Vec<_> = expected.iter().filter(|(row, count)| found.get(*row) != Some(count)).take(3).collect();
        let new: Vec<_> = found.iter().filter(|(row, count)| expected.get(*row) != Some(count)).take(3).collect();
        assert!(lost.is_empty() && new.is_empty(), "{source}: lost {lost:#?}, new {new:#?}");
    }
}

#[test]
fn dirty_files_have_every_kind_of_fault() {
    let files = files(&dirty());
    let holds = |source: &str, needle: &[u8]| {
        of(&files, source).iter().any(|file| file.bytes.windows(needle.len()).any(|window| window == needle))
    };
    for source in ["customer", "accelerometer", "step_trainer"] {
        for needle in [
            &b"}\r\n{"[..],
            b"\xef\xbb\xbf{",
            b"}\n\n{",
            b"}{",
            b"},{",
            b"[\n{\n  ",
            b"\x1f\x8b",
            b"\x28\xb5\x2f\xfd",
            b"NaN",
            b"Infinity",
            b"\\u0065",
            b"\xff\xfe{\0",
            b"\xfe\xff\0{",
            b"\"battery\"",
            b"[[[[[[",
            b"xxxxxxxx",
            b":\"\xfc",
        ] {
            assert!(holds(source, needle), "{source}: {}", needle.escape_ascii());
        }
        assert!(of(&files, source).iter().any(|file| file.bytes.is_empty()), "{source}: 0 bytes");
        assert!(of(&files, source).iter().any(|file| file.bytes.last() == Some(&b'}')), "{source}: no final newline");
    }
}
