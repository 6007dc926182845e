//! Bodies on their way in: checked against what was signed, and taken out of their frames, as they are read.
//!
//! None of it holds more of a body than the piece that just came.

use super::checksum::Running;
use super::chunked;
use super::fault::Fault;
use super::signature::{CONTENT_SHA256, Payload};
use crate::objects::attributes::hex;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use s3s::Body;
use s3s::dto::StreamingBlob;
use sha2::{Digest, Sha256};
use std::io;
use std::sync::{Arc, OnceLock};

const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// Of a body that nobody wants so much is taken in all the same.
const DRAINED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What is found wrong with a body while a service reads it. To the service the body just breaks off; the answer must
/// say why.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<OnceLock<Fault>>);

impl Faults {
    pub(super) fn get(&self) -> Option<&Fault> {
        self.0.get()
    }

    /// Remembers the first fault, and gives what the reader of the body is told.
    pub(super) fn found(&self, fault: Fault) -> io::Error {
        let error = io::Error::new(io::ErrorKind::InvalidData, format!("{fault:?}"));
        // Of several only the first is the cause.
        let _ = self.0.set(fault);
        error
    }
}

/// The same request with its body as it is meant, which is checked while it is read.
pub(super) fn receive(mut request: Request<Body>, payload: Payload, faults: &Faults) -> Result<Request<Body>, Fault> {
    let headers = request.headers_mut();
    headers.remove(CONTENT_SHA256);
    match payload {
        Payload::Unsigned => Ok(request),
        Payload::Hash(hash) => {
            let faults = faults.clone();
            Ok(request.map(|body| hashed(body, hash, faults)))
        }
        Payload::Framed(signing) => {
            strip_encoding(headers);
            headers.remove(TRANSFER_ENCODING);
            // The length that was announced is the framed one; the body's own is in another header.
            let length = headers.remove(DECODED_LENGTH).ok_or(Fault::NoLength)?;
            headers.insert(CONTENT_LENGTH, length);
            let announced = headers.get(TRAILER).map(|name| String::from_utf8_lossy(name.as_bytes()).trim().to_owned());
            let checksum = announced
                .as_deref()
                .map(|name| Running::of(name).ok_or_else(|| Fault::UnknownTrailer(name.to_owned())));
            let announced = announced.clone().zip(checksum.transpose()?);
            let faults = faults.clone();
            Ok(request.map(|body| chunked::decode(body, signing, announced, faults)))
        }
    }
}

/// Takes `aws-chunked` out of the content encoding, which S3 does not store either.
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

/// The body, which breaks off at its end if its hash is another.
fn hashed(body: Body, expected: String, faults: Faults) -> Body {
    let state = (body, Sha256::new(), expected, faults);
    let stream = stream::try_unfold(state, |(mut body, mut hash, expected, faults)| async move {
        match body.next().await {
            Some(chunk) => {
                let chunk: Bytes = chunk.map_err(io::Error::other)?;
                hash.update(&chunk);
                Ok(Some((chunk, (body, hash, expected, faults))))
            }
            None if hex(&hash.finalize()) == expected => Ok(None),
            None => Err(faults.found(Fault::OtherPayload)),
        }
    });
    Body::from(StreamingBlob::wrap(stream))
}

/// The whole body, if it is not larger than `bytes_max`.
pub(super) async fn whole(mut body: Body, bytes_max: usize) -> Result<Bytes, Fault> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Fault::Frames(format!("the body breaks off: {error}")))?;
        if chunk.len() > bytes_max - bytes.len() {
            drain(body).await;
            return Err(Fault::TooLarge(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Takes in what a refused client is still sending, within bounds: a connection that is closed with bytes unread is reset,
/// and with that the client may lose the answer.
pub(super) async fn drain(mut body: Body) {
    let mut bytes = 0;
    while bytes < DRAINED_BYTES_MAX
        && let Some(Ok(chunk)) = body.next().await
    {
        bytes += chunk.len();
    }
}
