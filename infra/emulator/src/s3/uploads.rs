//! Listings of multipart uploads, of their parts, and of buckets.

use super::listing::{self, Encoding};
use super::properties::class_shown;
use super::{Service, checksums, multipart};
use crate::objects::checksum::{self, Checksum};
use s3s::dto::*;
use s3s::{S3Error, S3Result};

pub(super) fn list_parts(service: &Service, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let (about, _) = multipart::find(&service.objects, &input.bucket, &input.key, &input.upload_id)?;
    let (max_parts, parts_max) = listing::entries_max(input.max_parts)?;
    let marker = input.part_number_marker.unwrap_or(0);
    let parts = service.objects.uploads().parts(&input.upload_id).map_err(S3Error::internal_error)?;
    let mut parts = parts.into_iter().filter(|part| i32::from(part.number) > marker).peekable();
    let mut listed = Vec::new();
    for part in parts.by_ref().take(parts_max) {
        let mut shown = Part {
            part_number: Some(i32::from(part.number)),
            e_tag: Some(ETag::Strong(hex::encode(part.md5))),
            size: Some(i64::try_from(part.size).map_err(S3Error::internal_error)?),
            last_modified: Some(part.modified.into()),
            ..Default::default()
        };
        let kept = about.algorithm.zip(part.checksum);
        let kept =
            kept.map(|(algorithm, value)| Checksum { algorithm, value: checksum::base64(&value), composite: false });
        checksums::show!(shown, kept.as_ref(), part);
        listed.push(shown);
    }
    let truncated = parts.peek().is_some();
    let last = listed.last().and_then(|part| part.part_number);
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: last,
        max_parts: Some(max_parts),
        is_truncated: Some(truncated),
        parts: Some(listed),
        checksum_algorithm: about.algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: about.algorithm.map(|_| checksums::kind_of(about.composite)),
        storage_class: Some(class_shown(&about.headers).into()),
        ..Default::default()
    })
}

pub(super) fn list_uploads(
    service: &Service,
    input: ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    service.bucket(&input.bucket)?;
    super::refuse("ListMultipartUploads with a delimiter", input.delimiter.is_some_and(|given| !given.is_empty()))?;
    let (max_uploads, uploads_max) = listing::entries_max(input.max_uploads)?;
    let encoding = Encoding::from_request(input.encoding_type.as_ref())?;
    let prefix = input.prefix.unwrap_or_default();
    let (marker, id_marker) = (input.key_marker.unwrap_or_default(), input.upload_id_marker.unwrap_or_default());
    let in_progress = service.objects.uploads().list().map_err(S3Error::internal_error)?;
    let mine = in_progress.into_iter().filter(|(_, about, _)| about.bucket == input.bucket);
    let mut mine: Vec<_> = mine.filter(|(_, about, _)| about.key.starts_with(&prefix)).collect();
    // The page starts after the upload that both markers name, or after all uploads of the key marker.
    if !marker.is_empty() {
        let after = mine.iter().position(|(id, about, _)| about.key == marker && *id == id_marker);
        let from = after.map_or_else(|| mine.partition_point(|(_, about, _)| *about.key <= *marker), |at| at + 1);
        mine.drain(..from);
    }
    let truncated = mine.len() > uploads_max;
    mine.truncate(uploads_max);
    let last = mine.last().filter(|_| truncated).map(|(id, about, _)| (encoding.encode(about.key.clone()), id.clone()));
    let (next_key_marker, next_upload_id_marker) = last.unzip();
    let uploads = mine.into_iter().map(|(id, about, begun)| MultipartUpload {
        key: Some(encoding.encode(about.key)),
        upload_id: Some(id),
        initiated: Some(begun.into()),
        checksum_algorithm: about.algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: about.algorithm.map(|_| checksums::kind_of(about.composite)),
        storage_class: Some(class_shown(&about.headers).into()),
        ..Default::default()
    });
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: Some(encoding.encode(prefix)),
        key_marker: Some(encoding.encode(marker)),
        upload_id_marker: Some(id_marker),
        next_key_marker,
        next_upload_id_marker,
        max_uploads: Some(max_uploads),
        is_truncated: Some(truncated),
        uploads: Some(uploads.collect()),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

/// ListBuckets. The continuation token is the name of the last bucket.
pub(super) fn list_buckets(service: &Service, input: ListBucketsInput) -> S3Result<ListBucketsOutput> {
    let buckets = service.objects.buckets().map_err(S3Error::internal_error)?;
    let (prefix, after) = (input.prefix.clone().unwrap_or_default(), input.continuation_token.unwrap_or_default());
    // Without a limit the page has all buckets.
    let max = input.max_buckets.map_or(Ok(usize::MAX), usize::try_from).map_err(S3Error::internal_error)?;
    let elsewhere = input.bucket_region.is_some_and(|region| region != crate::REGION);
    let matching = buckets.into_iter().filter(|(name, _)| name.starts_with(&prefix) && *name > after && !elsewhere);
    let mut matching = matching.peekable();
    let listed: Vec<_> = matching.by_ref().take(max).collect();
    let next = listed.last().filter(|_| matching.peek().is_some()).map(|(name, _)| name.clone());
    let buckets = listed.into_iter().map(|(name, created)| Bucket {
        name: Some(name),
        creation_date: Some(created.into()),
        bucket_region: Some(crate::REGION.into()),
    });
    Ok(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        continuation_token: next,
        prefix: input.prefix,
        owner: Some(Owner { id: Some("emulator".into()), display_name: Some("emulator".into()) }),
    })
}
