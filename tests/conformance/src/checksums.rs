//! Checksums of bodies: verified, kept, and returned.

use crate::{Target, refusal};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};

pub async fn a_checksum_is_kept_and_returned(target: &Target) {
    for (algorithm, expected) in [
        (ChecksumAlgorithm::Crc32, "NhCmhg=="),
        (ChecksumAlgorithm::Crc32C, "mnG7TA=="),
        (ChecksumAlgorithm::Crc64Nvme, "M3eFcAZSQlc="),
        (ChecksumAlgorithm::Sha1, "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
        (ChecksumAlgorithm::Sha256, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
    ] {
        let put = target.s3.put_object().bucket(&target.bucket).key("key").checksum_algorithm(algorithm.clone());
        let put = put.body(ByteStream::from_static(b"hello")).send().await.unwrap();
        let head = target.s3.head_object().bucket(&target.bucket).key("key").checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        let (of_put, of_head) = match algorithm {
            ChecksumAlgorithm::Crc32 => (put.checksum_crc32(), head.checksum_crc32()),
            ChecksumAlgorithm::Crc32C => (put.checksum_crc32_c(), head.checksum_crc32_c()),
            ChecksumAlgorithm::Crc64Nvme => (put.checksum_crc64_nvme(), head.checksum_crc64_nvme()),
            ChecksumAlgorithm::Sha1 => (put.checksum_sha1(), head.checksum_sha1()),
            _ => (put.checksum_sha256(), head.checksum_sha256()),
        };
        assert_eq!((of_put, of_head), (Some(expected), Some(expected)), "{algorithm}");
    }
    let plain = target.s3.head_object().bucket(&target.bucket).key("key").send().await.unwrap();
    assert_eq!(plain.checksum_sha256(), None);
}

/// The checksum follows a streamed body.
pub async fn a_trailing_checksum_is_kept(target: &Target) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"hello").unwrap();
    let stream = ByteStream::from_path(file.path()).await.unwrap();
    let put = target.s3.put_object().bucket(&target.bucket).key("key").checksum_algorithm(ChecksumAlgorithm::Crc32);
    put.body(stream).send().await.unwrap();
    let get = target.s3.get_object().bucket(&target.bucket).key("key").checksum_mode(ChecksumMode::Enabled);
    let got = get.send().await.unwrap();
    assert_eq!(got.checksum_crc32(), Some("NhCmhg=="));
    // The SDK compares the body with the checksum.
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
}

pub async fn two_checksums_are_refused(target: &Target) {
    let put = target.s3.put_object().bucket(&target.bucket).key("key").body(ByteStream::from_static(b"hello"));
    let put = put.checksum_crc32("NhCmhg==").checksum_sha1("qvTGHdzF6KLavt4PO0gs2a6pQ00=").send().await;
    assert_eq!(refusal!(put), (400, Some("InvalidRequest".into())));
}
