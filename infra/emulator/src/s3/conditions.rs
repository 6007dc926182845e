//! Conditions of requests: which version a read or write wants.

use crate::objects::Condition;
use crate::objects::attributes::Description;
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The conditions of a get, a head, or the source of a copy.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_match: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

/// Why an object is not what was asked for.
pub(super) enum Unwanted {
    /// It is known already.
    NotModified,
    Failed(&'static str),
}

impl Asked {
    /// 412 or 304 where the object is not what was asked for.
    pub(super) fn check(&self, object: &Description) -> S3Result<()> {
        match self.is_wanted(object) {
            Ok(()) => Ok(()),
            Err(Unwanted::Failed(why)) => Err(s3_error!(PreconditionFailed, "{why}")),
            Err(Unwanted::NotModified) => {
                let mut error = S3Error::new(S3ErrorCode::NotModified);
                let etag = ETag::Strong(object.etag.clone()).to_http_header().map_err(S3Error::internal_error)?;
                error.set_headers([(http::header::ETAG, etag)].into_iter().collect());
                Err(error)
            }
        }
    }

    /// As HTTP has it, a condition on the ETag outweighs the one on the time that goes with it.
    pub(super) fn is_wanted(&self, object: &Description) -> Result<(), Unwanted> {
        let modified = in_seconds(object.modified);
        match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) if !holds(condition, object) => {
                return Err(Unwanted::Failed("the object's ETag is not the one in If-Match"));
            }
            (None, Some(time)) if modified > *time => {
                return Err(Unwanted::Failed("the object was modified since the time in If-Unmodified-Since"));
            }
            _ => {}
        }
        match (&self.none_match, &self.modified_since) {
            (Some(condition), _) if holds(condition, object) => Err(Unwanted::NotModified),
            (None, Some(time)) if modified <= *time => Err(Unwanted::NotModified),
            _ => Ok(()),
        }
    }
}

/// As Last-Modified shows it.
fn in_seconds(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (UNIX_EPOCH + Duration::from_secs(since.as_secs())).into()
}

fn holds(condition: &ETagCondition, object: &Description) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == object.etag,
    }
}

/// The condition of a put or delete.
pub(super) fn of_write(matches: Option<ETagCondition>, none_match: Option<ETagCondition>) -> S3Result<Condition> {
    match (matches, none_match) {
        (None, None) => Ok(Condition::None),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::Version(etag.into_value())),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        // As S3: a put knows If-None-Match with a star alone, and one condition at a time.
        _ => Err(s3_error!(NotImplemented, "a write takes either If-Match or If-None-Match: *")),
    }
}
