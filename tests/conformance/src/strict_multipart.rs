//! Uploads in parts, beyond what other emulators need to know: conditions, repetition, checksums.

use crate::multipart::{begin, body, complete, of, upload};
use crate::{Target, refusal};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedPart};

const PART_BYTES: usize = 5 * 1024 * 1024;

pub async fn a_repeated_completion_has_the_same_answer(target: &Target) {
    let id = begin(target, "key").await;
    let part = [upload(target, "key", &id, 1, b"part".to_vec()).await];
    let first = complete!(target, "key", &id, &part).if_none_match("*").send().await.unwrap();
    let again = complete!(target, "key", &id, &part).if_none_match("*").send().await.unwrap();
    assert_eq!(again.e_tag(), first.e_tag());
    // Not after another write.
    target.put("key", "other").await;
    assert_eq!(refusal!(complete!(target, "key", &id, &part).send().await), (404, Some("NoSuchUpload".into())));
    assert_eq!(target.get("key").await, b"other");
}

pub async fn a_completion_is_conditional(target: &Target) {
    let etag = target.put("key", "first").await.e_tag.unwrap();
    let id = begin(target, "key").await;
    let part = [upload(target, "key", &id, 1, b"part".to_vec()).await];
    let absent = complete!(target, "key", &id, &part).if_none_match("*").send().await;
    assert_eq!(refusal!(absent), (412, Some("PreconditionFailed".into())));
    assert_eq!(target.get("key").await, b"first");
    complete!(target, "key", &id, &part).if_match(etag).send().await.unwrap();
    assert_eq!(target.get("key").await, b"part");
}

pub async fn parts_must_be_in_order(target: &Target) {
    let id = begin(target, "key").await;
    let first = upload(target, "key", &id, 1, b"1".to_vec()).await;
    let second = upload(target, "key", &id, 2, b"2".to_vec()).await;
    let wrong = complete!(target, "key", &id, &[second, first]).send().await;
    assert_eq!(refusal!(wrong), (400, Some("InvalidPartOrder".into())));
}

pub async fn a_part_number_is_1_to_10000(target: &Target) {
    let id = begin(target, "key").await;
    for number in [0, 10_001] {
        let part = target.s3.upload_part().bucket(&target.bucket).key("key").upload_id(&id).part_number(number);
        let refused = part.body(ByteStream::from_static(b"x")).send().await;
        assert_eq!(refusal!(refused), (400, Some("InvalidArgument".into())));
    }
    upload(target, "key", &id, 10_000, b"last".to_vec()).await;
}

pub async fn a_part_of_an_object_is_read_by_its_number(target: &Target) {
    let id = begin(target, "key").await;
    let (first, last) = (body(1, PART_BYTES), body(2, 10));
    let parts = [upload(target, "key", &id, 1, first).await, upload(target, "key", &id, 2, last.clone()).await];
    complete!(target, "key", &id, &parts).send().await.unwrap();
    let got = target.s3.get_object().bucket(&target.bucket).key("key").part_number(2).send().await.unwrap();
    assert_eq!(got.parts_count(), Some(2));
    assert_eq!(got.content_range(), Some("bytes 5242880-5242889/5242890"));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), last);
    let head = target.s3.head_object().bucket(&target.bucket).key("key").part_number(1).send().await.unwrap();
    assert_eq!((head.parts_count(), head.content_length()), (Some(2), Some(PART_BYTES as i64)));
    let third = target.s3.get_object().bucket(&target.bucket).key("key").part_number(3).send().await;
    assert_eq!(refusal!(third), (416, Some("InvalidRange".into())));
}

