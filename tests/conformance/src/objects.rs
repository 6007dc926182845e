//! Objects: bytes, headers, ranges, and what is missing.

use crate::{Target, refusal};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier, Tag, Tagging};

pub async fn a_put_is_read_back_with_its_headers(target: &Target) {
    let put = target.s3.put_object().bucket(&target.bucket).key("a/b.json").body(ByteStream::from_static(b"hello"));
    let put = put.content_type("application/json").metadata("source", "phone").send().await.unwrap();
    // The MD5 of the body, in quotes.
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));

    let got = target.s3.get_object().bucket(&target.bucket).key("a/b.json").send().await.unwrap();
    assert_eq!(got.e_tag(), put.e_tag());
    assert_eq!(got.content_length(), Some(5));
    assert_eq!(got.content_type(), Some("application/json"));
    assert_eq!(got.metadata().unwrap()["source"], "phone");
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");

    let head = target.s3.head_object().bucket(&target.bucket).key("a/b.json").send().await.unwrap();
    assert_eq!(head.e_tag(), put.e_tag());
    assert_eq!(head.content_length(), Some(5));
    assert_eq!(head.content_type(), Some("application/json"));
    assert_eq!(head.metadata().unwrap()["source"], "phone");
    assert!(head.last_modified().is_some());
}

pub async fn an_empty_object_is_an_object(target: &Target) {
    let put = target.put("empty", "").await;
    assert_eq!(put.e_tag(), Some("\"d41d8cd98f00b204e9800998ecf8427e\""));
    assert_eq!(target.get("empty").await, b"");
    assert_eq!(target.list("").await, ["empty"]);
}

pub async fn a_large_body_is_read_back(target: &Target) {
    let body = pattern(5_000_000);
    target.put("large", body.clone()).await;
    assert!(target.get("large").await == body, "the body was changed");
}

/// A body from a file goes out in pieces, framed and with a trailing checksum.
pub async fn a_streamed_body_is_read_back(target: &Target) {
    let body = pattern(3_000_000);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &body).unwrap();
    let stream = ByteStream::from_path(file.path()).await.unwrap();
    let put = target.s3.put_object().bucket(&target.bucket).key("streamed").body(stream).send().await.unwrap();
    let again = target.put("at once", body.clone()).await;
    assert_eq!(put.e_tag(), again.e_tag());
    assert!(target.get("streamed").await == body, "the body was changed");
}

pub async fn ranges_are_parts_of_the_body(target: &Target) {
    target.put("digits", "0123456789").await;
    for (range, part, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let got = target.s3.get_object().bucket(&target.bucket).key("digits").range(range).send().await.unwrap();
        assert_eq!(got.content_range(), Some(content_range), "{range}");
        assert_eq!(got.body.collect().await.unwrap().to_vec(), part.as_bytes(), "{range}");
    }
}

pub async fn a_range_beyond_the_end_is_416(target: &Target) {
    target.put("digits", "0123456789").await;
    let get = target.s3.get_object().bucket(&target.bucket).key("digits").range("bytes=10-");
    assert_eq!(refusal!(get.send().await), (416, Some("InvalidRange".into())));
}

pub async fn a_missing_key_is_no_such_key(target: &Target) {
    target.put("a/b", "").await;
    for key in ["none", "a", "a/", "a/b/c", "none/at/all"] {
        let get = target.s3.get_object().bucket(&target.bucket).key(key).send().await;
        let error = get.expect_err("nothing is there").into_service_error();
        assert!(matches!(error, GetObjectError::NoSuchKey(_)), "{key}: {error:?}");
    }
}

pub async fn a_head_of_a_missing_key_is_not_found(target: &Target) {
    let head = target.s3.head_object().bucket(&target.bucket).key("none").send().await;
    // The answer to HEAD has no body, so the status alone says it.
    assert!(head.expect_err("nothing is there").into_service_error().is_not_found());
}

pub async fn a_missing_bucket_is_no_such_bucket(target: &Target) {
    let missing = format!("{}-missing", target.bucket);
    let expected = (404, Some("NoSuchBucket".into()));
    assert_eq!(refusal!(target.s3.get_object().bucket(&missing).key("k").send().await), expected);
    assert_eq!(refusal!(target.s3.put_object().bucket(&missing).key("k").send().await), expected);
    assert_eq!(refusal!(target.s3.list_objects_v2().bucket(&missing).send().await), expected);
    let head = target.s3.head_bucket().bucket(&missing).send().await;
    assert!(head.expect_err("nothing is there").into_service_error().is_not_found());
    target.s3.head_bucket().bucket(&target.bucket).send().await.unwrap();
}

pub async fn a_deleted_object_is_missing(target: &Target) {
    target.put("a/b", "").await;
    for _ in 0..2 {
        // Deleting a missing object is not an error.
        target.s3.delete_object().bucket(&target.bucket).key("a/b").send().await.unwrap();
        assert_eq!(refusal!(target.s3.get_object().bucket(&target.bucket).key("a/b").send().await).0, 404);
        assert_eq!(target.list("").await, [""; 0]);
    }
}

pub async fn many_objects_are_deleted_at_once(target: &Target) {
    for key in ["a", "a/b", "c d"] {
        target.put(key, "").await;
    }
    let gone = ["a", "c d", "none"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(gone.into())).build().unwrap();
    let answer = target.s3.delete_objects().bucket(&target.bucket).delete(delete).send().await.unwrap();
    assert!(answer.errors().is_empty());
    assert_eq!(answer.deleted().len(), 3);
    assert_eq!(target.list("").await, ["a/b"]);
}

pub async fn buckets_are_listed(target: &Target) {
    let answer = target.s3.list_buckets().send().await.unwrap();
    assert!(answer.buckets().iter().any(|bucket| bucket.name() == Some(&target.bucket)));
}

/// Bytes without repetition.
fn pattern(length: u32) -> Vec<u8> {
    (0..length).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).take(length as usize).collect()
}

pub async fn an_empty_bucket_is_deleted(target: &Target) {
    target.put("key", "x").await;
    let delete = || target.s3.delete_bucket().bucket(&target.bucket);
    assert_eq!(refusal!(delete().send().await), (409, Some("BucketNotEmpty".into())));
    target.s3.delete_object().bucket(&target.bucket).key("key").send().await.unwrap();
    delete().send().await.unwrap();
    assert_eq!(refusal!(delete().send().await), (404, Some("NoSuchBucket".into())));
}

pub async fn tags_are_kept_with_an_object(target: &Target) {
    let put = target.s3.put_object().bucket(&target.bucket).key("key").tagging("a=1%202&b=");
    put.body(ByteStream::from_static(b"x")).send().await.unwrap();
    let get = || target.s3.get_object_tagging().bucket(&target.bucket).key("key");
    let tags = get().send().await.unwrap();
    let tags: Vec<_> = tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
    assert_eq!(tags, [("a", "1 2"), ("b", "")]);
    let tag = Tag::builder().key("c").value("3").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag.clone()).build().unwrap();
    target.s3.put_object_tagging().bucket(&target.bucket).key("key").tagging(tagging).send().await.unwrap();
    assert_eq!(get().send().await.unwrap().tag_set(), [tag]);
    target.s3.delete_object_tagging().bucket(&target.bucket).key("key").send().await.unwrap();
    assert!(get().send().await.unwrap().tag_set().is_empty());
    assert_eq!(target.get("key").await, b"x");
}
