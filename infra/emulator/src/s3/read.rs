//! Gets and heads of an object, a range, or a part.

use super::body::FileBody;
use super::checksums;
use super::properties::show_headers;
use crate::objects::attributes::{Description, Upload};
use http::HeaderValue;
use s3s::dto::*;
use s3s::{S3Error, S3Result, s3_error};
use std::fs::File;
use std::ops;

/// Takes the conditions out of a read request.
macro_rules! read_conditions {
    ($input:expr) => {
        $crate::s3::conditions::ReadConditions {
            matches: $input.if_match.take(),
            none_match: $input.if_none_match.take(),
            modified_since: $input.if_modified_since.take(),
            unmodified_since: $input.if_unmodified_since.take(),
        }
    };
}

/// Refuses `response-` parameters that are not valid header values.
macro_rules! check_overrides {
    ($input:expr) => {
        $crate::s3::read::all_are_headers([
            $input.response_cache_control.as_deref(),
            $input.response_content_disposition.as_deref(),
            $input.response_content_encoding.as_deref(),
            $input.response_content_language.as_deref(),
            $input.response_content_type.as_deref(),
        ])
    };
}

pub(super) use {check_overrides, read_conditions};

pub(super) fn all_are_headers(given: [Option<&str>; 5]) -> S3Result<()> {
    match given.into_iter().flatten().find(|value| HeaderValue::from_str(value).is_err()) {
        Some(value) => {
            Err(s3_error!(InvalidArgument, "a response- parameter is {value:?}, expected a valid header value"))
        }
        None => Ok(()),
    }
}

/// The bytes of an object that a request reads.
pub(super) struct ReadRange {
    pub(super) bytes: ops::Range<u64>,
    /// `None` for the whole object.
    pub(super) content_range: Option<String>,
    pub(super) parts: Option<i32>,
}

pub(super) fn read_range(object: &Description, range: Option<&Range>, part: Option<i32>) -> S3Result<ReadRange> {
    let size = object.size;
    let upload = object.properties.upload.as_ref();
    let parts = part.and(upload).map(|upload| i32::try_from(upload.parts)).transpose();
    let parts = parts.map_err(S3Error::internal_error)?;
    let bytes = match (range, part) {
        (None, None) => return Ok(ReadRange { bytes: 0..size, content_range: None, parts }),
        (Some(_), Some(_)) => {
            return Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber query parameter"));
        }
        // An empty object has no range, not even one of its last bytes.
        (Some(range), None) => range.check(size).ok().filter(|bytes| !bytes.is_empty()).ok_or_else(|| {
            s3_error!(InvalidRange, "the object has {size} bytes, the range is {}", range.to_header_string())
        })?,
        (None, Some(number)) => part_range(upload, number, size)?,
    };
    // An empty object is its own first part.
    let content_range = (!bytes.is_empty()).then(|| format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1));
    Ok(ReadRange { bytes, content_range, parts })
}

fn part_range(upload: Option<&Upload>, number: i32, size: u64) -> S3Result<ops::Range<u64>> {
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let index = index.ok_or_else(|| s3_error!(InvalidArgument, "the part number is {number}, expected 1 to 10000"))?;
    let range = match upload {
        // An object that was not uploaded in parts counts as one.
        None => (index == 0).then_some(0..size),
        Some(upload) => {
            let mut ranges = upload.part_ranges().ok_or_else(|| {
                s3_error!(NotImplemented, "the parts of this object were too irregular to remember their sizes")
            })?;
            ranges.nth(index)
        }
    };
    // As in S3, where this case has no error code of its own.
    range.ok_or_else(|| s3_error!(InvalidRange, "The requested partnumber {number} is not satisfiable"))
}

fn length(bytes: &ops::Range<u64>) -> S3Result<i64> {
    i64::try_from(bytes.end - bytes.start).map_err(S3Error::internal_error)
}

/// Describes the bytes that a get or a head reads, in its response; returns their range.
macro_rules! describe {
    ($output:expr, $input:expr, $object:expr) => {{
        let read = read_range(&$object, $input.range.as_ref(), $input.part_number)?;
        // The checksum is that of the whole object, and a client would compare it with a range.
        if is_enabled($input.checksum_mode.as_ref()) && read.content_range.is_none() {
            checksums::show!($output, $object.properties.checksum.as_ref());
        }
        $output.accept_ranges = Some("bytes".into());
        $output.content_length = Some(length(&read.bytes)?);
        $output.content_range = read.content_range;
        $output.e_tag = Some(ETag::Strong($object.etag));
        $output.last_modified = Some($object.modified.into());
        $output.parts_count = read.parts;
        show_headers!($output, $object.properties.headers);
        read.bytes
    }};
}

/// The response to a get.
pub(super) fn get(input: GetObjectInput, file: File, object: Description) -> S3Result<GetObjectOutput> {
    let tags = object.properties.tags.len();
    let tag_count = (tags > 0).then(|| i32::try_from(tags)).transpose().map_err(S3Error::internal_error)?;
    let mut output = GetObjectOutput { tag_count, ..Default::default() };
    let bytes = describe!(output, input, object);
    output.body = Some(FileBody::new(file, &bytes).into_response_body().map_err(S3Error::internal_error)?);
    Ok(output)
}

/// The response to a head.
pub(super) fn head(input: HeadObjectInput, object: Description) -> S3Result<HeadObjectOutput> {
    let mut output = HeadObjectOutput::default();
    describe!(output, input, object);
    // As in the response to a get.
    output.cache_control = input.response_cache_control.or(output.cache_control);
    output.content_disposition = input.response_content_disposition.or(output.content_disposition);
    output.content_encoding = input.response_content_encoding.or(output.content_encoding);
    output.content_language = input.response_content_language.or(output.content_language);
    output.content_type = input.response_content_type.or(output.content_type);
    output.expires = input.response_expires.or(output.expires);
    Ok(output)
}

fn is_enabled(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str().eq_ignore_ascii_case(ChecksumMode::ENABLED))
}
