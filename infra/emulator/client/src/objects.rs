//! S3: versioned reads, conditional puts, listings, byte ranges, uploads in parts, removal.

use crate::{answer_of, with_causes};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// The location of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectLocation {
    /// Its bucket.
    pub bucket: String,
    /// Its key, decoded.
    pub key: String,
}

impl fmt::Display for ObjectLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// The version of an object: its ETag, or that it does not exist.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The object does not exist.
    Absent,
    /// The ETag, with its quotes.
    Etag(String),
}

/// The body of an object and its version.
#[derive(Clone, Debug)]
pub struct VersionedObject {
    /// Its ETag, with its quotes.
    pub etag: String,
    /// Its body.
    pub body: Bytes,
}

/// The outcome of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object was written and has this version now.
    Done(Version),
    /// The object no longer has the expected version.
    Conflict,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// The ETag of its version, with its quotes.
    pub etag: String,
    /// Its size.
    pub bytes: u64,
    /// The time of its last write: milliseconds since 1970, UTC.
    pub modified_ms: i64,
}

/// The outcome of a read of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRead {
    /// The object does not exist.
    Absent,
    /// The object has another version than the requested one.
    Changed,
    /// The bytes.
    Bytes(Bytes),
}

/// The bytes of one part. S3 accepts at most 10,000 parts of at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
const PARTS_MAX: i32 = 10_000;

/// A failed call of S3: the call, the location and the cause.
#[derive(Debug)]
pub struct StoreError {
    call: &'static str,
    location: ObjectLocation,
    cause: String,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.call, self.location, self.cause)
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    fn new(call: &'static str, location: &ObjectLocation, cause: String) -> Self {
        Self { call, location: location.clone(), cause }
    }
}

/// The objects of S3.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
}

