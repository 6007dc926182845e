//! Multipart uploads.

use super::checksums;
use super::copy::{self, source_conditions};
use super::properties::{self, headers, refuse_special};
use super::{Service, body, conditions};
use crate::objects::Objects;
use crate::objects::attributes::{Properties, Upload};
use crate::objects::checksum::{self, Algorithm, Checksum};
use crate::objects::temporary::{Digests, TemporaryFile};
use crate::objects::uploads::{Part, UploadHeader};
use hex::encode as hex;
use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};
use std::fs::File;
use std::time::SystemTime;

/// S3's limits.
const PARTS_MAX: u16 = 10_000;
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
const OBJECT_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024 * 1024;
/// The bytes that are copied before other tasks may run.
const SLICE_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn create(
    service: &Service,
    mut input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    refuse_special!("CreateMultipartUpload", input)?;
    if service.objects.bucket(&input.bucket).is_none() {
        return Err(super::no_such_bucket(&input.bucket));
    }
    let algorithm = input.checksum_algorithm.as_ref().map(checksums::algorithm).transpose()?;
    let composite = composite(algorithm, input.checksum_type.as_ref())?;
    let about = UploadHeader {
        headers: headers!(input)?,
        tags: properties::tags(input.tagging.as_deref())?,
        bucket: input.bucket,
        key: input.key,
        algorithm,
        composite,
    };
    let id = service.objects.uploads().begin(&about, (service.clock)()).map_err(S3Error::internal_error)?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(about.bucket),
        key: Some(about.key),
        upload_id: Some(id),
        checksum_algorithm: algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: algorithm.map(|_| checksums::kind_of(composite)),
        ..Default::default()
    })
}

/// Whether the object's checksum is a checksum of the parts' checksums. For hashes it must be; for CRC64NVME it must not.
fn composite(algorithm: Option<Algorithm>, asked: Option<&ChecksumType>) -> S3Result<bool> {
    let asked = asked.map(ChecksumType::as_str);
    let Some(algorithm) = algorithm else {
        let without = || s3_error!(InvalidRequest, "a checksum type is given without a checksum algorithm");
        return asked.map_or(Ok(false), |_| Err(without()));
    };
    let composes = algorithm != Algorithm::Crc64Nvme;
    match asked {
        None => Ok(composes),
        Some(ChecksumType::COMPOSITE) if composes => Ok(true),
        Some(ChecksumType::FULL_OBJECT) if algorithm.combines() => Ok(false),
        Some(kind @ (ChecksumType::COMPOSITE | ChecksumType::FULL_OBJECT)) => {
            let name = algorithm.name();
            Err(s3_error!(
                InvalidRequest,
                "The {kind} checksum type cannot be used with the {name} checksum algorithm."
            ))
        }
        Some(other) => Err(s3_error!(InvalidRequest, "there is no checksum type {other:?}")),
    }
}

/// Returns the upload in progress that a request names.
pub(super) fn find(objects: &Objects, bucket: &str, key: &str, id: &str) -> S3Result<(UploadHeader, SystemTime)> {
    if objects.bucket(bucket).is_none() {
        return Err(super::no_such_bucket(bucket));
    }
    let found = objects.uploads().find(id).map_err(S3Error::internal_error)?;
    found.filter(|(about, _)| about.bucket == bucket && about.key == key).ok_or_else(no_such_upload)
}

fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
         completed."
    )
}

fn part_number(number: i32) -> S3Result<u16> {
    let number = u16::try_from(number).ok().filter(|number| (1..=PARTS_MAX).contains(number));
    number.ok_or_else(|| {
        s3_error!(InvalidArgument, "Part number must be an integer between 1 and {PARTS_MAX}, inclusive")
    })
}

