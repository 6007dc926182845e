//! Keys are any UTF-8 up to 1,024 bytes, in byte order.

use crate::Target;

/// Stores each key with its own text as body, and reads and lists all of them.
pub(crate) async fn round_trip(target: &Target, keys: &[String]) {
    for key in keys {
        target.put(key, key.as_str()).await;
    }
    for key in keys {
        assert_eq!(target.get(key).await, key.as_bytes(), "{key:?}");
    }
    let mut sorted = keys.to_vec();
    sorted.sort();
    assert_eq!(target.list("").await, sorted);
    for key in keys {
        assert_eq!(target.list(key).await.first(), Some(key), "as a prefix");
    }
}

pub async fn unusual_keys_are_stored_read_and_listed(target: &Target) {
    let mut keys = [
        "two words.json",
        "a+b",
        "a%2Bb",
        "a&b=c",
        "q?x#y",
        "ünï/日本語.json",
        "emoji 🚲",
        "quote\"'<>",
        "a\\b",
        "~tilde",
        "dt=2022-06-18/hour=14/2022-06-18 14:00.parquet",
        "semi;colon,comma",
        "(paren)[bracket]{brace}",
        ".hidden",
        "a..b",
    ]
    .map(String::from)
    .to_vec();
    keys.extend(
        [181, 254, 255, 256, 700, 1000, 1024]
            .map(|length| format!("{length}{}", "x".repeat(length - length.to_string().len()))),
    );
    keys.push(format!("deep/{}", "ab/".repeat(300)) + "end");
    round_trip(target, &keys).await;
}

pub async fn a_key_and_keys_below_it_are_objects(target: &Target) {
    round_trip(target, &["a", "a/b", "a/b/c", "a/b/d", "b/c", "b"].map(String::from)).await;
}

pub async fn keys_are_listed_in_byte_order(target: &Target) {
    // Upper case, digits and punctuation by their bytes; `a-b` before `a/b`, and a directory after its neighbours.
    let keys = ["A", "Z/z", "a", "a!", "a-b", "a/b", "a0", "aa", "a~", "b", "é", "日", "🚲"];
    for key in keys.iter().rev() {
        target.put(key, "").await;
    }
    assert_eq!(target.list("").await, keys);
}