impl Store {
    /// A store behind `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reads an object; none if it does not exist.
    ///
    /// # Errors
    /// If S3 fails.
    pub fn read<'a>(
        &'a self,
        location: &'a ObjectLocation,
    ) -> BoxFuture<'a, Result<Option<VersionedObject>, StoreError>> {
        Box::pin(async move {
            match self.client.get_object().bucket(&location.bucket).key(&location.key).send().await {
                Ok(found) => {
                    let etag = found.e_tag.ok_or_else(|| failed("get", location, &NoEtag))?;
                    let body = found.body.collect().await.map_err(|error| failed("read", location, &error))?;
                    Ok(Some(VersionedObject { etag, body: body.into_bytes() }))
                }
                Err(error) if error.code() == Some("NoSuchBucket") => Err(refused("get", location, &error)),
                Err(error) if status(&error) == Some(404) => Ok(None),
                Err(error) => Err(refused("get", location, &error)),
            }
        })
    }

    /// Writes an object if it has the version `expected`.
    ///
    /// # Errors
    /// If S3 fails.
    pub fn put<'a>(
        &'a self,
        location: &'a ObjectLocation,
        body: Bytes,
        expected: &'a Version,
    ) -> BoxFuture<'a, Result<Put, StoreError>> {
        Box::pin(async move {
            let call = self.client.put_object().bucket(&location.bucket).key(&location.key);
            let call = match expected {
                Version::Absent => call.if_none_match("*"),
                Version::Etag(etag) => call.if_match(etag),
            };
            match call.body(ByteStream::from(body)).send().await {
                Ok(put) => {
                    let etag = put.e_tag.ok_or_else(|| failed("put", location, &NoEtag))?;
                    Ok(Put::Done(Version::Etag(etag)))
                }
                // 412: the object has another version. 404: the object is gone. 409: a concurrent request for the object
                // decides first.
                Err(error) if matches!(status(&error), Some(409 | 412)) || error.code() == Some("NoSuchKey") => {
                    Ok(Put::Conflict)
                }
                Err(error) => Err(refused("put", location, &error)),
            }
        })
    }

    /// Lists the objects below `prefix` in the order of their keys.
    ///
    /// # Errors
    /// If there are more than `objects_max`, if the bucket does not exist, or if S3 fails.
    pub fn objects<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        objects_max: usize,
    ) -> BoxFuture<'a, Result<Vec<Object>, StoreError>> {
        Box::pin(async move {
            let location = ObjectLocation { bucket: bucket.to_owned(), key: prefix.to_owned() };
            let (mut found, mut continuation) = (Vec::new(), None);
            loop {
                let call = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
                let page = call.set_continuation_token(continuation).send().await;
                let page = page.map_err(|error| refused("list", &location, &error))?;
                for object in page.contents.unwrap_or_default() {
                    if let (Some(key), Some(etag)) = (object.key, object.e_tag) {
                        let bytes = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                        let modified_ms =
                            object.last_modified.and_then(|time| time.to_millis().ok()).unwrap_or_default();
                        found.push(Object { key, etag, bytes, modified_ms });
                    }
                }
                if found.len() > objects_max {
                    return Err(StoreError::new("list", &location, format!("expected at most {objects_max} objects")));
                }
                continuation = page.next_continuation_token;
                if continuation.is_none() {
                    return Ok(found);
                }
            }
        })
    }

    /// Whether an object exists below `prefix`.
    ///
    /// # Errors
    /// If the bucket does not exist, or if S3 fails.
    pub fn has_objects<'a>(&'a self, bucket: &'a str, prefix: &'a str) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let location = ObjectLocation { bucket: bucket.to_owned(), key: prefix.to_owned() };
            let page = self.client.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(1).send().await;
            let page = page.map_err(|error| refused("list", &location, &error))?;
            Ok(page.contents.is_some_and(|objects| !objects.is_empty()))
        })
    }

    /// Reads a range of the version `etag` of an object, or of its current version.
    ///
    /// # Errors
    /// If the range is not within the object, if the bucket does not exist, or if S3 fails.
    pub fn read_range<'a>(
        &'a self,
        location: &'a ObjectLocation,
        etag: Option<&'a str>,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<RangeRead, StoreError>> {
        Box::pin(async move {
            if range.is_empty() {
                return Ok(RangeRead::Bytes(Bytes::new()));
            }
            let asked = format!("bytes={}-{}", range.start, range.end - 1);
            let call = self.client.get_object().bucket(&location.bucket).key(&location.key).range(asked);
            match call.set_if_match(etag.map(str::to_owned)).send().await {
                Ok(found) => {
                    let body = found.body.collect().await.map_err(|error| failed("read", location, &error))?;
                    Ok(RangeRead::Bytes(body.into_bytes()))
                }
                Err(error) if status(&error) == Some(412) => Ok(RangeRead::Changed),
                Err(error) if error.code() == Some("NoSuchBucket") => Err(refused("get", location, &error)),
                Err(error) if status(&error) == Some(404) => Ok(RangeRead::Absent),
                Err(error) => Err(refused("get", location, &error)),
            }
        })
    }

    /// Starts to write an object that must not exist yet, in parts. The object appears when [`ObjectWriter::finish`]
    /// succeeds.
    pub fn begin(&self, location: &ObjectLocation) -> ObjectWriter {
        ObjectWriter { store: self.clone(), location: location.clone(), pending: BytesMut::new(), upload: None }
    }

    /// Removes an object. Succeeds if it does not exist.
    ///
    /// # Errors
    /// If S3 fails.
    pub fn remove<'a>(&'a self, location: &'a ObjectLocation) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let answer = self.client.delete_object().bucket(&location.bucket).key(&location.key).send().await;
            answer.map(|_| ()).map_err(|error| refused("delete", location, &error))
        })
    }
}

/// Writes an object. Memory holds one part of it.
#[derive(Debug)]
pub struct ObjectWriter {
    store: Store,
    location: ObjectLocation,
    pending: BytesMut,
    upload: Option<MultipartUpload>,
}