pub(super) async fn upload_part(service: &Service, req: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
    let (mut input, objects) = (req.input, &service.objects);
    super::refuse("UploadPart with a customer key", input.sse_customer_key.is_some())?;
    let number = part_number(input.part_number)?;
    let (about, _) = find(objects, &input.bucket, &input.key, &input.upload_id)?;
    let given = checksums::checksum_fields!(input);
    let claim = checksums::body_claim(given, &req.headers, input.content_md5.take(), input.content_length)?;
    if let (Some(expected), Some(actual)) = (about.algorithm, claim.algorithm)
        && expected != actual
    {
        let (expected, actual) = (expected.name().to_lowercase(), actual.name().to_lowercase());
        return Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {actual}"
        ));
    }
    let algorithm = about.algorithm.or(claim.algorithm);
    let (temporary, digests) = body::receive(objects, input.body.take(), &claim, algorithm).await?;
    store(objects, &input.upload_id, number, temporary, &digests, &about)?;
    let mut output = UploadPartOutput { e_tag: Some(ETag::Strong(hex(digests.md5))), ..Default::default() };
    checksums::show!(output, checksums::checksum_of(&digests).as_ref(), part);
    Ok(output)
}

fn store(
    objects: &Objects,
    id: &str,
    number: u16,
    temporary: TemporaryFile,
    digests: &Digests,
    about: &UploadHeader,
) -> S3Result<()> {
    let kept = digests.checksum.clone().filter(|_| about.algorithm.is_some());
    let kept = Digests { md5: digests.md5, checksum: kept };
    match objects.uploads().store(id, number, temporary, &kept).map_err(S3Error::internal_error)? {
        true => Ok(()),
        false => Err(no_such_upload()),
    }
}

pub(super) async fn upload_part_copy(
    service: &Service,
    mut input: UploadPartCopyInput,
) -> S3Result<UploadPartCopyOutput> {
    let objects = &service.objects;
    super::refuse("UploadPartCopy with a customer key", {
        input.sse_customer_key.is_some() || input.copy_source_sse_customer_key.is_some()
    })?;
    let number = part_number(input.part_number)?;
    let (about, _) = find(objects, &input.bucket, &input.key, &input.upload_id)?;
    let (file, object) = copy::source(service, &input.copy_source, &source_conditions!(input))?;
    let range = match input.copy_source_range.as_deref() {
        None => 0..object.size,
        Some(text) => match Range::parse(text) {
            Ok(Range::Int { first, last: Some(last) }) if first <= last && last < object.size => first..last + 1,
            _ => {
                let size = object.size;
                return Err(s3_error!(
                    InvalidArgument,
                    "the range to copy is {text:?}, expected bytes=FIRST-LAST within the {size} bytes of the source"
                ));
            }
        },
    };
    let claim = checksums::BodyClaim { size: Some(range.end - range.start), ..Default::default() };
    let body = body::FileBody::new(file, &range);
    let (temporary, digests) = body::receive(objects, Some(body), &claim, about.algorithm).await?;
    store(objects, &input.upload_id, number, temporary, &digests, &about)?;
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(hex(digests.md5))),
        last_modified: Some((service.clock)().into()),
        ..Default::default()
    };
    checksums::show!(result, checksums::checksum_of(&digests).as_ref(), part);
    Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
}

pub(super) fn abort(service: &Service, input: &AbortMultipartUploadInput) -> S3Result<()> {
    super::refuse("AbortMultipartUpload conditional on a time", input.if_match_initiated_time.is_some())?;
    find(&service.objects, &input.bucket, &input.key, &input.upload_id)?;
    match service.objects.uploads().remove(&input.upload_id).map_err(S3Error::internal_error)? {
        true => Ok(()),
        false => Err(no_such_upload()),
    }
}

/// Returns the parts that a client lists, which must be in order and without duplicates.
fn numbered_parts(upload: Option<CompletedMultipartUpload>) -> S3Result<Vec<(u16, CompletedPart)>> {
    let parts = upload.and_then(|upload| upload.parts).unwrap_or_default();
    if parts.is_empty() || parts.len() > usize::from(PARTS_MAX) {
        let given = parts.len();
        return Err(s3_error!(MalformedXML, "{given} parts to complete, 1 to {PARTS_MAX} are allowed"));
    }
    let mut numbered: Vec<(u16, CompletedPart)> = Vec::with_capacity(parts.len());
    for part in parts {
        let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML, "a part has no PartNumber"))?;
        let number = part_number(number)?;
        if numbered.last().is_some_and(|(before, _)| *before >= number) {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            ));
        }
        numbered.push((number, part));
    }
    Ok(numbered)
}

