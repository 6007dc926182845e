//! Conditions of requests on the version of an object.

use crate::objects::Condition;
use crate::objects::attributes::Description;
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The conditions of a get, a head, or on the source of a copy.
#[derive(Default)]
pub(super) struct ReadConditions {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_match: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

/// Why the conditions of a read do not hold.
pub(super) enum FailedCondition {
    /// The client has this version already.
    NotModified,
    Failed(&'static str),
}

impl ReadConditions {
    /// Fails with 412 or 304 unless the conditions hold.
    pub(super) fn check(&self, object: &Description) -> S3Result<()> {
        match self.evaluate(object) {
            Ok(()) => Ok(()),
            Err(FailedCondition::Failed(why)) => Err(s3_error!(PreconditionFailed, "{why}")),
            Err(FailedCondition::NotModified) => {
                let mut error = S3Error::new(S3ErrorCode::NotModified);
                let etag = ETag::Strong(object.etag.clone()).to_http_header().map_err(S3Error::internal_error)?;
                error.set_headers([(http::header::ETAG, etag)].into_iter().collect());
                Err(error)
            }
        }
    }

    /// Evaluates the conditions. As in HTTP, a condition on the ETag overrides the corresponding one on the time.
    pub(super) fn evaluate(&self, object: &Description) -> Result<(), FailedCondition> {
        let modified = in_seconds(object.modified);
        match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) if !holds(condition, object) => {
                return Err(FailedCondition::Failed("the object's ETag is not the one in If-Match"));
            }
            (None, Some(time)) if modified > *time => {
                return Err(FailedCondition::Failed("the object was modified since the time in If-Unmodified-Since"));
            }
            _ => {}
        }
        match (&self.none_match, &self.modified_since) {
            (Some(condition), _) if holds(condition, object) => Err(FailedCondition::NotModified),
            (None, Some(time)) if modified <= *time => Err(FailedCondition::NotModified),
            _ => Ok(()),
        }
    }
}

/// The time to the second, as in Last-Modified.
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
        // As in S3: a put accepts only * in If-None-Match, and only one condition.
        _ => Err(s3_error!(NotImplemented, "a write takes either If-Match or If-None-Match: *")),
    }
}
