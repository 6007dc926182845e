//! Puts and deletes.

use super::properties::{self, headers, refuse_special};
use super::{body, checksums, conditions};
use crate::objects::attributes::Properties;
use crate::objects::checksum::Checksum;
use crate::objects::{Condition, Objects, WriteError};
use hex::encode as hex;
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

/// The maximum number of objects in one DeleteObjects request.
const DELETIONS_MAX: usize = 1000;

/// Stores an object.
pub(super) async fn put(objects: &Objects, req: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
    let mut input = req.input;
    refuse_special!("PutObject", input)?;
    super::refuse("PutObject with an offset", input.write_offset_bytes.is_some())?;
    let condition = conditions::of_write(input.if_match.take(), input.if_none_match.take())?;
    if objects.bucket(&input.bucket).is_none() {
        return Err(super::no_such_bucket(&input.bucket));
    }
    let tags = properties::tags(input.tagging.as_deref())?;
    let headers = headers!(input)?;
    let given = checksums::checksum_fields!(input);
    let claim = checksums::body_claim(given, &req.headers, input.content_md5.take(), input.content_length)?;
    let (temporary, digests) = body::receive(objects, input.body.take(), &claim, claim.algorithm).await?;
    let checksum: Option<Checksum> = checksums::checksum_of(&digests);
    let stored = Properties { headers, tags, checksum: checksum.clone(), upload: None };
    let etag = hex(digests.md5);
    let body = temporary.complete(etag.clone(), stored).map_err(super::io_error)?;
    objects
        .put(&input.bucket, &input.key, body, &condition)
        .map_err(|error| super::write_error(error, &input.bucket, &input.key))?;
    let mut output = PutObjectOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() };
    checksums::show!(output, checksum.as_ref());
    Ok(output)
}

/// Deletes one object.
pub(super) fn delete(objects: &Objects, input: DeleteObjectInput) -> S3Result<()> {
    super::refuse("DeleteObject conditional on size or time", {
        input.if_match_size.is_some() || input.if_match_last_modified_time.is_some()
    })?;
    super::refuse_version(input.version_id.as_deref())?;
    let condition = conditions::of_write(input.if_match, None)?;
    objects
        .delete(&input.bucket, &input.key, &condition)
        .map_err(|error| super::write_error(error, &input.bucket, &input.key))
}

/// Deletes up to 1,000 objects; failures are in the errors of the response.
pub(super) fn delete_all(objects: &Objects, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
    let Delete { objects: identifiers, quiet } = input.delete;
    if identifiers.is_empty() || identifiers.len() > DELETIONS_MAX {
        let given = identifiers.len();
        return Err(s3_error!(MalformedXML, "{given} objects to delete, 1 to {DELETIONS_MAX} are allowed"));
    }
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for identifier in identifiers {
        let key = identifier.key.clone();
        match delete_identified(objects, &input.bucket, identifier) {
            Ok(()) if quiet == Some(true) => {}
            Ok(()) => deleted.push(DeletedObject { key: Some(key), ..Default::default() }),
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().into()),
                message: error.message().map(str::to_owned),
                key: Some(key),
                ..Default::default()
            }),
        }
    }
    Ok(DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() })
}

fn delete_identified(objects: &Objects, bucket: &str, identifier: ObjectIdentifier) -> S3Result<()> {
    super::refuse("DeleteObjects conditional on size or time", {
        identifier.size.is_some() || identifier.last_modified_time.is_some()
    })?;
    super::refuse_version(identifier.version_id.as_deref())?;
    let condition = identifier.e_tag.map_or(Condition::None, |etag| match etag.into_value() {
        star if star == "*" => Condition::Present,
        etag => Condition::Version(etag),
    });
    let deleted = objects.delete(bucket, &identifier.key, &condition);
    deleted.map_err(|error: WriteError| super::write_error(error, bucket, &identifier.key))
}
