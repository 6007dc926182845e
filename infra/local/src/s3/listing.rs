//! ListObjectsV2: pages of a listing, and the tokens that lead from one to the next.

use super::Entry;
use crate::objects::list::{self, Query};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Error, S3Result, s3_error};
use std::path::Path;

/// S3 never lists more at once.
const KEYS_MAX: i32 = 1000;
/// What `encoding-type=url` leaves as it is.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'*');

pub(super) fn list(bucket: &Path, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let max_keys = input.max_keys.unwrap_or(KEYS_MAX);
    let entries_max = usize::try_from(max_keys.min(KEYS_MAX))
        .map_err(|_| s3_error!(InvalidArgument, "max-keys is {max_keys}, it must not be negative"))?;
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
    let url = input.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == EncodingType::URL);
    let encoded = |text: String| match url {
        true => utf8_percent_encode(&text, URL).to_string(),
        false => text,
    };

    let (mut contents, mut common_prefixes) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::CommonPrefix(prefix) => common_prefixes.push(CommonPrefix { prefix: Some(encoded(prefix)) }),
            Entry::Object(key, description) => contents.push(Object {
                key: Some(encoded(key)),
                e_tag: Some(ETag::Strong(description.etag)),
                size: Some(i64::try_from(description.size).map_err(S3Error::internal_error)?),
                last_modified: Some(description.modified.into()),
                storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                ..Default::default()
            }),
        }
    }
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

/// Where a page ended. Clients must not look into it.
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
