//! S3: versioned reads, conditional puts, lists. Every put names the version that was read, or that there was no object.

use crate::counters::Counters;
use crate::error_kind::{ErrorKind, Failure};
use crate::{answer_of, kind_of, with_causes};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use futures::future::BoxFuture;
use model::layout::ObjectLocation;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Versioned objects in S3.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    counters: Arc<Counters>,
}

/// The version of an object: its ETag, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// There is no such object.
    Absent,
    /// The ETag, with its quotes.
    Etag(String),
}

/// The result of a read.
#[derive(Clone, Debug)]
pub enum Read {
    /// The object has the version that the reader knows.
    Unchanged,
    /// There is no such object.
    Absent,
    /// The object in its current version.
    Found {
        /// Its ETag.
        etag: String,
        /// Its body.
        body: Bytes,
    },
}

/// The result of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object was written and has this version.
    Done(Version),
    /// The object does not have the expected version. This may be the answer to an own put whose first response was lost and
    /// which the SDK sent again. Read the object before you decide.
    Conflict,
}

impl Put {
    /// Whether the object was written.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

/// The objects below a prefix: key and ETag, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Key → ETag.
    pub objects: BTreeMap<String, String>,
    /// Whether the list has all objects below the prefix.
    pub complete: bool,
}

impl Listing {
    /// The version of the object at `key`; none if the list is incomplete and does not have it.
    pub fn version(&self, key: &str) -> Option<Version> {
        match self.objects.get(key) {
            Some(etag) => Some(Version::Etag(etag.clone())),
            None => self.complete.then_some(Version::Absent),
        }
    }
}

/// A failed S3 call.
#[derive(Debug)]
pub struct StoreError {
    call: &'static str,
    location: ObjectLocation,
    cause: String,
    kind: ErrorKind,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.call, self.location, self.cause)
    }
}

impl std::error::Error for StoreError {}

impl Failure for StoreError {
    fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// The version of an object, and when it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The ETag.
    pub etag: String,
    /// The Last-Modified.
    pub stored_ms: i64,
}

fn stored_ms(call: &'static str, modified: Option<DateTime>, location: &ObjectLocation) -> Result<i64, StoreError> {
    let modified = modified.and_then(|modified| modified.to_millis().ok());
    modified.ok_or_else(|| failed(call, location, &NoLastModified))
}

/// How often a put is sent while S3 answers 409: another request for the object is under way.
const CONFLICT_ATTEMPTS_MAX: u32 = 6;
const CONFLICT_FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The most objects that S3 lists in one answer.
const LIST_OBJECTS_MAX: usize = 1000;

impl Store {
    /// A store behind `client` that counts its puts.
    pub fn new(client: Client, counters: Arc<Counters>) -> Self {
        Self { client, counters }
    }

    /// Reads an object. `known` is the ETag of a version that the reader has.
    pub fn read<'a>(
        &'a self,
        location: &'a ObjectLocation,
        known: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Read, StoreError>> {
        self.read_range_of(location, known, None)
    }

