#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use super::attributes::Headers;
use super::list::{self, Entry, Query};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::thread;
use tempfile::TempDir;

fn open() -> (TempDir, Objects) {
    let directory = tempfile::tempdir().unwrap();
    let objects = reopen(&directory);
    objects.create_bucket("bucket").unwrap();
    (directory, objects)
}

fn reopen(directory: &TempDir) -> Objects {
    let state = directory.path().join(".emulator");
    fs::create_dir_all(&state).unwrap();
    let lock = File::create(state.join("lock")).unwrap();
    Objects::open(directory.path().into(), state.join("tmp"), state.join("uploads"), lock).unwrap()
}

fn put(objects: &Objects, key: &str, body: &str) {
    let body = objects.complete(body.as_bytes(), Headers::default()).unwrap();
    objects.put("bucket", key, body, &Condition::None).unwrap();
}

fn get(objects: &Objects, key: &str) -> Option<String> {
    let bucket = objects.bucket("bucket").unwrap();
    let (mut file, description) = objects.read(&bucket, key).unwrap()?;
    let mut text = String::new();
    io::Read::read_to_string(&mut file, &mut text).unwrap();
    assert_eq!(description.size, text.len() as u64);
    Some(text)
}

fn keys(objects: &Objects, query: &Query<'_>) -> Vec<String> {
    let (entries, _) = list::list(&objects.bucket("bucket").unwrap(), query).unwrap();
    let name = |entry| match entry {
        Entry::Object(name, _) | Entry::CommonPrefix(name) => name,
    };
    entries.into_iter().map(name).collect()
}

fn all(objects: &Objects) -> Vec<String> {
    keys(objects, &Query { entries_max: 1000, ..Query::default() })
}

#[test]
fn an_object_is_a_plain_file_at_its_key() {
    let (directory, objects) = open();
    put(&objects, "photos/raw/2022 06.json", "{}");
    assert_eq!(fs::read(directory.path().join("bucket/photos/raw/2022 06.json")).unwrap(), b"{}");
}

#[test]
fn a_copied_file_is_an_object_with_an_etag() {
    let (directory, objects) = open();
    fs::create_dir(directory.path().join("bucket/a")).unwrap();
    fs::write(directory.path().join("bucket/a/b"), "hello").unwrap();
    let bucket = objects.bucket("bucket").unwrap();
    for _ in 0..2 {
        let (_, description) = objects.read(&bucket, "a/b").unwrap().unwrap();
        assert_eq!(description.etag, "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(get(&objects, "a/b").unwrap(), "hello");
    }
    assert_eq!(all(&objects), ["a/b"]);
}

#[test]
fn an_edited_file_has_a_new_etag() {
    let (directory, objects) = open();
    put(&objects, "a", "before");
    fs::write(directory.path().join("bucket/a"), "hello").unwrap();
    let (_, description) = objects.read(&objects.bucket("bucket").unwrap(), "a").unwrap().unwrap();
    assert_eq!(description.etag, "5d41402abc4b2a76b9719d911017c592");
}

#[test]
fn open_removes_the_file_of_a_killed_put() {
    let (directory, objects) = open();
    put(&objects, "a", "old");
    // A put that is killed before its rename leaves this file.
    let leftover = directory.path().join(".emulator/tmp/7");
    fs::write(&leftover, "half of the n").unwrap();
    drop(objects);
    let objects = reopen(&directory);
    assert!(!leftover.exists());
    assert_eq!(get(&objects, "a").unwrap(), "old");
    assert_eq!(all(&objects), ["a"]);
}

#[test]
fn a_dropped_body_leaves_no_file() {
    let (directory, objects) = open();
    let mut body = objects.temporary(None).unwrap();
    body.write(b"half").unwrap();
    drop(body);
    drop(objects.complete(b"whole", Headers::default()).unwrap());
    assert_eq!(fs::read_dir(directory.path().join(".emulator/tmp")).unwrap().count(), 0);
}

#[test]
fn an_object_and_objects_below_it_coexist_in_any_order() {
    for order in [["a", "a/b", "a/b/c"], ["a/b/c", "a/b", "a"], ["a/b", "a", "a/b/c"]] {
        let (_directory, objects) = open();
        for key in order {
            put(&objects, key, key);
        }
        assert_eq!(all(&objects), ["a", "a/b", "a/b/c"]);
        for key in order {
            assert_eq!(get(&objects, key).unwrap(), key);
            put(&objects, key, "new");
            assert_eq!(get(&objects, key).unwrap(), "new", "{key} of {order:?}");
        }
        objects.delete("bucket", "a/b", &Condition::None).unwrap();
        assert_eq!(all(&objects), ["a", "a/b/c"]);
        objects.delete("bucket", "a/b/c", &Condition::None).unwrap();
        put(&objects, "a", "newer");
        assert_eq!(get(&objects, "a").unwrap(), "newer");
        objects.delete("bucket", "a", &Condition::None).unwrap();
        assert_eq!(all(&objects), [""; 0]);
    }
}

#[test]
fn deleting_the_last_object_removes_its_directories_but_not_the_bucket() {
    let (directory, objects) = open();
    put(&objects, "a/b/c", "");
    objects.delete("bucket", "a/b/c", &Condition::None).unwrap();
    assert_eq!(fs::read_dir(directory.path().join("bucket")).unwrap().count(), 0);
}

#[test]
fn puts_and_deletes_of_nested_keys_never_fail_or_lose_a_version() {
    let (_directory, objects) = open();
    let churn = |key: &'static str| {
        let objects = &objects;
        move || {
            for round in 0..300 {
                put(objects, key, &round.to_string());
                assert_eq!(get(objects, key).unwrap(), round.to_string(), "{key}");
                if round % 3 == 0 {
                    objects.delete("bucket", key, &Condition::None).unwrap();
                    assert_eq!(get(objects, key), None, "{key}");
                }
            }
        }
    };
    thread::scope(|scope| {
        for key in ["a", "a/b", "a/b/c", "a/b/d"] {
            scope.spawn(churn(key));
        }
    });
    assert_eq!(all(&objects), ["a", "a/b", "a/b/c", "a/b/d"]);
}

