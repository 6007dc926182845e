//! What a write stores with an object besides its bytes, and the refusal of what is not implemented.

use crate::objects::attributes::Headers;
use percent_encoding::percent_decode_str;
use s3s::dto::{Metadata, StorageClass, Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use std::collections::BTreeMap;

/// S3's limits.
const METADATA_BYTES_MAX: usize = 2048;
const TAGS_MAX: usize = 10;
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;

/// Takes the headers out of a request that are stored with an object.
macro_rules! headers {
    ($input:expr) => {
        $crate::s3::properties::headers_of(
            $crate::objects::attributes::Headers {
                content_type: $input.content_type.take(),
                content_encoding: $input.content_encoding.take(),
                content_language: $input.content_language.take(),
                content_disposition: $input.content_disposition.take(),
                cache_control: $input.cache_control.take(),
                storage_class: $crate::s3::properties::storage_class($input.storage_class.as_ref())?,
                ..Default::default()
            },
            $input.expires.take(),
            $input.metadata.take(),
        )
    };
}

/// Refuses features of a write that are not implemented.
macro_rules! refuse_special {
    ($what:literal, $input:expr) => {
        $crate::s3::properties::refuse_any(
            $what,
            &[
                ("an access control list", {
                    let owners = ["private", "bucket-owner-full-control"];
                    $input.acl.as_ref().is_some_and(|acl| !owners.contains(&acl.as_str()))
                        || $input.grant_full_control.is_some()
                        || $input.grant_read.is_some()
                        || $input.grant_read_acp.is_some()
                        || $input.grant_write_acp.is_some()
                }),
                ("an object lock", {
                    $input.object_lock_mode.is_some()
                        || $input.object_lock_legal_hold_status.is_some()
                        || $input.object_lock_retain_until_date.is_some()
                }),
                ("encryption other than AES256", {
                    $input.sse_customer_key.is_some()
                        || $input.sse_customer_algorithm.is_some()
                        || $input.ssekms_key_id.is_some()
                        || $input.server_side_encryption.as_ref().is_some_and(|kind| kind.as_str() != "AES256")
                }),
                ("a redirect", $input.website_redirect_location.is_some()),
            ],
        )
    };
}

pub(super) use {headers, refuse_special};

pub(super) fn refuse_any(what: &str, asked: &[(&str, bool)]) -> S3Result<()> {
    match asked.iter().find(|(_, asked)| *asked) {
        Some((special, _)) => {
            Err(S3Error::with_message(S3ErrorCode::NotImplemented, format!("{what} with {special} is not implemented")))
        }
        None => Ok(()),
    }
}

/// Accepts storage classes whose objects can be read without a restore; `None` for STANDARD.
pub(super) fn storage_class(asked: Option<&StorageClass>) -> S3Result<Option<String>> {
    match asked.map(StorageClass::as_str) {
        None | Some(StorageClass::STANDARD) => Ok(None),
        Some(
            class @ (StorageClass::REDUCED_REDUNDANCY
            | StorageClass::STANDARD_IA
            | StorageClass::ONEZONE_IA
            | StorageClass::INTELLIGENT_TIERING
            | StorageClass::GLACIER_IR),
        ) => Ok(Some(class.to_owned())),
        Some(class @ (StorageClass::GLACIER | StorageClass::DEEP_ARCHIVE)) => {
            Err(s3_error!(NotImplemented, "the storage class {class}, which needs RestoreObject, is not implemented"))
        }
        Some(_) => Err(s3_error!(InvalidStorageClass, "The storage class you specified is not valid")),
    }
}

/// The storage class for listings, which name STANDARD, too.
pub(super) fn class_shown(headers: &Headers) -> String {
    headers.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.to_owned())
}

pub(super) fn headers_of(known: Headers, expires: Option<Timestamp>, metadata: Option<Metadata>) -> S3Result<Headers> {
    let metadata: BTreeMap<_, _> = metadata.unwrap_or_default().into_iter().collect();
    let size: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > METADATA_BYTES_MAX {
        return Err(s3_error!(
            MetadataTooLarge,
            "the metadata have {size} bytes, at most {METADATA_BYTES_MAX} are allowed"
        ));
    }
    let expires = expires.map(|time| {
        let mut text = Vec::new();
        time.format(TimestampFormat::HttpDate, &mut text).map_err(S3Error::internal_error)?;
        String::from_utf8(text).map_err(S3Error::internal_error)
    });
    Ok(Headers { expires: expires.transpose()?, metadata, ..known })
}

/// The header Expires of the object.
pub(super) fn expires(headers: &Headers) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::HttpDate, headers.expires.as_deref()?).ok()
}

/// Sets the fields of a response to the headers of an object.
macro_rules! show_headers {
    ($output:expr, $headers:expr) => {
        let headers: $crate::objects::attributes::Headers = $headers;
        $output.expires = $crate::s3::properties::expires(&headers);
        $output.cache_control = headers.cache_control;
        $output.storage_class = headers.storage_class.map(s3s::dto::StorageClass::from);
        $output.content_disposition = headers.content_disposition;
        $output.content_encoding = headers.content_encoding;
        $output.content_language = headers.content_language;
        $output.content_type = headers.content_type.or_else(|| Some("binary/octet-stream".into()));
        $output.metadata = Some(headers.metadata.into_iter().collect());
    };
}

pub(super) use show_headers;

/// The tags of a header such as `a=1&b=2`.
pub(super) fn tags(header: Option<&str>) -> S3Result<BTreeMap<String, String>> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        let text = percent_decode_str(&text).decode_utf8().map(|text| text.into_owned());
        text.map_err(|_| s3_error!(InvalidTag, "a tag is not UTF-8"))
    };
    let pairs = header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let tags = pairs.map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decoded(key)?, decoded(value)?))
    });
    checked_tags(tags.collect::<S3Result<Vec<_>>>()?)
}

/// Checks tags against S3's limits.
pub(super) fn checked_tags(pairs: Vec<(String, String)>) -> S3Result<BTreeMap<String, String>> {
    if pairs.len() > TAGS_MAX {
        return Err(s3_error!(InvalidTag, "Object tags cannot be greater than {TAGS_MAX}"));
    }
    let mut tags = BTreeMap::new();
    for (key, value) in pairs {
        if key.is_empty() || key.chars().count() > TAG_KEY_CHARS_MAX || value.chars().count() > TAG_VALUE_CHARS_MAX {
            return Err(s3_error!(
                InvalidTag,
                "a tag's key has 1 to {TAG_KEY_CHARS_MAX} characters, its value up to {TAG_VALUE_CHARS_MAX}: {key:?}"
            ));
        }
        if tags.insert(key.clone(), value).is_some() {
            return Err(s3_error!(InvalidTag, "the tag {key:?} is given twice"));
        }
    }
    Ok(tags)
}
