//! The S3 operations that are implemented, on [`s3s`], which parses requests and writes answers.
//!
//! What is missing here answers `NotImplemented`: that is the crate's default for an operation, and what the checks
//! below answer for a header or parameter whose effect we would have to fake.

mod conditions;
mod listing;
mod write;

use crate::objects::attributes::Description;
use crate::objects::list::Entry;
use crate::objects::{Objects, WriteError};
use conditions::Asked;
use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bodies up to this size are read at once, larger ones as they are sent.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// The S3 service over a lake's objects.
pub(crate) struct Service {
    pub(crate) objects: Arc<Objects>,
}

impl Service {
    fn bucket(&self, name: &str) -> S3Result<PathBuf> {
        self.objects.bucket(name).ok_or_else(|| no_such_bucket(name))
    }

    /// The object, if it exists and satisfies what was asked.
    fn read(&self, bucket: &str, key: &str, asked: &Asked) -> S3Result<(File, Description)> {
        let directory = self.bucket(bucket)?;
        let object = self.objects.read(&directory, key).map_err(S3Error::internal_error)?;
        let (file, description) = object.ok_or_else(|| s3_error!(NoSuchKey, "there is no object {key}"))?;
        asked.check(&description)?;
        Ok((file, description))
    }
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = req.input.bucket;
        self.objects.create_bucket(&bucket).map_err(S3Error::internal_error)?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{bucket}")) }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(crate::REGION.into()), ..Default::default() }))
    }

    async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let input = req.input;
        refuse(
            "ListBuckets with paging or a region",
            input.continuation_token.is_some() || input.max_buckets.is_some(),
        )?;
        let names = self.objects.buckets().map_err(S3Error::internal_error)?;
        let prefix = input.prefix.unwrap_or_default();
        let buckets = names.into_iter().filter(|name| name.starts_with(&prefix));
        let buckets = buckets.map(|name| Bucket { name: Some(name), ..Default::default() }).collect();
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), ..Default::default() }))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        refuse("HeadObject of a part, version or range, or with a customer key", {
            input.part_number.is_some()
                || input.version_id.is_some()
                || input.range.is_some()
                || input.sse_customer_key.is_some()
        })?;
        let asked = Asked {
            matches: input.if_match,
            none_match: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        let (_, description) = self.read(&input.bucket, &input.key, &asked)?;
        let headers = description.headers;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            cache_control: headers.cache_control,
            content_disposition: headers.content_disposition,
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            content_length: Some(i64::try_from(description.size).map_err(S3Error::internal_error)?),
            content_type: headers.content_type.or_else(default_type),
            e_tag: Some(ETag::Strong(description.etag)),
            last_modified: Some(description.modified.into()),
            metadata: Some(headers.metadata.into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        refuse("GetObject of a part or version, or with a customer key", {
            input.part_number.is_some() || input.version_id.is_some() || input.sse_customer_key.is_some()
        })?;
        let asked = Asked {
            matches: input.if_match,
            none_match: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        let (file, description) = self.read(&input.bucket, &input.key, &asked)?;
        let size = description.size;
        let wanted = match input.range {
            None => 0..size,
            // Of an empty object no range can be had, not even its last bytes.
            Some(range) => range.check(size).ok().filter(|wanted| !wanted.is_empty()).ok_or_else(|| {
                s3_error!(InvalidRange, "the object has {size} bytes, asked was {}", range.to_header_string())
            })?,
        };
        let content_range = input.range.map(|_| format!("bytes {}-{}/{size}", wanted.start, wanted.end - 1));
        let length = wanted.end - wanted.start;
        let mut body = FileBody { file, at: wanted.start, end: wanted.end };
        let body = match length <= CHUNK_BYTES {
            true => s3s::Body::from(body.read().map_err(S3Error::internal_error)?).into(),
            false => StreamingBlob::new(body),
        };
        let headers = description.headers;
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            body: Some(body),
            cache_control: headers.cache_control,
            content_disposition: headers.content_disposition,
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            content_length: Some(i64::try_from(length).map_err(S3Error::internal_error)?),
            content_range,
            content_type: headers.content_type.or_else(default_type),
            e_tag: Some(ETag::Strong(description.etag)),
            last_modified: Some(description.modified.into()),
            metadata: Some(headers.metadata.into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let etag = write::put(&self.objects, req.input).await?;
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() }))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        write::delete(&self.objects, req.input)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(write::delete_all(&self.objects, req.input)?))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let directory = self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(listing::list(&directory, req.input)?))
    }
}

/// Bytes of a file, read as they are sent.
struct FileBody {
    file: File,
    at: u64,
    end: u64,
}

impl FileBody {
    fn read(&mut self) -> std::io::Result<bytes::Bytes> {
        let length = (self.end - self.at).min(CHUNK_BYTES);
        // At most CHUNK_BYTES, so it fits.
        let mut chunk = vec![0; length as usize];
        self.file.read_exact_at(&mut chunk, self.at)?;
        self.at += length;
        Ok(chunk.into())
    }
}

impl futures::Stream for FileBody {
    type Item = Result<bytes::Bytes, s3s::StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready((self.at < self.end).then(|| self.read().map_err(Into::into)))
    }
}

impl s3s::stream::ByteStream for FileBody {
    fn remaining_length(&self) -> s3s::stream::RemainingLength {
        usize::try_from(self.end - self.at)
            .map_or_else(|_| s3s::stream::RemainingLength::unknown(), s3s::stream::RemainingLength::new_exact)
    }
}

fn default_type() -> Option<String> {
    Some("binary/octet-stream".into())
}

fn no_such_bucket(name: &str) -> S3Error {
    s3_error!(NoSuchBucket, "there is no bucket {name}")
}

/// Refuses a request that asks for what is not implemented.
fn refuse(what: &'static str, asked: bool) -> S3Result<()> {
    match asked {
        true => Err(S3Error::with_message(S3ErrorCode::NotImplemented, format!("{what} is not implemented"))),
        false => Ok(()),
    }
}

/// The answer to a write that did not happen.
fn write_error(error: WriteError, bucket: &str, key: &str) -> S3Error {
    match error {
        WriteError::NoSuchBucket => no_such_bucket(bucket),
        WriteError::NoSuchKey => s3_error!(NoSuchKey, "there is no object {key}"),
        WriteError::PreconditionFailed => {
            s3_error!(PreconditionFailed, "the object {key} is not as the condition demands")
        }
        WriteError::Io(error) => S3Error::internal_error(error),
    }
}