/// The expected listing: all keys, filtered and grouped.
fn model(keys: &BTreeMap<String, ()>, query: &Query<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let over = |key: &str| query.rolled_up.is_some_and(|prefix| key.starts_with(prefix));
    for key in keys.keys().filter(|key| key.starts_with(query.prefix) && key.as_str() > query.after && !over(key)) {
        let end =
            query.delimiter.and_then(|delimiter| Some(key[query.prefix.len()..].find(delimiter)? + delimiter.len()));
        let name = end.map_or(key.as_str(), |end| &key[..query.prefix.len() + end]);
        if names.last().is_none_or(|last| last != name) {
            names.push(name.into());
        }
    }
    names.truncate(query.entries_max);
    names
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c/%.+-]{1,8}",
        // A component that is split on disk, among others that are not.
        "[ab]/x{250,254}[a-c]{0,4}(/y)?",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn listings_equal_those_of_a_sorted_map(
        stored in prop::collection::vec(key(), 0..25),
        prefix in "[a-c/]{0,3}",
        after in prop_oneof![Just(String::new()), key()],
        delimiter in prop_oneof![Just(None), Just(Some("/")), Just(Some("-")), Just(Some("b"))],
        entries_max in 1_usize..20,
    ) {
        let (_directory, objects) = open();
        let mut keys_stored = BTreeMap::new();
        for key in stored {
            put(&objects, &key, &key);
            keys_stored.insert(key, ());
        }
        let query = Query { prefix: &prefix, delimiter, after: &after, rolled_up: None, entries_max };
        prop_assert_eq!(keys(&objects, &query), model(&keys_stored, &query));
        if let Some(rolled_up) = keys(&objects, &query).last().filter(|name| delimiter.is_some_and(|d| name.ends_with(d))) {
            let query = Query { after: rolled_up, rolled_up: Some(rolled_up), ..query };
            prop_assert_eq!(keys(&objects, &query), model(&keys_stored, &query));
        }
        for key in keys_stored.keys() {
            let text = get(&objects, key);
            prop_assert_eq!(text.as_ref(), Some(key));
        }
    }
}
