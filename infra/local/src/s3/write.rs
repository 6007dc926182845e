//! Puts and deletes.

use super::conditions;
use crate::objects::attributes::Headers;
use crate::objects::temporary::Complete;
use crate::objects::{Condition, Objects};
use futures::StreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

/// Stores an object, never with more of it in memory than the chunk that just arrived; its ETag without quotes.
pub(super) async fn put(objects: &Objects, mut input: PutObjectInput) -> S3Result<String> {
    super::refuse("PutObject with tags, a lock, an offset, a redirect or a customer key", {
        input.tagging.is_some()
            || input.object_lock_mode.is_some()
            || input.object_lock_legal_hold_status.is_some()
            || input.write_offset_bytes.is_some()
            || input.website_redirect_location.is_some()
            || input.sse_customer_key.is_some()
    })?;
    let condition = conditions::of_write(input.if_match.take(), input.if_none_match.take())?;
    if objects.bucket(&input.bucket).is_none() {
        return Err(super::no_such_bucket(&input.bucket));
    }
    let body = receive(objects, &mut input).await?;
    let etag = body.etag.clone();
    objects
        .put(&input.bucket, &input.key, body, &condition)
        .map_err(|error| super::write_error(error, &input.bucket, &input.key))?;
    Ok(etag)
}

async fn receive(objects: &Objects, input: &mut PutObjectInput) -> S3Result<Complete> {
    let mut temporary = objects.temporary().map_err(S3Error::internal_error)?;
    let mut hasher = ChecksumHasher {
        crc32: input.checksum_crc32.as_ref().map(|_| s3s::crypto::Crc32::new()),
        crc32c: input.checksum_crc32c.as_ref().map(|_| s3s::crypto::Crc32c::new()),
        sha1: input.checksum_sha1.as_ref().map(|_| s3s::crypto::Sha1::new()),
        sha256: input.checksum_sha256.as_ref().map(|_| s3s::crypto::Sha256::new()),
        crc64nvme: input.checksum_crc64nvme.as_ref().map(|_| s3s::crypto::Crc64Nvme::new()),
    };
    if let Some(mut chunks) = input.body.take() {
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?;
            hasher.update(&chunk);
            temporary.write(&chunk).map_err(S3Error::internal_error)?;
        }
    }
    let computed = hasher.finalize();
    let checksums = [
        (&input.checksum_crc32, &computed.checksum_crc32),
        (&input.checksum_crc32c, &computed.checksum_crc32c),
        (&input.checksum_sha1, &computed.checksum_sha1),
        (&input.checksum_sha256, &computed.checksum_sha256),
        (&input.checksum_crc64nvme, &computed.checksum_crc64nvme),
    ];
    if let Some((given, found)) = checksums.into_iter().find(|(given, found)| given.is_some() && given != found) {
        return Err(s3_error!(BadDigest, "the checksum given is {given:?}, the body's is {found:?}"));
    }
    let headers = Headers {
        content_type: input.content_type.take(),
        content_encoding: input.content_encoding.take(),
        content_language: input.content_language.take(),
        content_disposition: input.content_disposition.take(),
        cache_control: input.cache_control.take(),
        metadata: input.metadata.take().unwrap_or_default().into_iter().collect(),
    };
    let body = temporary.complete(headers).map_err(S3Error::internal_error)?;
    if let Some(length) = input.content_length
        && u64::try_from(length) != Ok(body.size)
    {
        return Err(s3_error!(IncompleteBody, "{length} bytes were announced, {} came", body.size));
    }
    if let Some(given) = &input.content_md5 {
        use base64::Engine as _;
        let found = base64::engine::general_purpose::STANDARD.encode(body.md5);
        if *given != found {
            return Err(s3_error!(BadDigest, "the Content-MD5 given is {given}, the body's is {found}"));
        }
    }
    Ok(body)
}

/// Deletes one object.
pub(super) fn delete(objects: &Objects, input: DeleteObjectInput) -> S3Result<()> {
    super::refuse("DeleteObject of a version, or conditional on size or time", {
        input.version_id.is_some() || input.if_match_size.is_some() || input.if_match_last_modified_time.is_some()
    })?;
    let condition = conditions::of_write(input.if_match, None)?;
    objects
        .delete(&input.bucket, &input.key, &condition)
        .map_err(|error| super::write_error(error, &input.bucket, &input.key))
}

/// Deletes up to 1,000 objects; what fails is in the answer's errors.
pub(super) fn delete_all(objects: &Objects, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
    let Delete { objects: identifiers, quiet } = input.delete;
    if identifiers.len() > 1000 {
        return Err(s3_error!(MalformedXML, "{} objects to delete, at most 1000 are allowed", identifiers.len()));
    }
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for identifier in identifiers {
        super::refuse("DeleteObjects of versions, or with conditions", {
            identifier.version_id.is_some()
                || identifier.e_tag.is_some()
                || identifier.size.is_some()
                || identifier.last_modified_time.is_some()
        })?;
        let key = identifier.key;
        match objects.delete(&input.bucket, &key, &Condition::None) {
            Ok(()) if quiet == Some(true) => {}
            Ok(()) => deleted.push(DeletedObject { key: Some(key), ..Default::default() }),
            Err(error) => {
                let error = super::write_error(error, &input.bucket, &key);
                errors.push(Error {
                    code: Some(error.code().as_str().into()),
                    message: error.message().map(str::to_owned),
                    key: Some(key),
                    ..Default::default()
                });
            }
        }
    }
    Ok(DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() })
}
