//! CopyObject, and the source of any copy.

use super::body::{self, BODY_BYTES_MAX, FileBody};
use super::checksums::{self, BodyClaim};
use super::conditions::ReadConditions;
use super::properties::{self, headers, refuse_special};
use super::{Service, conditions};
use crate::objects::Condition;
use crate::objects::attributes::{Description, Headers, Properties};
use hex::encode as hex;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};
use std::fs::File;

/// Takes the conditions on the source out of a copy request.
macro_rules! source_conditions {
    ($input:expr) => {
        $crate::s3::conditions::ReadConditions {
            matches: $input.copy_source_if_match.take(),
            none_match: $input.copy_source_if_none_match.take(),
            modified_since: $input.copy_source_if_modified_since.take(),
            unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    };
}

pub(super) use source_conditions;

/// Opens the object to copy if the conditions hold.
pub(super) fn source(
    service: &Service,
    source: &CopySource,
    conditions: &ReadConditions,
) -> S3Result<(File, Description)> {
    let CopySource::Bucket { bucket, key, version_id } = source else {
        return Err(s3_error!(NotImplemented, "a copy from an access point is not implemented"));
    };
    super::refuse_version(version_id.as_deref())?;
    let (file, object) = service.open(bucket, key)?;
    match conditions.evaluate(&object) {
        Ok(()) => Ok((file, object)),
        Err(_) => Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")),
    }
}

pub(super) async fn copy_object(service: &Service, req: S3Request<CopyObjectInput>) -> S3Result<CopyObjectOutput> {
    let mut input = req.input;
    refuse_special!("CopyObject", input)?;
    super::refuse("CopyObject with a customer key", input.copy_source_sse_customer_key.is_some())?;
    let objects = &service.objects;
    if objects.bucket(&input.bucket).is_none() {
        return Err(super::no_such_bucket(&input.bucket));
    }
    let condition = match (req.headers.get("if-match"), req.headers.get("if-none-match")) {
        (None, None) => Condition::None,
        (matches, none_match) => conditions::of_write(condition(matches)?, condition(none_match)?)?,
    };
    let replaces = replaces_of(input.metadata_directive.as_ref().map(MetadataDirective::as_str))?;
    let replaces_tags = replaces_of(input.tagging_directive.as_ref().map(TaggingDirective::as_str))?;
    let (file, copied) = source(service, &input.copy_source, &source_conditions!(input))?;
    let is_itself = matches!(&input.copy_source, CopySource::Bucket { bucket, key, .. }
        if **bucket == *input.bucket && **key == *input.key);
    if is_itself && !replaces && !replaces_tags && input.storage_class.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
             metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    if copied.size > BODY_BYTES_MAX {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: {BODY_BYTES_MAX}"
        ));
    }
    let known = Properties {
        headers: match replaces {
            true => headers!(input)?,
            // The storage class is never copied.
            false => Headers {
                storage_class: properties::storage_class(input.storage_class.as_ref())?,
                ..copied.properties.headers
            },
        },
        tags: if replaces_tags { properties::tags(input.tagging.as_deref())? } else { copied.properties.tags },
        ..Default::default()
    };
    let algorithm = input.checksum_algorithm.as_ref().map(checksums::algorithm).transpose()?;
    let algorithm = algorithm.or_else(|| copied.properties.checksum.as_ref().map(|checksum| checksum.algorithm));
    let body = FileBody::new(file, &(0..copied.size));
    let (temporary, digests) = body::receive(objects, Some(body), &BodyClaim::default(), algorithm).await?;
    let checksum = checksums::checksum_of(&digests);
    let stored = Properties { checksum: checksum.clone(), ..known };
    let complete = temporary.complete(hex(digests.md5), stored).map_err(S3Error::internal_error)?;
    let (etag, modified) = (complete.etag.clone(), complete.modified);
    objects
        .put(&input.bucket, &input.key, complete, &condition)
        .map_err(|error| super::write_error(error, &input.bucket, &input.key))?;
    let mut result = CopyObjectResult {
        e_tag: Some(ETag::Strong(etag)),
        last_modified: Some(modified.into()),
        ..Default::default()
    };
    checksums::show!(result, checksum.as_ref());
    Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
}

/// Parses a condition on the destination, for which the input of `s3s` has no field.
fn condition(header: Option<&http::HeaderValue>) -> S3Result<Option<ETagCondition>> {
    let parsed = header.map(|value| ETagCondition::parse_http_header(value.as_bytes())).transpose();
    parsed.map_err(|error| s3_error!(InvalidArgument, "a condition is not an ETag: {error}"))
}

/// Whether a directive replaces the values of the source.
fn replaces_of(directive: Option<&str>) -> S3Result<bool> {
    match directive {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(s3_error!(InvalidArgument, "a directive is {other:?}, expected COPY or REPLACE")),
    }
}
