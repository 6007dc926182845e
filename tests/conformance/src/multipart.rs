//! Uploads in parts.

use crate::{Target, refusal};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

/// The minimum size of a part that is not the last.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// A body without repetition.
pub fn body(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| seed.wrapping_add(at as u8) ^ (at >> 8) as u8 ^ (at >> 16) as u8).collect()
}

pub async fn begin(target: &Target, key: &str) -> String {
    let begun = target.s3.create_multipart_upload().bucket(&target.bucket).key(key);
    let begun = begun.content_type("text/x").metadata("source", "phone").send().await.unwrap();
    begun.upload_id().unwrap().to_owned()
}

/// Uploads one part. Returns its entry for the completion.
pub async fn upload(target: &Target, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = target.s3.upload_part().bucket(&target.bucket).key(key).upload_id(id).part_number(number);
    let part = part.body(ByteStream::from(body)).send().await.unwrap();
    CompletedPart::builder().part_number(number).e_tag(part.e_tag().unwrap()).build()
}

pub fn of(parts: &[CompletedPart]) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build()
}

/// The request that completes an upload.
macro_rules! complete {
    ($target:expr, $key:expr, $id:expr, $parts:expr) => {{
        let complete = $target.s3.complete_multipart_upload().bucket(&$target.bucket).key($key).upload_id($id);
        complete.multipart_upload($crate::multipart::of($parts))
    }};
}

pub(crate) use complete;

pub async fn parts_become_one_object(target: &Target) {
    let id = begin(target, "big").await;
    let (first, second, last) = (body(1, PART_BYTES), body(2, PART_BYTES + 7), body(3, 1000));
    // In any order, and not numbered from one.
    let third = upload(target, "big", &id, 30, last.clone()).await;
    let one = upload(target, "big", &id, 2, first.clone()).await;
    let two = upload(target, "big", &id, 7, second.clone()).await;
    assert_eq!(target.list("").await, [""; 0]);
    let done = complete!(target, "big", &id, &[one, two, third]).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-3\""), "{:?}", done.e_tag());

    let whole = [first, second, last].concat();
    let got = target.s3.get_object().bucket(&target.bucket).key("big").send().await.unwrap();
    assert_eq!(got.e_tag(), done.e_tag());
    assert_eq!(got.content_type(), Some("text/x"));
    assert_eq!(got.metadata().unwrap()["source"], "phone");
    assert!(got.body.collect().await.unwrap().to_vec() == whole, "the body was changed");
    let range = target.s3.get_object().bucket(&target.bucket).key("big").range("bytes=5242870-5242889");
    let range = range.send().await.unwrap().body.collect().await.unwrap();
    assert_eq!(range.to_vec(), whole[5_242_870..5_242_890]);
    assert_eq!(target.list("").await, ["big"]);
}

pub async fn a_repeated_part_replaces_the_first(target: &Target) {
    let id = begin(target, "key").await;
    upload(target, "key", &id, 1, b"first".to_vec()).await;
    let second = upload(target, "key", &id, 1, b"second".to_vec()).await;
    complete!(target, "key", &id, &[second]).send().await.unwrap();
    assert_eq!(target.get("key").await, b"second");
}

pub async fn a_missing_part_is_refused(target: &Target) {
    let id = begin(target, "key").await;
    upload(target, "key", &id, 1, b"part".to_vec()).await;
    let other = CompletedPart::builder().part_number(1).e_tag("\"5d41402abc4b2a76b9719d911017c592\"").build();
    let completed = complete!(target, "key", &id, &[other]).send().await;
    assert_eq!(refusal!(completed), (400, Some("InvalidPart".into())));
}

pub async fn a_small_part_before_the_last_is_refused(target: &Target) {
    let id = begin(target, "key").await;
    let small = upload(target, "key", &id, 1, b"small".to_vec()).await;
    let last = upload(target, "key", &id, 2, b"last".to_vec()).await;
    let completed = complete!(target, "key", &id, &[small, last.clone()]).send().await;
    assert_eq!(refusal!(completed), (400, Some("EntityTooSmall".into())));
    // The upload is still there.
    complete!(target, "key", &id, &[last]).send().await.unwrap();
    assert_eq!(target.get("key").await, b"last");
}
