//! Bodies of requests: checks their signed hashes and decodes their chunks while they are read.
//!
//! Memory holds one piece of a body at a time.

use super::chunked;
use super::fault::Fault;
use super::signature::{CONTENT_SHA256, Payload};
use crate::objects::checksum::Algorithm;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use hex::encode as hex;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use s3s::Body;
use s3s::dto::StreamingBlob;
use sha2::{Digest, Sha256};
use std::io;
use std::sync::{Arc, OnceLock};

const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// How many bytes of the body of a refused request are read.
const DRAINED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The fault of a body that is found while a service reads it. The service only sees that reading fails; the response must
/// say why.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<OnceLock<Fault>>);

impl Faults {
    pub(super) fn get(&self) -> Option<&Fault> {
        self.0.get()
    }

    /// Records the first fault; returns the error for the reader of the body.
    pub(super) fn record(&self, fault: Fault) -> io::Error {
        let error = io::Error::new(io::ErrorKind::InvalidData, format!("{fault:?}"));
        // The first fault is the cause of later ones.
        let _ = self.0.set(fault);
        error
    }
}

/// Returns the request with its decoded body, which is checked while it is read.
pub(super) fn receive(mut request: Request<Body>, payload: Payload, faults: &Faults) -> Result<Request<Body>, Fault> {
    let headers = request.headers_mut();
    if !matches!(payload, Payload::Version2) {
        headers.remove(CONTENT_SHA256);
    }
    match payload {
        Payload::Unsigned | Payload::Version2 => Ok(request),
        Payload::Hash(hash) => {
            let faults = faults.clone();
            Ok(request.map(|body| check_hash(body, hash, faults)))
        }
        Payload::Framed(signing) => {
            strip_encoding(headers);
            headers.remove(TRANSFER_ENCODING);
            // Content-Length is that of the chunked body; the decoded length is in another header.
            let length = headers.remove(DECODED_LENGTH).ok_or(Fault::NoLength)?;
            headers.insert(CONTENT_LENGTH, length);
            let trailer = headers.get(TRAILER).map(|name| {
                let name = String::from_utf8_lossy(name.as_bytes());
                Algorithm::of_header(name.trim()).ok_or_else(|| Fault::UnknownTrailer(name.trim().to_owned()))
            });
            let trailer = trailer.transpose()?;
            let faults = faults.clone();
            Ok(request.map(|body| chunked::decode(body, signing, trailer, faults)))
        }
    }
}

/// Removes `aws-chunked` from the content encoding, as S3 does not store it.
fn strip_encoding(headers: &mut HeaderMap) {
    let Some(value) = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let is_framing = |encoding: &&str| encoding.eq_ignore_ascii_case("aws-chunked");
    let others: Vec<_> = value.split(',').map(str::trim).filter(|encoding| !is_framing(encoding)).collect();
    match HeaderValue::from_str(&others.join(",")) {
        Ok(rest) if !rest.is_empty() => headers.insert(CONTENT_ENCODING, rest),
        _ => headers.remove(CONTENT_ENCODING),
    };
}

/// Returns the body, which fails at its end unless its hash is `expected`.
fn check_hash(body: Body, expected: String, faults: Faults) -> Body {
    let state = (body, Sha256::new(), expected, faults);
    let stream = stream::try_unfold(state, |(mut body, mut hash, expected, faults)| async move {
        match body.next().await {
            Some(chunk) => {
                let chunk: Bytes = chunk.map_err(io::Error::other)?;
                hash.update(&chunk);
                Ok(Some((chunk, (body, hash, expected, faults))))
            }
            None if hex(hash.finalize()) == expected => Ok(None),
            None => Err(faults.record(Fault::OtherPayload)),
        }
    });
    Body::from(StreamingBlob::wrap(stream))
}

/// Reads the whole body; fails if it is larger than `bytes_max`.
pub(super) async fn whole(mut body: Body, bytes_max: usize) -> Result<Bytes, Fault> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Fault::Frames(format!("the body ends early: {error}")))?;
        if chunk.len() > bytes_max - bytes.len() {
            drain(body).await;
            return Err(Fault::TooLarge(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Reads the rest of the body of a refused request, up to a limit. Closing a connection with unread bytes resets it, and
/// the client may then lose the response.
pub(super) async fn drain(mut body: Body) {
    let mut bytes = 0;
    while bytes < DRAINED_BYTES_MAX
        && let Some(Ok(chunk)) = body.next().await
    {
        bytes += chunk.len();
    }
}
