//! Faults of requests that are found before a service gets them, and their responses in each protocol.

use super::json;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use s3s::Body;

/// The protocol of a request and its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// XML.
    S3,
    /// `x-amz-target` and JSON.
    Json,
    /// A form in, XML out.
    Sts,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is no signature.
    Unsigned,
    /// The signature cannot be parsed.
    Malformed(String),
    /// The signature, or the header with the hash of the body, is of a kind that is not implemented.
    Unsupported(String),
    /// It is signed with another key.
    UnknownKey,
    /// There is a session token, but the key is not a temporary one.
    Token,
    /// It is signed for another region or service.
    Scope(String),
    /// The time of the signature is too far in the past or future.
    Skewed,
    /// The presigned address has expired.
    Expired,
    /// The signature is wrong.
    Mismatch,
    /// This header must be signed, but is not.
    UnsignedHeader(String),
    /// The body is not the one that was signed.
    OtherPayload,
    /// The length of the body is missing.
    NoLength,
    /// The framing of the body is invalid.
    Frames(String),
    /// The trailer that a header names is missing.
    Trailer(String),
    /// The checksum in the trailer is wrong.
    Checksum(String),
    /// The checksum in the trailer is of a kind that is not implemented.
    UnknownTrailer(String),
    /// The client paused for too long.
    Slow,
    /// The body is larger than this.
    TooLarge(usize),
    /// The emulator failed.
    Internal(String),
}

impl Fault {
    /// Returns the status, the error code and the text of the response.
    fn answer(&self, protocol: Protocol) -> (StatusCode, &'static str, String) {
        let (bad, forbidden) = (StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN);
        let (status, code, text) = match self {
            Self::Unsigned => (forbidden, "AccessDenied", "Access Denied: the request is not signed".into()),
            Self::Malformed(why) | Self::Scope(why) => (bad, "AuthorizationHeaderMalformed", why.clone()),
            Self::Unsupported(why) => (bad, "InvalidRequest", why.clone()),
            Self::UnknownKey => (
                forbidden,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.".into(),
            ),
            Self::Token => (bad, "InvalidToken", "The provided token is malformed or otherwise invalid.".into()),
            Self::Skewed => (
                forbidden,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.".into(),
            ),
            Self::Expired => (forbidden, "AccessDenied", "Request has expired".into()),
            Self::Mismatch => (
                forbidden,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and \
                 signing method."
                    .into(),
            ),
            Self::UnsignedHeader(name) => (
                forbidden,
                "AccessDenied",
                format!("There were headers present in the request which were not signed: {name}"),
            ),
            Self::OtherPayload => (
                bad,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.".into(),
            ),
            Self::NoLength => (
                StatusCode::LENGTH_REQUIRED,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.".into(),
            ),
            Self::Frames(why) => (bad, "IncompleteBody", why.clone()),
            Self::Trailer(why) => (bad, "MalformedTrailerError", why.clone()),
            Self::Checksum(why) => (bad, "BadDigest", why.clone()),
            Self::UnknownTrailer(name) => {
                (StatusCode::NOT_IMPLEMENTED, "NotImplemented", format!("the trailer {name} is not implemented"))
            }
            Self::Slow => (
                bad,
                "RequestTimeout",
                "Your socket connection to the server was not read from or written to within the timeout period."
                    .into(),
            ),
            Self::TooLarge(max) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLargeException",
                format!("the body has more than {max} bytes"),
            ),
            Self::Internal(why) => {
                tracing::error!(why, "cannot answer a request");
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", why.clone())
            }
        };
        match (protocol, self.iam_codes()) {
            (Protocol::Json, Some((code, _))) => (bad, code, text),
            (Protocol::Sts, Some((_, code @ "IncompleteSignature"))) => (bad, code, text),
            (Protocol::Sts, Some((_, code))) => (forbidden, code, text),
            (Protocol::S3, _) | (_, None) => (status, code, text),
        }
    }

    /// The error code of JSON services and that of STS, where they differ from S3's.
    fn iam_codes(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Unsigned => Some(("MissingAuthenticationTokenException", "MissingAuthenticationToken")),
            Self::Malformed(_) | Self::Unsupported(_) => Some(("IncompleteSignatureException", "IncompleteSignature")),
            Self::UnknownKey | Self::Token => Some(("UnrecognizedClientException", "InvalidClientTokenId")),
            Self::Scope(_)
            | Self::Skewed
            | Self::Expired
            | Self::Mismatch
            | Self::UnsignedHeader(_)
            | Self::OtherPayload => Some(("InvalidSignatureException", "SignatureDoesNotMatch")),
            _ => None,
        }
    }

    /// Returns the response to the request.
    pub(super) fn response(&self, protocol: Protocol) -> Response<Body> {
        let (status, code, text) = self.answer(protocol);
        tracing::debug!(code, text, "a request was refused");
        match protocol {
            Protocol::S3 => document(status, "application/xml", error_document(code, &text)),
            Protocol::Json => document(status, "application/x-amz-json-1.1", json::error(code, &text)),
            Protocol::Sts => document(status, "text/xml", sts_document(code, &text)),
        }
    }
}

/// A response with a body.
pub(super) fn document(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The body of an error response of STS.
pub(super) fn sts_document(code: &str, text: &str) -> String {
    let error = error_document(code, text).replace("<Error>", "<Error><Type>Sender</Type>");
    format!("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">{error}</ErrorResponse>")
}

/// An XML element with an error. Its text may contain parts of a request, so characters that XML does not allow are removed.
fn error_document(code: &str, text: &str) -> String {
    let text: String = text.chars().filter(|char| !char.is_control()).collect();
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<Error><Code>{code}</Code><Message>{text}</Message></Error>")
}
