//! Copies of objects.

use crate::{Target, refusal};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::MetadataDirective;

async fn source(target: &Target, key: &str) -> String {
    let put = target.s3.put_object().bucket(&target.bucket).key(key).body(ByteStream::from_static(b"hello"));
    let put = put.content_type("text/x").metadata("source", "phone").send().await.unwrap();
    put.e_tag.unwrap()
}

pub async fn a_copy_has_bytes_and_headers(target: &Target) {
    let etag = source(target, "a b+c%/ü").await;
    let copy = target.s3.copy_object().bucket(&target.bucket).key("copy");
    let copied = copy.copy_source(format!("{}/a%20b%2Bc%25/%C3%BC", target.bucket)).send().await.unwrap();
    assert_eq!(copied.copy_object_result().unwrap().e_tag(), Some(&*etag));
    let got = target.s3.get_object().bucket(&target.bucket).key("copy").send().await.unwrap();
    assert_eq!((got.content_type(), &*got.metadata().unwrap()["source"]), (Some("text/x"), "phone"));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
}

pub async fn a_copy_may_have_other_headers(target: &Target) {
    source(target, "key").await;
    let copy = target.s3.copy_object().bucket(&target.bucket).key("key").copy_source(format!("{}/key", target.bucket));
    let copy = copy.metadata_directive(MetadataDirective::Replace).content_type("text/y").metadata("other", "1");
    copy.send().await.unwrap();
    let head = target.s3.head_object().bucket(&target.bucket).key("key").send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/y"));
    assert_eq!(head.metadata().unwrap().len(), 1);
    assert_eq!(target.get("key").await, b"hello");
}

pub async fn a_copy_onto_itself_must_change_something(target: &Target) {
    source(target, "key").await;
    let copy = target.s3.copy_object().bucket(&target.bucket).key("key").copy_source(format!("{}/key", target.bucket));
    assert_eq!(refusal!(copy.send().await), (400, Some("InvalidRequest".into())));
}

pub async fn a_copy_of_a_missing_key_is_no_such_key(target: &Target) {
    let copy = target.s3.copy_object().bucket(&target.bucket).key("key").copy_source(format!("{}/no", target.bucket));
    assert_eq!(refusal!(copy.send().await), (404, Some("NoSuchKey".into())));
}