/// Both kinds: a checksum of the parts' checksums, and one of the whole object that is combined from them.
pub async fn an_upload_has_a_checksum(target: &Target) {
    let (first, last) = (body(1, PART_BYTES), body(2, 10));
    let whole = target.s3.put_object().bucket(&target.bucket).key("whole");
    let whole = whole.body(ByteStream::from([first.clone(), last.clone()].concat()));
    let whole = whole.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await.unwrap();
    for (kind, expected) in
        [(ChecksumType::FullObject, whole.checksum_crc32().map(str::to_owned)), (ChecksumType::Composite, None)]
    {
        let begun = target.s3.create_multipart_upload().bucket(&target.bucket).key("key");
        let begun =
            begun.checksum_algorithm(ChecksumAlgorithm::Crc32).checksum_type(kind.clone()).send().await.unwrap();
        let id = begun.upload_id().unwrap();
        let mut parts = Vec::new();
        for (number, body) in [(1, first.clone()), (2, last.clone())] {
            let part = target.s3.upload_part().bucket(&target.bucket).key("key").upload_id(id).part_number(number);
            let part = part.checksum_algorithm(ChecksumAlgorithm::Crc32).body(ByteStream::from(body));
            let part = part.send().await.unwrap();
            let named = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag.clone());
            parts.push(named.set_checksum_crc32(part.checksum_crc32.clone()).build());
            assert!(part.checksum_crc32.is_some());
        }
        let wrong = complete!(target, "key", id, &parts).checksum_crc32("AAAAAA==").send().await;
        assert_eq!(refusal!(wrong), (400, Some("BadDigest".into())));
        complete!(target, "key", id, &parts).set_checksum_crc32(expected.clone()).send().await.unwrap();
        let head = target.s3.head_object().bucket(&target.bucket).key("key").checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        assert_eq!(head.checksum_type(), Some(&kind));
        match &expected {
            Some(expected) => assert_eq!(head.checksum_crc32(), Some(&**expected)),
            None => assert!(head.checksum_crc32().unwrap().ends_with("-2"), "{:?}", head.checksum_crc32()),
        }
    }
}

pub async fn a_part_is_copied_from_a_range(target: &Target) {
    let source = body(9, PART_BYTES + 100);
    target.put("source", source.clone()).await;
    let id = begin(target, "key").await;
    let mut parts = Vec::new();
    for (number, range) in [(1, format!("bytes=50-{}", PART_BYTES + 49)), (2, "bytes=0-9".to_owned())] {
        let copy = target.s3.upload_part_copy().bucket(&target.bucket).key("key").upload_id(&id).part_number(number);
        let copy = copy.copy_source(format!("{}/source", target.bucket)).copy_source_range(range);
        let copied = copy.send().await.unwrap().copy_part_result.unwrap();
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(copied.e_tag).build());
    }
    complete!(target, "key", &id, &parts).send().await.unwrap();
    assert!(target.get("key").await == [&source[50..PART_BYTES + 50], &source[..10]].concat(), "other bytes");
}

/// An upload without parts would make an object without content.
pub async fn an_upload_without_parts_is_refused(target: &Target) {
    let id = begin(target, "key").await;
    let complete = target.s3.complete_multipart_upload().bucket(&target.bucket).key("key").upload_id(&id);
    let refused = complete.multipart_upload(of(&[])).send().await;
    assert_eq!(refusal!(refused), (400, Some("MalformedXML".into())));
}

pub async fn parts_and_uploads_are_listed(target: &Target) {
    let (a, b) = (begin(target, "a").await, begin(target, "b/c").await);
    for number in 1..=3 {
        upload(target, "a", &a, number, vec![b'x'; number as usize]).await;
    }
    let list = target.s3.list_parts().bucket(&target.bucket).key("a").upload_id(&a).max_parts(2).send().await.unwrap();
    let sizes: Vec<_> = list.parts().iter().map(|part| (part.part_number().unwrap(), part.size().unwrap())).collect();
    assert_eq!((sizes, list.is_truncated()), (vec![(1, 1), (2, 2)], Some(true)));
    let uploads = target.s3.list_multipart_uploads().bucket(&target.bucket).send().await.unwrap();
    let uploads: Vec<_> = uploads.uploads().iter().map(|upload| (upload.key(), upload.upload_id())).collect();
    assert_eq!(uploads, [(Some("a"), Some(&*a)), (Some("b/c"), Some(&*b))]);
}

pub async fn an_aborted_upload_is_deleted(target: &Target) {
    let id = begin(target, "key").await;
    let part = upload(target, "key", &id, 1, b"part".to_vec()).await;
    let abort = || target.s3.abort_multipart_upload().bucket(&target.bucket).key("key").upload_id(&id);
    abort().send().await.unwrap();
    let part = complete!(target, "key", &id, &[part]).send().await;
    assert_eq!(refusal!(part), (404, Some("NoSuchUpload".into())));
    let uploads = target.s3.list_multipart_uploads().bucket(&target.bucket).send().await.unwrap();
    assert!(uploads.uploads().is_empty());
    assert_eq!(target.list("").await, [""; 0]);
}
