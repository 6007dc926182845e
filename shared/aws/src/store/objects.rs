//! What readers and writers of large objects need besides: sizes, ranges of one version, bodies in parts, removal.

use super::{Put, Store, StoreError, Version, failed, refused, status};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use lake::layout::Place;
use std::ops::Range;

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// The ETag of its version, with its quotes.
    pub etag: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written: milliseconds since 1970, UTC.
    pub modified_ms: i64,
}

/// What a read of a range found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRead {
    /// There is no such object.
    Absent,
    /// The object has another version than the one asked for.
    Changed,
    /// The bytes.
    Found(Bytes),
}

/// The bytes that are sent at once: S3 takes parts of at least 5 MiB, and at most 10,000 of them.
const PART_BYTES: usize = 8 << 20;
const PARTS_MAX: i32 = 10_000;

impl Store {
    /// The objects below `prefix`, in key order, but not more than `objects_max`.
    ///
    /// # Errors
    /// If there are more, if there is no such bucket, or if S3 fails.
    pub fn objects<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        objects_max: usize,
    ) -> BoxFuture<'a, Result<Vec<Object>, StoreError>> {
        Box::pin(async move {
            let place = Place { bucket: bucket.to_owned(), key: prefix.to_owned() };
            let (mut found, mut continuation) = (Vec::new(), None);
            loop {
                let call = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
                let page = call.set_continuation_token(continuation).send().await;
                let page = page.map_err(|error| refused("list", &place, &error))?;
                for object in page.contents.unwrap_or_default() {
                    if let (Some(key), Some(etag)) = (object.key, object.e_tag) {
                        let bytes = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                        let modified_ms =
                            object.last_modified.and_then(|time| time.to_millis().ok()).unwrap_or_default();
                        found.push(Object { key, etag, bytes, modified_ms });
                    }
                }
                if found.len() > objects_max {
                    return Err(StoreError::told("list", &place, format!("there are more than {objects_max} objects")));
                }
                continuation = page.next_continuation_token;
                if continuation.is_none() {
                    return Ok(found);
                }
            }
        })
    }

    /// What is known of an object without reading it; none if there is no such object.
    ///
    /// # Errors
    /// If S3 fails.
    pub fn describe<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Object>, StoreError>> {
        Box::pin(async move {
            match self.client.head_object().bucket(&place.bucket).key(&place.key).send().await {
                Ok(found) => {
                    let etag = found.e_tag.ok_or_else(|| failed("head", place, &super::NoEtag))?;
                    let bytes = found.content_length.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                    let modified_ms = found.last_modified.and_then(|time| time.to_millis().ok()).unwrap_or_default();
                    Ok(Some(Object { key: place.key.clone(), etag, bytes, modified_ms }))
                }
                Err(error) if status(&error) == Some(404) => Ok(None),
                Err(error) => Err(refused("head", place, &error)),
            }
        })
    }

    /// Reads bytes of one version of an object; `etag` none is whatever version there is.
    ///
    /// # Errors
    /// If the range is not within the object, or if S3 fails.
    pub fn read_range<'a>(
        &'a self,
        place: &'a Place,
        etag: Option<&'a str>,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<RangeRead, StoreError>> {
        Box::pin(async move {
            if range.is_empty() {
                return Ok(RangeRead::Found(Bytes::new()));
            }
            let asked = format!("bytes={}-{}", range.start, range.end - 1);
            let call = self.client.get_object().bucket(&place.bucket).key(&place.key).range(asked);
            match call.set_if_match(etag.map(str::to_owned)).send().await {
                Ok(found) => {
                    let body = found.body.collect().await.map_err(|error| failed("read", place, &error))?;
                    Ok(RangeRead::Found(body.into_bytes()))
                }
                Err(error) if status(&error) == Some(412) => Ok(RangeRead::Changed),
                Err(error) if error.code() == Some("NoSuchBucket") => Err(refused("get", place, &error)),
                Err(error) if status(&error) == Some(404) => Ok(RangeRead::Absent),
                Err(error) => Err(refused("get", place, &error)),
            }
        })
    }

    /// Begins to write an object that must not be there yet, in parts: what is written is there when it is finished, and
    /// all at once.
    pub fn begin(&self, place: &Place) -> Writing {
        Writing { store: self.clone(), place: place.clone(), pending: BytesMut::new(), upload: None }
    }

    /// Removes an object. One that is not there is no error.
    ///
    /// # Errors
    /// If S3 fails.
    pub fn remove<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let answer = self.client.delete_object().bucket(&place.bucket).key(&place.key).send().await;
            answer.map(|_| ()).map_err(|error| refused("delete", place, &error))
        })
    }
}

