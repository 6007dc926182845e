//! Listings of objects in pages, with continuation tokens and markers.

use super::{Entry, properties};
use crate::objects::list::{self, Query};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Error, S3Result, s3_error};
use std::path::Path;

/// The maximum number of keys in a page.
pub(super) const KEYS_MAX: i32 = 1000;
/// The characters that `encoding-type=url` does not encode.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'*');

/// The encoding of keys in a response.
#[derive(Clone, Copy)]
pub(super) struct Encoding {
    url: bool,
}

impl Encoding {
    pub(super) fn from_request(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(other) => Err(s3_error!(InvalidArgument, "the encoding type is {other:?}, expected url")),
        }
    }

    pub(super) fn encode(self, text: String) -> String {
        match self.url {
            true => utf8_percent_encode(&text, URL).to_string(),
            false => text,
        }
    }
}

/// The length of a page: as the response states it, and as a number of entries.
pub(super) fn entries_max(asked: Option<i32>) -> S3Result<(i32, usize)> {
    let asked = asked.unwrap_or(KEYS_MAX);
    let max = usize::try_from(asked.min(KEYS_MAX))
        .map_err(|_| s3_error!(InvalidArgument, "the maximum number of entries is {asked}, expected at least 0"))?;
    Ok((asked.min(KEYS_MAX), max))
}

/// ListObjectsV2.
pub(super) fn list(bucket: &Path, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let (max_keys, entries_max) = entries_max(input.max_keys)?;
    let token = input.continuation_token.as_deref().map(Token::parse).transpose()?;
    let (after, rolled_up) = match &token {
        Some(Token::Object(key)) => (*key, None),
        Some(Token::CommonPrefix(prefix)) => (*prefix, Some(*prefix)),
        None => (input.start_after.as_deref().unwrap_or_default(), None),
    };
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
        after,
        rolled_up,
        entries_max,
    };
    let (entries, truncated) = list::list(bucket, &query).map_err(S3Error::internal_error)?;
    let next = entries.last().filter(|_| truncated).map(Token::after);
    let encoding = Encoding::from_request(input.encoding_type.as_ref())?;
    let encoded = |text| encoding.encode(text);
    let (contents, common_prefixes) = contents(entries, encoding)?;
    let count = contents.len() + common_prefixes.len();
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoded(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(encoded),
        start_after: input.start_after.map(encoded),
        encoding_type: input.encoding_type,
        max_keys: Some(max_keys),
        key_count: Some(i32::try_from(count).map_err(S3Error::internal_error)?),
        continuation_token: input.continuation_token,
        next_continuation_token: next,
        is_truncated: Some(truncated),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        ..Default::default()
    })
}

/// Returns the page after a marker: the key or common prefix that ended the page before.
fn page_after(
    bucket: &Path,
    prefix: &str,
    delimiter: Option<&str>,
    marker: &str,
    entries_max: usize,
) -> S3Result<(Vec<Entry>, bool)> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
    let is_common_prefix = delimiter.is_some_and(|delimiter| {
        marker.strip_prefix(prefix).and_then(|rest| rest.split_once(delimiter)).is_some_and(|(_, rest)| rest.is_empty())
    });
    let query = Query { prefix, delimiter, after: marker, rolled_up: is_common_prefix.then_some(marker), entries_max };
    list::list(bucket, &query).map_err(S3Error::internal_error)
}

fn name_of(entry: &Entry) -> String {
    match entry {
        Entry::Object(name, _) | Entry::CommonPrefix(name) => name.clone(),
    }
}

