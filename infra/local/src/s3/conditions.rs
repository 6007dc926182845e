//! Conditions of requests: which version a read or write wants.

use crate::objects::Condition;
use crate::objects::attributes::Description;
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

/// The conditions of a get or head.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_match: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

impl Asked {
    /// 412 or 304 where the object is not what was asked for.
    pub(super) fn check(&self, object: &Description) -> S3Result<()> {
        super::refuse(
            "a read conditional on a time",
            self.modified_since.is_some() || self.unmodified_since.is_some(),
        )?;
        if self.matches.as_ref().is_some_and(|condition| !holds(condition, object)) {
            return Err(s3_error!(PreconditionFailed, "the object's ETag is not the one in If-Match"));
        }
        if self.none_match.as_ref().is_some_and(|condition| holds(condition, object)) {
            let mut error = S3Error::new(S3ErrorCode::NotModified);
            let etag = ETag::Strong(object.etag.clone()).to_http_header().map_err(S3Error::internal_error)?;
            error.set_headers([(http::header::ETAG, etag)].into_iter().collect());
            return Err(error);
        }
        Ok(())
    }
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
