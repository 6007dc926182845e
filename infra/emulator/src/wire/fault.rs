//! Faults of requests that are found before a service gets them, and their responses in each protocol.

use super::json;
use crate::REGION;
use http::{Response, StatusCode};
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
    /// The signature is of a kind that is not implemented.
    Unsupported(String),
    /// It is signed with another key.
    UnknownKey,
    /// There is a session token, but the key is not a temporary one.
    Token,
    /// It is signed for another region.
    Region(String),
    /// It is signed for another service.
    Service(String),
    /// The time of the signature is too far in the past or future.
    Skewed,
    /// The presigned address has expired.
    Expired,
    /// The signature is wrong.
    Mismatch,
    /// This header must be signed, but is not.
    UnsignedHeader(String),
    /// The header with the hash of the body is missing or invalid.
    Payload(String),
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
        use Protocol::{Json, S3, Sts};
        let (bad, forbidden) = (StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN);
        // JSON services answer 400 where the others answer 403.
        let denied = if protocol == Json { bad } else { forbidden };
        let (status, code, text) = match (self, protocol) {
            (Self::Unsigned, S3) => (denied, "AccessDenied", "Access Denied: the request is not signed".into()),
            (Self::Unsigned, Json) => {
                (denied, "MissingAuthenticationTokenException", "Missing Authentication Token".into())
            }
            (Self::Unsigned, Sts) => {
                (denied, "MissingAuthenticationToken", "Request is missing Authentication Token".into())
            }
            (Self::Malformed(why), S3) => (bad, "AuthorizationHeaderMalformed", why.clone()),
            (Self::Malformed(why), Json) => (bad, "IncompleteSignatureException", why.clone()),
            (Self::Malformed(why), Sts) => (bad, "IncompleteSignature", why.clone()),
            (Self::Unsupported(why), S3) => (bad, "InvalidRequest", why.clone()),
            (Self::Unsupported(why), Json) => (bad, "IncompleteSignatureException", why.clone()),
            (Self::Unsupported(why), Sts) => (bad, "IncompleteSignature", why.clone()),
            (Self::UnknownKey, S3) => (
                denied,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.".into(),
            ),
            (Self::Token, S3) => (bad, "InvalidToken", "The provided token is malformed or otherwise invalid.".into()),
            (Self::UnknownKey | Self::Token, Json) => {
                (denied, "UnrecognizedClientException", "The security token included in the request is invalid.".into())
            }
            (Self::UnknownKey | Self::Token, Sts) => {
                (denied, "InvalidClientTokenId", "The security token included in the request is invalid.".into())
            }
            (Self::Region(given), _) => {
                let text = format!("the request is signed for the region {given:?}, expected {REGION:?}");
                let code = match protocol {
                    S3 => "AuthorizationHeaderMalformed",
                    Json => "InvalidSignatureException",
                    Sts => "SignatureDoesNotMatch",
                };
                (if protocol == S3 { bad } else { denied }, code, text)
            }
            (Self::Service(why), _) => {
                let code = match protocol {
                    S3 => "AuthorizationHeaderMalformed",
                    Json => "InvalidSignatureException",
                    Sts => "SignatureDoesNotMatch",
                };
                (if protocol == S3 { bad } else { denied }, code, why.clone())
            }
            (Self::Skewed, S3) => (
                denied,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.".into(),
            ),
            (Self::Expired, S3) => (denied, "AccessDenied", "Request has expired".into()),
            (Self::Mismatch, S3 | Sts) => (
                denied,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and \
                 signing method."
                    .into(),
            ),
            (Self::Mismatch, Json) => (
                denied,
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method."
                    .into(),
            ),
            (Self::Skewed | Self::Expired, Json) => {
                (denied, "InvalidSignatureException", "Signature expired or not yet valid".into())
            }
            (Self::Skewed | Self::Expired, Sts) => {
                (denied, "SignatureDoesNotMatch", "Signature expired or not yet valid".into())
            }
            (Self::UnsignedHeader(name), S3) => (
                denied,
                "AccessDenied",
                format!("There were headers present in the request which were not signed: {name}"),
            ),
            (Self::UnsignedHeader(name), Json) => {
                (denied, "InvalidSignatureException", format!("the header {name} must be signed, but is not"))
            }
            (Self::UnsignedHeader(name), Sts) => {
                (denied, "SignatureDoesNotMatch", format!("the header {name} must be signed, but is not"))
            }
            (Self::Payload(why), _) => (bad, "InvalidRequest", why.clone()),
            (Self::OtherPayload, S3) => (
                bad,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.".into(),
            ),
            (Self::OtherPayload, Json) => {
                (denied, "InvalidSignatureException", "the body is not the one that was signed".into())
            }
            (Self::OtherPayload, Sts) => {
                (denied, "SignatureDoesNotMatch", "the body is not the one that was signed".into())
            }
            (Self::NoLength, _) => (
                StatusCode::LENGTH_REQUIRED,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.".into(),
            ),
            (Self::Frames(why), _) => (bad, "IncompleteBody", why.clone()),
            (Self::Trailer(why), _) => (bad, "MalformedTrailerError", why.clone()),
            (Self::Checksum(why), _) => (bad, "BadDigest", why.clone()),
            (Self::UnknownTrailer(name), _) => {
                (StatusCode::NOT_IMPLEMENTED, "NotImplemented", format!("the trailer {name} is not implemented"))
            }
            (Self::Slow, _) => (
                bad,
                "RequestTimeout",
                "Your socket connection to the server was not read from or written to within the timeout period."
                    .into(),
            ),
            (Self::TooLarge(max), _) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLargeException",
                format!("the body has more than {max} bytes"),
            ),
            (Self::Internal(why), _) => {
                tracing::error!(why, "cannot answer a request");
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", why.clone())
            }
        };
        (status, code, text)
    }

    /// Returns the response to the request.
    pub(super) fn response(&self, protocol: Protocol) -> Response<Body> {
        let (status, code, text) = self.answer(protocol);
        tracing::debug!(code, text, "a request was refused");
        let (kind, document) = match protocol {
            Protocol::S3 => ("application/xml", s3_document(code, &text)),
            Protocol::Json => ("application/x-amz-json-1.1", json::error(code, &text)),
            Protocol::Sts => ("text/xml", sts_document(code, &text)),
        };
        let mut response = Response::new(Body::from(document));
        *response.status_mut() = status;
        response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
        response
    }
}

fn s3_document(code: &str, text: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{}</Message></Error>",
        escape(text)
    )
}

/// The body of an error response of STS.
pub(super) fn sts_document(code: &str, text: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{}</Message></Error></ErrorResponse>",
        escape(text)
    )
}

/// Escapes text for XML. It may contain parts of a request, so characters that XML does not allow are removed.
fn escape(text: &str) -> String {
    let allowed = text.chars().filter(|char| !char.is_control());
    allowed.fold(String::with_capacity(text.len()), |mut escaped, char| {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            other => escaped.push(other),
        }
        escaped
    })
}
