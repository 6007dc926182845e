//! Listings: pages, order, prefixes, and what an entry says.

use crate::Target;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use futures::{StreamExt, stream};

pub(crate) async fn put_all(target: &Target, keys: &[String]) {
    stream::iter(keys).for_each_concurrent(8, |key| async move { drop(target.put(key, key.as_str()).await) }).await;
}

fn keys(page: &ListObjectsV2Output) -> Vec<&str> {
    page.contents().iter().map(|object| object.key().unwrap()).collect()
}

fn common_prefixes(page: &ListObjectsV2Output) -> Vec<&str> {
    page.common_prefixes().iter().map(|common| common.prefix().unwrap()).collect()
}

pub async fn pages_follow_each_other(target: &Target) {
    let stored: Vec<_> = (0..25).map(|number| format!("dt={}/{number:03}", number / 7)).collect();
    put_all(target, &stored).await;
    let mut listed = Vec::new();
    let mut sizes = Vec::new();
    let mut token = None;
    loop {
        let list = target.s3.list_objects_v2().bucket(&target.bucket).max_keys(10).set_continuation_token(token);
        let page = list.send().await.unwrap();
        listed.extend(keys(&page).into_iter().map(str::to_owned));
        sizes.push(page.key_count().unwrap());
        assert_eq!(page.is_truncated(), Some(page.next_continuation_token().is_some()));
        token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(listed, stored);
    assert_eq!(sizes, [10, 10, 5]);
}

pub async fn an_entry_equals_a_head(target: &Target) {
    target.put("a b", "hello").await;
    let page = target.s3.list_objects_v2().bucket(&target.bucket).send().await.unwrap();
    let head = target.s3.head_object().bucket(&target.bucket).key("a b").send().await.unwrap();
    let [entry] = page.contents() else { panic!("one object is there: {page:?}") };
    assert_eq!(entry.e_tag(), head.e_tag());
    assert_eq!(entry.size(), head.content_length());
    assert_eq!(entry.last_modified().unwrap().secs(), head.last_modified().unwrap().secs());
}

pub async fn a_delimiter_rolls_up(target: &Target) {
    let stored = ["a/1", "a/b/2", "a/b/3", "a/c/4", "a-5", "a", "z/6"].map(String::from);
    put_all(target, &stored).await;
    let list = target.s3.list_objects_v2().bucket(&target.bucket).delimiter("/");
    let page = list.clone().send().await.unwrap();
    assert_eq!((keys(&page), common_prefixes(&page)), (vec!["a", "a-5"], vec!["a/", "z/"]));
    assert_eq!(page.key_count(), Some(4));
    let page = list.clone().prefix("a/").send().await.unwrap();
    assert_eq!((keys(&page), common_prefixes(&page)), (vec!["a/1"], vec!["a/b/", "a/c/"]));
    let page = list.prefix("a").send().await.unwrap();
    assert_eq!((keys(&page), common_prefixes(&page)), (vec!["a", "a-5"], vec!["a/"]));
}

pub async fn a_common_prefix_is_on_one_page(target: &Target) {
    let stored: Vec<_> = ["a", "b", "c"].iter().flat_map(|p| (0..4).map(move |n| format!("{p}/{n}"))).collect();
    put_all(target, &stored).await;
    let mut listed = Vec::new();
    let list = target.s3.list_objects_v2().bucket(&target.bucket).delimiter("/").max_keys(1);
    let mut pages = list.into_paginator().send();
    while let Some(page) = pages.next().await {
        listed.extend(common_prefixes(&page.unwrap()).into_iter().map(str::to_owned));
    }
    assert_eq!(listed, ["a/", "b/", "c/"]);
}

pub async fn start_after_is_exclusive(target: &Target) {
    put_all(target, &["a/1", "a/2", "b/1"].map(String::from)).await;
    let list = target.s3.list_objects_v2().bucket(&target.bucket);
    for (after, rest) in
        [("a/1", vec!["a/2", "b/1"]), ("a/15", vec!["a/2", "b/1"]), ("a/2", vec!["b/1"]), ("b/1", vec![])]
    {
        let page = list.clone().start_after(after).send().await.unwrap();
        assert_eq!(keys(&page), rest, "after {after}");
    }
}

pub async fn nothing_below_a_prefix_is_an_empty_list(target: &Target) {
    put_all(target, &["a/1".to_owned()]).await;
    for prefix in ["b", "a/1/", "a/2", "a/1x", "//"] {
        let page = target.s3.list_objects_v2().bucket(&target.bucket).prefix(prefix).send().await.unwrap();
        assert_eq!((page.key_count(), page.is_truncated()), (Some(0), Some(false)), "{prefix}");
    }
}

pub async fn an_object_has_one_version(target: &Target) {
    put_all(target, &["a".to_owned(), "b".to_owned()]).await;
    target.put("a", "again").await;
    let list = target.s3.list_object_versions().bucket(&target.bucket).send().await.unwrap();
    let versions: Vec<_> = list.versions().iter().map(|version| (version.key(), version.version_id())).collect();
    assert_eq!(versions, [(Some("a"), Some("null")), (Some("b"), Some("null"))]);
}