    /// As [`Self::read`], but at most the first `bytes_max` bytes. S3 refuses this for an empty object.
    pub fn read_start<'a>(
        &'a self,
        location: &'a ObjectLocation,
        known: Option<&'a str>,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Read, StoreError>> {
        self.read_range_of(location, known, Some(format!("bytes=0-{}", bytes_max.saturating_sub(1))))
    }

    fn read_range_of<'a>(
        &'a self,
        location: &'a ObjectLocation,
        known: Option<&'a str>,
        range: Option<String>,
    ) -> BoxFuture<'a, Result<Read, StoreError>> {
        Box::pin(async move {
            let Some(object) = self.get(location, known, range).await? else { return Ok(Read::Absent) };
            let Some(StoredObject { etag, stream, .. }) = object else { return Ok(Read::Unchanged) };
            let body = stream.collect().await.map_err(|error| failed("read", location, &error))?;
            Ok(Read::Found { etag, body: body.into_bytes() })
        })
    }

    /// Opens an object to read it in chunks; none if there is no object or it is archived.
    pub fn open<'a>(&'a self, location: &'a ObjectLocation) -> BoxFuture<'a, Result<Option<Body>, StoreError>> {
        Box::pin(async move {
            let Some(Some(object)) = self.get(location, None, None).await? else { return Ok(None) };
            let StoredObject { etag, modified, stream } = object;
            let stored_ms = stored_ms("get", modified, location)?;
            Ok(Some(Body { etag, stored_ms, stream, location: location.clone() }))
        })
    }

    /// `None`: absent. `Some(None)`: unchanged.
    async fn get(
        &self,
        location: &ObjectLocation,
        known: Option<&str>,
        range: Option<String>,
    ) -> Result<Option<Option<StoredObject>>, StoreError> {
        let call = self.client.get_object().bucket(&location.bucket).key(&location.key).set_range(range);
        match call.set_if_none_match(known.map(str::to_owned)).send().await {
            Ok(GetObjectOutput { e_tag: Some(etag), body: stream, last_modified: modified, .. }) => {
                Ok(Some(Some(StoredObject { etag, modified, stream })))
            }
            Ok(_) => Err(failed("get", location, &NoEtag)),
            Err(error) if status(&error) == Some(304) => Ok(Some(None)),
            Err(error) if error.code() == Some("NoSuchBucket") => Err(refused("get", location, &error)),
            // Until it is restored, an archived object counts as deleted.
            Err(error) if status(&error) == Some(404) || error.code() == Some("InvalidObjectState") => Ok(None),
            Err(error) => Err(refused("get", location, &error)),
        }
    }

    /// Returns the current version of an object.
    pub fn version<'a>(&'a self, location: &'a ObjectLocation) -> BoxFuture<'a, Result<Version, StoreError>> {
        Box::pin(async move {
            Ok(self.stored(location).await?.map_or(Version::Absent, |stored| Version::Etag(stored.etag)))
        })
    }

    /// Returns the current version of an object, and when it was stored; none if there is no object.
    pub fn stored<'a>(&'a self, location: &'a ObjectLocation) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            let call = self.client.head_object().bucket(&location.bucket).key(&location.key);
            match call.send().await {
                Ok(head) => {
                    let etag = head.e_tag.ok_or_else(|| failed("head", location, &NoEtag))?;
                    Ok(Some(Stored { etag, stored_ms: stored_ms("head", head.last_modified, location)? }))
                }
                Err(error) if status(&error) == Some(404) => Ok(None),
                Err(error) => Err(refused("head", location, &error)),
            }
        })
    }

    /// Puts an object on condition that it has the version `expected`.
    pub fn put<'a>(
        &'a self,
        location: &'a ObjectLocation,
        body: Bytes,
        expected: &'a Version,
    ) -> BoxFuture<'a, Result<Put, StoreError>> {
        Box::pin(async move {
            let mut pause = CONFLICT_FIRST_PAUSE;
            let mut attempt = 1;
            loop {
                let body = ByteStream::from(body.clone());
                let call = self.client.put_object().bucket(&location.bucket).key(&location.key).body(body);
                let call = match expected {
                    Version::Absent => call.if_none_match("*"),
                    Version::Etag(etag) => call.if_match(etag),
                };
                match call.send().await {
                    Ok(put) => {
                        self.counters.add(|counts| counts.objects_written += 1);
                        return put
                            .e_tag
                            .map(|etag| Put::Done(Version::Etag(etag)))
                            .ok_or_else(|| failed("put", location, &NoEtag));
                    }
                    Err(error) if is_conflict(&error) => {
                        self.counters.add(|counts| counts.conflicts += 1);
                        return Ok(Put::Conflict);
                    }
                    // 409: another request for the object is under way, and it may fail. So the answer says nothing about
                    // the condition. The SDK does not repeat such a put.
                    Err(error) if status(&error) == Some(409) => {
                        self.counters.add(|counts| counts.conflicts += 1);
                        if attempt == CONFLICT_ATTEMPTS_MAX {
                            return Err(refused("put", location, &error));
                        }
                        self.counters.add(|counts| counts.retries += 1);
                        tokio::time::sleep(pause).await;
                        pause *= 2;
                        attempt += 1;
                    }
                    Err(error) => return Err(refused("put", location, &error)),
                }
            }
        })
    }

    /// Deletes an object. If there is none, it does nothing.
    pub fn delete<'a>(&'a self, location: &'a ObjectLocation) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let call = self.client.delete_object().bucket(&location.bucket).key(&location.key);
            call.send().await.map(drop).map_err(|error| refused("delete", location, &error))
        })
    }

    /// Creates a bucket that does not exist. On AWS, Terraform does this.
    pub fn create_bucket<'a>(&'a self, bucket: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            match self.client.create_bucket().bucket(bucket).send().await {
                Ok(_) => Ok(()),
                Err(error) if matches!(error.code(), Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists")) => Ok(()),
                Err(error) => {
                    let location = ObjectLocation { bucket: bucket.to_owned(), key: String::new() };
                    Err(refused("create", &location, &error))
                }
            }
        })
    }

    /// Lists the objects below `prefix`: all, or the first thousand.
    pub fn list<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        all: bool,
    ) -> BoxFuture<'a, Result<Listing, StoreError>> {
        Box::pin(async move {
            let location = ObjectLocation { bucket: bucket.to_owned(), key: prefix.to_owned() };
            let mut listing = Listing::default();
            let mut continuation = None;
            loop {
                let call =
                    self.client.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(LIST_OBJECTS_MAX as i32);
                let page = call.set_continuation_token(continuation).send().await;
                let page = page.map_err(|error| refused("list", &location, &error))?;
                for object in page.contents.unwrap_or_default() {
                    if let (Some(key), Some(etag)) = (object.key, object.e_tag) {
                        listing.objects.insert(key, etag);
                    }
                }
                continuation = page.next_continuation_token;
                listing.complete = continuation.is_none();
                if listing.complete || !all {
                    return Ok(listing);
                }
            }
        })
    }
}

/// An object as S3 answers it.
struct StoredObject {
    etag: String,
    modified: Option<DateTime>,
    stream: ByteStream,
}

/// The body of an object, in chunks.
pub struct Body {
    /// The object's ETag.
    pub etag: String,
    /// When S3 stored the object.
    pub stored_ms: i64,
    stream: ByteStream,
    location: ObjectLocation,
}

impl Body {
    /// Reads the next chunk; none at the end.
    pub fn chunk(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        Box::pin(async move { self.stream.try_next().await.map_err(|error| failed("read", &self.location, &error)) })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the answer names no ETag")]
struct NoEtag;

#[derive(Debug, thiserror::Error)]
#[error("the answer names no Last-Modified")]
struct NoLastModified;

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Whether S3 refused a put because its condition does not hold: another version is there (412), or the version that was
/// read is deleted (404).
fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(412) || error.code() == Some("NoSuchKey")
}

/// A call that failed or was refused.
fn refused<E>(call: &'static str, location: &ObjectLocation, error: &SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    StoreError { call, location: location.clone(), cause: answer_of(error), kind: kind_of(error) }
}

/// An answer that cannot be used.
fn failed(call: &'static str, location: &ObjectLocation, error: &(dyn std::error::Error + 'static)) -> StoreError {
    StoreError { call, location: location.clone(), cause: with_causes(error), kind: ErrorKind::Retry }
}