pub(super) async fn complete(
    service: &Service,
    mut input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let (objects, id) = (&service.objects, input.upload_id.clone());
    let condition = conditions::of_write(input.if_match.take(), input.if_none_match.take())?;
    let listed = numbered_parts(input.multipart_upload.take())?;
    let directory = objects.bucket(&input.bucket).ok_or_else(|| super::no_such_bucket(&input.bucket))?;

    // An earlier request completed it, but its response was lost, or the process ended before it removed the upload.
    let existing = objects.read(&directory, &input.key).map_err(S3Error::internal_error)?;
    if let Some((_, object)) = existing
        && object.properties.upload.as_ref().is_some_and(|upload| upload.id == id)
        && etag_of(listed.iter().map(|(_, part)| md5_of(part))).as_ref() == Some(&object.etag)
    {
        objects.uploads().remove(&id).map_err(S3Error::internal_error)?;
        return Ok(complete_output(input, object.etag, object.properties.checksum.as_ref()));
    }
    if objects.uploads().is_completing(&id) {
        return Err(s3_error!(OperationAborted, "the upload is being completed by another request"));
    }
    find(objects, &input.bucket, &input.key, &id)?;
    // From here on no part can change. If a step fails, or the client disconnects, dropping the claim puts the upload back.
    let claim = objects.uploads().claim(&id).map_err(S3Error::internal_error)?.ok_or_else(no_such_upload)?;
    let about = claim.about().map_err(S3Error::internal_error)?;
    let parts = select_parts(&listed, &claim.parts().map_err(S3Error::internal_error)?, about.algorithm)?;
    let size: u64 = parts.iter().map(|part| part.size).sum();
    if size > OBJECT_BYTES_MAX {
        return Err(s3_error!(EntityTooLarge, "the parts have {size} bytes together, at most {OBJECT_BYTES_MAX}"));
    }
    if let Some(expected) = input.mpu_object_size
        && u64::try_from(expected) != Ok(size)
    {
        return Err(s3_error!(InvalidRequest, "x-amz-mp-object-size is {expected}, the parts have {size} bytes"));
    }
    let checksum = about.algorithm.map(|algorithm| checksum_of(&parts, algorithm, about.composite)).transpose()?;
    check(&mut input, checksum.as_ref())?;
    let etag = etag_of(parts.iter().map(|part| Some(part.md5))).ok_or_else(no_such_upload)?;

    let stored = Properties {
        headers: about.headers,
        tags: about.tags,
        checksum: checksum.clone(),
        upload: Some(Upload::new(&id, parts.iter().map(|part| part.size))),
    };
    let whole = concatenate(objects, &parts).await?;
    let body = whole.complete(etag.clone(), stored).map_err(S3Error::internal_error)?;
    objects
        .put(&input.bucket, &input.key, body, &condition)
        .map_err(|error| super::write_error(error, &input.bucket, &input.key))?;
    if let Err(error) = claim.finish() {
        // The object is stored, so the request succeeds. The next start removes the parts.
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            id,
            "cannot remove a completed upload; the next start removes it"
        );
    }
    Ok(complete_output(input, etag, checksum.as_ref()))
}

fn complete_output(
    input: CompleteMultipartUploadInput,
    etag: String,
    checksum: Option<&Checksum>,
) -> CompleteMultipartUploadOutput {
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(etag)),
        ..Default::default()
    };
    checksums::show!(output, checksum);
    output
}

fn md5_of(part: &CompletedPart) -> Option<[u8; 16]> {
    hex::decode(part.e_tag.as_ref()?.value()).ok()?.try_into().ok()
}

/// The ETag of a multipart object: the MD5 of the parts' MD5s, and their number.
fn etag_of(parts: impl IntoIterator<Item = Option<[u8; 16]>>) -> Option<String> {
    let (mut md5, mut count) = (Md5::new(), 0);
    for part in parts {
        md5.update(part?);
        count += 1;
    }
    Some(format!("{}-{count}", hex(md5.finalize())))
}