/// An object being written. Memory holds one part of it.
#[derive(Debug)]
pub struct Writing {
    store: Store,
    place: Place,
    pending: BytesMut,
    upload: Option<Upload>,
}

#[derive(Debug)]
struct Upload {
    id: String,
    parts: Vec<CompletedPart>,
}

impl Writing {
    /// Adds bytes.
    ///
    /// # Errors
    /// If S3 fails, or if the object gets more parts than S3 takes.
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

    /// Puts the object there, unless one is there already.
    ///
    /// # Errors
    /// If S3 fails.
    pub fn finish(mut self) -> BoxFuture<'static, Result<Put, StoreError>> {
        Box::pin(async move {
            let rest = std::mem::take(&mut self.pending).freeze();
            // What fits into one part needs no upload in parts.
            if self.upload.is_none() {
                return self.store.put(&self.place, rest, &Version::Absent).await;
            }
            if !rest.is_empty() {
                self.send(rest).await?;
            }
            let Some(Upload { id, parts }) = self.upload.take() else { return Ok(Put::Lost) };
            let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
            let Place { bucket, key } = &self.place;
            let call = self.store.client.complete_multipart_upload().bucket(bucket).key(key).upload_id(id);
            match call.multipart_upload(parts).if_none_match("*").send().await {
                Ok(done) => {
                    self.store.counters.add(|counts| counts.objects_written += 1);
                    let etag = done.e_tag.ok_or_else(|| failed("put", &self.place, &super::NoEtag))?;
                    Ok(Put::Done(Version::Etag(etag)))
                }
                Err(error) if status(&error) == Some(412) => Ok(Put::Lost),
                Err(error) => Err(refused("put", &self.place, &error)),
            }
        })
    }

    /// Gives the object up: nothing of it stays.
    ///
    /// # Errors
    /// If S3 fails.
    pub fn abort(mut self) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async move {
            let Some(Upload { id, .. }) = self.upload.take() else { return Ok(()) };
            let Place { bucket, key } = &self.place;
            let call = self.store.client.abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
            call.send().await.map(|_| ()).map_err(|error| refused("abort", &self.place, &error))
        })
    }

    async fn send(&mut self, part: Bytes) -> Result<(), StoreError> {
        let Place { bucket, key } = &self.place;
        let client = &self.store.client;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let begun = client.create_multipart_upload().bucket(bucket).key(key).send().await;
                let begun = begun.map_err(|error| refused("begin", &self.place, &error))?;
                let id = begun.upload_id.ok_or_else(|| failed("begin", &self.place, &NoUpload))?;
                none.insert(Upload { id, parts: Vec::new() })
            }
        };
        let number = i32::try_from(upload.parts.len()).unwrap_or(i32::MAX).saturating_add(1);
        if number > PARTS_MAX {
            let cause = format!("it has more than {PARTS_MAX} parts of {PART_BYTES} bytes");
            return Err(StoreError::told("put", &self.place, cause));
        }
        let call = client.upload_part().bucket(bucket).key(key).upload_id(&upload.id).part_number(number);
        let sent = call.body(ByteStream::from(part)).send().await;
        let sent = sent.map_err(|error| refused("put a part of", &self.place, &error))?;
        upload.parts.push(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the answer names no upload")]
struct NoUpload;
