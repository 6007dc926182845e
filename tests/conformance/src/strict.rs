//! Limits, checks and refusals of AWS and this emulator, which other emulators need not have.

use crate::glue::{create_table, partition};
use crate::lists::put_all;
use crate::{Target, keys, refusal};
use aws_sdk_glue::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::{ByteStream, DateTime};

pub async fn hostile_keys_are_stored_read_and_listed(target: &Target) {
    let hostile = [
        "..",
        ".",
        "../up",
        "a/../b",
        "a/./b",
        "/",
        "//",
        "/leading",
        "trailing/",
        "a//b",
        "a//",
        "%",
        "%2E%2E",
        "%25",
        "100%.json",
        "a%-",
        "a%+",
        "a%+/b",
        "a%",
        ".stedi/events",
        "a/%/b",
    ]
    .map(String::from);
    keys::round_trip(target, &hostile).await;
}

pub async fn an_empty_object_has_no_ranges(target: &Target) {
    target.put("empty", "").await;
    let get = target.s3.get_object().bucket(&target.bucket).key("empty").range("bytes=-1");
    assert_eq!(refusal!(get.send().await), (416, Some("InvalidRange".into())));
}

pub async fn a_wrong_checksum_is_refused(target: &Target) {
    let put = || target.s3.put_object().bucket(&target.bucket).key("key").body(ByteStream::from_static(b"hello"));
    let wrong_md5 = put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await;
    assert_eq!(refusal!(wrong_md5), (400, Some("BadDigest".into())));
    let wrong_crc = put().checksum_crc32("AAAAAA==").send().await;
    assert_eq!(refusal!(wrong_crc), (400, Some("BadDigest".into())));
    assert_eq!(target.list("").await, [""; 0]);
}

pub async fn a_copy_is_conditional_on_its_source(target: &Target) {
    let etag = target.put("key", "hello").await.e_tag.unwrap();
    let source = format!("{}/key", target.bucket);
    let copy = || target.s3.copy_object().bucket(&target.bucket).key("copy").copy_source(&source);
    copy().copy_source_if_match(&etag).send().await.unwrap();
    let known = copy().copy_source_if_none_match(&etag).send().await;
    assert_eq!(refusal!(known), (412, Some("PreconditionFailed".into())));
    let other = copy().copy_source_if_match("\"5d41402abc4b2a76b9719d911017c593\"").send().await;
    assert_eq!(refusal!(other), (412, Some("PreconditionFailed".into())));
}

pub async fn an_unknown_s3_operation_is_refused(target: &Target) {
    let get = target.s3.get_bucket_policy().bucket(&target.bucket).send().await;
    assert_eq!(refusal!(get), (501, Some("NotImplemented".into())));
    let acl = target.s3.get_bucket_acl().bucket(&target.bucket).send().await;
    assert_eq!(refusal!(acl), (501, Some("NotImplemented".into())));
}

pub async fn an_unknown_s3_parameter_is_refused(target: &Target) {
    let put = target.s3.put_object().bucket(&target.bucket).key("key").website_redirect_location("/b").send().await;
    assert_eq!(refusal!(put), (501, Some("NotImplemented".into())));
    target.put("key", "").await;
    let get = target.s3.get_object().bucket(&target.bucket).key("key").version_id("1").send().await;
    assert_eq!(refusal!(get), (501, Some("NotImplemented".into())));
}

pub async fn an_unknown_glue_operation_is_refused_by_name(target: &Target) {
    let error = target.glue.get_crawlers().send().await.expect_err("there are no crawlers");
    assert_eq!(error.code(), Some("UnknownOperationException"));
    assert!(error.message().unwrap().contains("AWSGlue.GetCrawlers"), "{error:?}");
}

pub async fn an_unknown_glue_parameter_is_refused_by_name(target: &Target) {
    create_table(target, "readings").await;
    let list = target.glue.get_partitions().database_name(&target.database).table_name("readings");
    let error = list.transaction_id("1").send().await.expect_err("there are no transactions");
    assert_eq!(error.code(), Some("InvalidInputException"));
    assert!(error.message().unwrap().contains("TransactionId"), "{error:?}");
}

pub async fn a_batch_of_more_than_100_partitions_is_refused(target: &Target) {
    create_table(target, "readings").await;
    let all = (0..101).map(|number| partition("d", &number.to_string())).collect();
    let create = target.glue.batch_create_partition().database_name(&target.database).table_name("readings");
    let create = create.set_partition_input_list(Some(all)).send().await;
    assert_eq!(refusal!(create), (400, Some("InvalidInputException".into())));
}

pub async fn a_partition_with_too_few_values_is_refused(target: &Target) {
    create_table(target, "readings").await;
    let partition = aws_sdk_glue::types::PartitionInput::builder().values("2022-06-18").build();
    let create = target.glue.create_partition().database_name(&target.database).table_name("readings");
    let create = create.partition_input(partition).send().await;
    assert_eq!(refusal!(create), (400, Some("InvalidInputException".into())));
}

pub async fn partitions_are_paged(target: &Target) {
    create_table(target, "readings").await;
    for number in 0..5 {
        let create = target.glue.create_partition().database_name(&target.database).table_name("readings");
        create.partition_input(partition("d", &number.to_string())).send().await.unwrap();
    }
    let list = target.glue.get_partitions().database_name(&target.database).table_name("readings").max_results(2);
    let mut pages = list.into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().partitions().len());
    }
    assert_eq!(sizes, [2, 2, 1]);
}

pub async fn reads_are_conditional_on_a_time(target: &Target) {
    let etag = target.put("key", "body").await.e_tag.unwrap();
    let head = target.s3.head_object().bucket(&target.bucket).key("key").send().await.unwrap();
    let modified = *head.last_modified().unwrap();
    let before = DateTime::from_secs(modified.secs() - 60);
    let get = || target.s3.get_object().bucket(&target.bucket).key("key");
    assert_eq!(refusal!(get().if_modified_since(modified).send().await).0, 304);
    get().if_modified_since(before).send().await.unwrap();
    assert_eq!(refusal!(get().if_unmodified_since(before).send().await).0, 412);
    get().if_unmodified_since(modified).send().await.unwrap();
    // The ETag outweighs the time.
    get().if_match(&etag).if_unmodified_since(before).send().await.unwrap();
    assert_eq!(refusal!(get().if_none_match(&etag).if_modified_since(before).send().await).0, 304);
}

/// Version 1 of the listing takes a marker instead of a token.
pub async fn the_first_version_lists_by_marker(target: &Target) {
    let stored = ["a", "b/1", "b/2", "c", "d e"].map(String::from);
    put_all(target, &stored).await;
    let (mut listed, mut marker) = (Vec::new(), None);
    loop {
        let list = target.s3.list_objects().bucket(&target.bucket).delimiter("/").max_keys(1).set_marker(marker);
        let page = list.send().await.unwrap();
        listed.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        listed.extend(page.common_prefixes().iter().map(|common| common.prefix().unwrap().to_owned()));
        marker = page.next_marker().map(str::to_owned);
        if page.is_truncated() != Some(true) {
            break;
        }
        assert!(marker.is_some());
    }
    assert_eq!(listed, ["a", "b/", "c", "d e"]);
    let after = target.s3.list_objects().bucket(&target.bucket).marker("b/1").send().await.unwrap();
    let after: Vec<_> = after.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(after, ["b/2", "c", "d e"]);
}