/// Returns the stored parts that a client lists; fails unless their ETags and checksums are equal.
fn select_parts(listed: &[(u16, CompletedPart)], stored: &[Part], algorithm: Option<Algorithm>) -> S3Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::with_capacity(listed.len());
    for (at, (number, named)) in listed.iter().enumerate() {
        let invalid = || {
            s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found. The part may not have been uploaded, or the \
                 specified entity tag may not match the part's entity tag: part {number}"
            )
        };
        let index = stored.binary_search_by_key(number, |part| part.number).map_err(|_| invalid())?;
        let part = &stored[index];
        if named.e_tag.is_none() {
            return Err(s3_error!(MalformedXML, "the part {number} has no ETag"));
        }
        if md5_of(named) != Some(part.md5) {
            return Err(invalid());
        }
        let mut given = named.clone();
        if let Some((kind, value)) = checksums::only(checksums::checksum_fields!(given))? {
            // An upload without an algorithm keeps no checksums: they were verified when the parts arrived.
            let found = part.checksum.as_ref().map(|found| checksum::base64(found));
            if algorithm.is_some() && (algorithm != Some(kind) || found != Some(value)) {
                return Err(invalid());
            }
        }
        if part.size < PART_BYTES_MIN && at + 1 < listed.len() {
            let size = part.size;
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size: part {number} has {size} bytes, all but \
                 the last must have {PART_BYTES_MIN}"
            ));
        }
        parts.push(part.clone());
    }
    Ok(parts)
}

/// The checksum of an object from those of its parts.
fn checksum_of(parts: &[Part], algorithm: Algorithm, composite: bool) -> S3Result<Checksum> {
    let missing = || s3_error!(InternalError, "a part of the upload is stored without its checksum");
    let known: Option<Vec<(&[u8], u64)>> =
        parts.iter().map(|part| Some((part.checksum.as_deref()?, part.size))).collect();
    let known = known.ok_or_else(missing)?;
    let value = match composite {
        true => {
            let all: Vec<u8> = known.iter().flat_map(|(checksum, _)| *checksum).copied().collect();
            format!("{}-{}", checksum::base64(&algorithm.digest(&all)), known.len())
        }
        false => checksum::base64(&checksum::combine(algorithm, known).ok_or_else(missing)?),
    };
    Ok(Checksum { algorithm, value, composite })
}

/// Fails if the client expects another checksum of the object.
fn check(input: &mut CompleteMultipartUploadInput, found: Option<&Checksum>) -> S3Result<()> {
    if let Some(asked) = &input.checksum_type
        && let Some(found) = found
        && *asked != checksums::kind_of(found.composite)
    {
        let (asked, kind) = (asked.as_str(), checksums::kind_of(found.composite));
        let kind = kind.as_str();
        return Err(s3_error!(InvalidRequest, "the upload was created with the checksum type {kind}, not {asked}"));
    }
    let Some((algorithm, given)) = checksums::only(checksums::checksum_fields!(input))? else { return Ok(()) };
    let name = algorithm.name();
    let Some(found) = found.filter(|found| found.algorithm == algorithm) else {
        return Err(s3_error!(InvalidRequest, "the upload was not created with the checksum algorithm {name}"));
    };
    let without_count = found.value.split('-').next().unwrap_or_default();
    match given == found.value || (found.composite && given == without_count) {
        true => Ok(()),
        false => {
            let found = &found.value;
            Err(s3_error!(BadDigest, "the {name} given is {given}, that of the parts is {found}"))
        }
    }
}

async fn concatenate(objects: &Objects, parts: &[Part]) -> S3Result<TemporaryFile> {
    let mut whole = objects.temporary(None).map_err(S3Error::internal_error)?;
    for part in parts {
        let file = File::open(&part.path).map_err(S3Error::internal_error)?;
        let mut left = part.size;
        while left > 0 {
            match whole.append(&file, left.min(SLICE_BYTES)).map_err(S3Error::internal_error)? {
                0 => return Err(s3_error!(InternalError, "part {} has fewer bytes than were uploaded", part.number)),
                copied => left -= copied,
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(whole)
}