#[derive(Debug)]
struct MultipartUpload {
    id: String,
    parts: Vec<CompletedPart>,
}

impl ObjectWriter {
    /// Adds bytes.
    ///
    /// # Errors
    /// If S3 fails, or if the object gets more parts than S3 accepts.
    pub fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.pending.extend_from_slice(bytes);
            while self.pending.len() >= PART_BYTES {
                let part = self.pending.split_to(PART_BYTES).freeze();
                self.send(part).await?;
            }
            Ok(())
        })
    }

    /// Creates the object unless one exists already.
    ///
    /// # Errors
    /// If S3 fails.
    pub fn finish(mut self) -> BoxFuture<'static, Result<Put, StoreError>> {
        Box::pin(async move {
            let rest = std::mem::take(&mut self.pending).freeze();
            // An object of one part needs no multipart upload.
            if self.upload.is_none() {
                return self.store.put(&self.location, rest, &Version::Absent).await;
            }
            if !rest.is_empty() {
                self.send(rest).await?;
            }
            let Some(MultipartUpload { id, parts }) = self.upload.take() else { return Ok(Put::Conflict) };
            let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
            let ObjectLocation { bucket, key } = &self.location;
            let call = self.store.client.complete_multipart_upload().bucket(bucket).key(key).upload_id(id);
            match call.multipart_upload(parts).if_none_match("*").send().await {
                Ok(done) => {
                    let etag = done.e_tag.ok_or_else(|| failed("put", &self.location, &NoEtag))?;
                    Ok(Put::Done(Version::Etag(etag)))
                }
                Err(error) if status(&error) == Some(412) => Ok(Put::Conflict),
                Err(error) => Err(refused("put", &self.location, &error)),
            }
        })
    }

    /// Aborts the upload and removes its parts.
    ///
    /// # Errors
    /// If S3 fails.
    pub fn abort(mut self) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async move {
            let Some(MultipartUpload { id, .. }) = self.upload.take() else { return Ok(()) };
            let ObjectLocation { bucket, key } = &self.location;
            let call = self.store.client.abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
            call.send().await.map(|_| ()).map_err(|error| refused("abort", &self.location, &error))
        })
    }

    async fn send(&mut self, part: Bytes) -> Result<(), StoreError> {
        let ObjectLocation { bucket, key } = &self.location;
        let client = &self.store.client;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let begun = client.create_multipart_upload().bucket(bucket).key(key).send().await;
                let begun = begun.map_err(|error| refused("begin", &self.location, &error))?;
                let id = begun.upload_id.ok_or_else(|| failed("begin", &self.location, &NoUpload))?;
                none.insert(MultipartUpload { id, parts: Vec::new() })
            }
        };
        let number = i32::try_from(upload.parts.len()).unwrap_or(i32::MAX).saturating_add(1);
        if number > PARTS_MAX {
            let cause = format!("expected at most {PARTS_MAX} parts of {PART_BYTES} bytes");
            return Err(StoreError::new("put", &self.location, cause));
        }
        let call = client.upload_part().bucket(bucket).key(key).upload_id(&upload.id).part_number(number);
        let sent = call.body(ByteStream::from(part)).send().await;
        let sent = sent.map_err(|error| refused("put a part of", &self.location, &error))?;
        upload.parts.push(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the answer names no upload")]
struct NoUpload;

#[derive(Debug, thiserror::Error)]
#[error("the answer names no ETag")]
struct NoEtag;

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// The error of a call that failed or that S3 refused.
fn refused<E>(call: &'static str, location: &ObjectLocation, error: &SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    StoreError { call, location: location.clone(), cause: answer_of(error) }
}

/// The error of an answer that lacks a part.
fn failed(call: &'static str, location: &ObjectLocation, error: &(dyn std::error::Error + 'static)) -> StoreError {
    StoreError { call, location: location.clone(), cause: with_causes(error) }
}