fn contents(entries: Vec<Entry>, encoding: Encoding) -> S3Result<(Vec<Object>, Vec<CommonPrefix>)> {
    let (mut contents, mut common_prefixes) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::CommonPrefix(prefix) => {
                common_prefixes.push(CommonPrefix { prefix: Some(encoding.encode(prefix)) });
            }
            Entry::Object(key, description) => contents.push(Object {
                key: Some(encoding.encode(key)),
                e_tag: Some(ETag::Strong(description.etag)),
                size: Some(i64::try_from(description.size).map_err(S3Error::internal_error)?),
                last_modified: Some(description.modified.into()),
                storage_class: Some(properties::class_shown(&description.properties.headers).into()),
                checksum_type: super::checksums::kind(description.properties.checksum.as_ref()),
                checksum_algorithm: description
                    .properties
                    .checksum
                    .map(|checksum| vec![ChecksumAlgorithm::from_static(checksum.algorithm.name())]),
                ..Default::default()
            }),
        }
    }
    Ok((contents, common_prefixes))
}

/// ListObjects, the first version.
pub(super) fn list_v1(bucket: &Path, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let (max_keys, entries_max) = entries_max(input.max_keys)?;
    let encoding = Encoding::from_request(input.encoding_type.as_ref())?;
    let prefix = input.prefix.unwrap_or_default();
    let marker = input.marker.unwrap_or_default();
    let (entries, truncated) = page_after(bucket, &prefix, input.delimiter.as_deref(), &marker, entries_max)?;
    // Without a delimiter S3 omits the next marker, which is the last key.
    let next = entries.last().filter(|_| truncated && input.delimiter.is_some()).map(name_of);
    let (contents, common_prefixes) = contents(entries, encoding)?;
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.encode(prefix)),
        marker: Some(encoding.encode(marker)),
        max_keys: Some(max_keys),
        is_truncated: Some(truncated),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        delimiter: input.delimiter.map(|delimiter| encoding.encode(delimiter)),
        next_marker: next.map(|next| encoding.encode(next)),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

/// ListObjectVersions. A bucket has one version of each object.
pub(super) fn list_versions(bucket: &Path, input: ListObjectVersionsInput) -> S3Result<ListObjectVersionsOutput> {
    let (max_keys, entries_max) = entries_max(input.max_keys)?;
    let encoding = Encoding::from_request(input.encoding_type.as_ref())?;
    let prefix = input.prefix.unwrap_or_default();
    let marker = input.key_marker.unwrap_or_default();
    let (entries, truncated) = page_after(bucket, &prefix, input.delimiter.as_deref(), &marker, entries_max)?;
    let next = entries.last().filter(|_| truncated).map(name_of);
    let (contents, common_prefixes) = contents(entries, encoding)?;
    let versions = contents.into_iter().map(|object| ObjectVersion {
        key: object.key,
        version_id: Some("null".into()),
        is_latest: Some(true),
        e_tag: object.e_tag,
        size: object.size,
        last_modified: object.last_modified,
        storage_class: object.storage_class.map(|class| class.as_str().to_owned().into()),
        ..Default::default()
    });
    Ok(ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.encode(prefix)),
        key_marker: Some(encoding.encode(marker)),
        version_id_marker: input.version_id_marker,
        max_keys: Some(max_keys),
        is_truncated: Some(truncated),
        next_version_id_marker: next.as_ref().map(|_| "null".into()),
        next_key_marker: next.map(|next| encoding.encode(next)),
        versions: Some(versions.collect()),
        common_prefixes: Some(common_prefixes),
        delimiter: input.delimiter.map(|delimiter| encoding.encode(delimiter)),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

/// The end of a page. To clients it is opaque.
enum Token<'a> {
    Object(&'a str),
    CommonPrefix(&'a str),
}

impl<'a> Token<'a> {
    fn after(entry: &Entry) -> String {
        match entry {
            Entry::Object(key, _) => format!("object:{key}"),
            Entry::CommonPrefix(prefix) => format!("prefix:{prefix}"),
        }
    }

    fn parse(token: &'a str) -> S3Result<Self> {
        match token.split_once(':') {
            Some(("object", key)) => Ok(Self::Object(key)),
            Some(("prefix", prefix)) => Ok(Self::CommonPrefix(prefix)),
            _ => Err(s3_error!(InvalidArgument, "the continuation token {token:?} is not one of a listing")),
        }
    }
}
