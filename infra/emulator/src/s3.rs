//! The implemented operations of S3, on [`s3s`], which parses requests and writes responses.
//!
//! Other operations answer `NotImplemented`, the default of the crate. So do the checks below for a header or parameter
//! whose effect is not implemented.

mod body;
mod checksums;
mod conditions;
mod copy;
mod listing;
mod multipart;
mod properties;
mod read;
mod uploads;
mod write;

use crate::clock::Clock;
use crate::objects::attributes::Description;
use crate::objects::list::Entry;
use crate::objects::{Objects, WriteError};
use conditions::ReadConditions;
use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// The S3 service over [`Objects`].
pub(crate) struct Service {
    pub(crate) objects: Arc<Objects>,
    /// Stamps multipart uploads.
    pub(crate) clock: Clock,
}

impl Service {
    fn bucket(&self, name: &str) -> S3Result<PathBuf> {
        self.objects.bucket(name).ok_or_else(|| no_such_bucket(name))
    }

    fn open(&self, bucket: &str, key: &str) -> S3Result<(File, Description)> {
        let directory = self.bucket(bucket)?;
        let object = self.objects.read(&directory, key).map_err(S3Error::internal_error)?;
        object.ok_or_else(|| no_such_key(key))
    }

    /// Opens the object if it exists and the conditions hold.
    fn read(&self, bucket: &str, key: &str, conditions: &ReadConditions) -> S3Result<(File, Description)> {
        let (file, description) = self.open(bucket, key)?;
        conditions.check(&description)?;
        Ok((file, description))
    }

    fn tag(&self, bucket: &str, key: &str, tags: Vec<(String, String)>) -> S3Result<()> {
        let tags = properties::checked_tags(tags)?;
        match self.objects.tag(bucket, key, tags).map_err(|error| write_error(error, bucket, key))? {
            true => Ok(()),
            false => Err(no_such_key(key)),
        }
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

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        let bucket = req.input.bucket;
        self.bucket(&bucket)?;
        match self.objects.delete_bucket(&bucket).map_err(S3Error::internal_error)? {
            true => Ok(S3Response::with_status(DeleteBucketOutput {}, http::StatusCode::NO_CONTENT)),
            false => Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty: {bucket}")),
        }
    }

    async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        Ok(S3Response::new(uploads::list_buckets(self, req.input)?))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.bucket(&req.input.bucket)?;
        // Buckets in us-east-1 have no location constraint.
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        self.bucket(&req.input.bucket)?;
        // Versioning is never enabled.
        Ok(S3Response::new(GetBucketVersioningOutput::default()))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let mut input = req.input;
        refuse("HeadObject with a customer key", input.sse_customer_key.is_some())?;
        refuse_version(input.version_id.as_deref())?;
        read::check_overrides!(input)?;
        let (_, description) = self.read(&input.bucket, &input.key, &read::read_conditions!(input))?;
        Ok(S3Response::new(read::head(input, description)?))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let mut input = req.input;
        refuse("GetObject with a customer key", input.sse_customer_key.is_some())?;
        refuse_version(input.version_id.as_deref())?;
        read::check_overrides!(input)?;
        let (file, description) = self.read(&input.bucket, &input.key, &read::read_conditions!(input))?;
        Ok(S3Response::new(read::get(input, file, description)?))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        Ok(S3Response::new(write::put(&self.objects, req).await?))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        Ok(S3Response::new(copy::copy_object(self, req).await?))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        write::delete(&self.objects, req.input)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(write::delete_all(&self.objects, req.input)?))
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let directory = self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(listing::list_v1(&directory, req.input)?))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let directory = self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(listing::list(&directory, req.input)?))
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let directory = self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(listing::list_versions(&directory, req.input)?))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        Ok(S3Response::new(multipart::create(self, req.input)?))
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        Ok(S3Response::new(multipart::upload_part(self, req).await?))
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        Ok(S3Response::new(multipart::upload_part_copy(self, req.input).await?))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        Ok(S3Response::new(multipart::complete(self, req.input).await?))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        multipart::abort(self, &req.input)?;
        Ok(S3Response::with_status(AbortMultipartUploadOutput::default(), http::StatusCode::NO_CONTENT))
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        Ok(S3Response::new(uploads::list_parts(self, req.input)?))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        Ok(S3Response::new(uploads::list_uploads(self, req.input)?))
    }

    async fn get_object_tagging(
        &self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        refuse_version(req.input.version_id.as_deref())?;
        let (_, object) = self.open(&req.input.bucket, &req.input.key)?;
        let tags = object.properties.tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) });
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set: tags.collect(), version_id: None }))
    }

    async fn put_object_tagging(
        &self,
        req: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        refuse_version(req.input.version_id.as_deref())?;
        let tags = req.input.tagging.tag_set.into_iter();
        let tags = tags.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())).collect();
        self.tag(&req.input.bucket, &req.input.key, tags)?;
        Ok(S3Response::new(PutObjectTaggingOutput::default()))
    }

    async fn delete_object_tagging(
        &self,
        req: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        refuse_version(req.input.version_id.as_deref())?;
        self.tag(&req.input.bucket, &req.input.key, Vec::new())?;
        Ok(S3Response::with_status(DeleteObjectTaggingOutput::default(), http::StatusCode::NO_CONTENT))
    }
}

fn no_such_bucket(name: &str) -> S3Error {
    s3_error!(NoSuchBucket, "there is no bucket {name}")
}

fn no_such_key(key: &str) -> S3Error {
    s3_error!(NoSuchKey, "there is no object {key}")
}

/// Refuses a request that needs what is not implemented.
fn refuse(what: &'static str, asked: bool) -> S3Result<()> {
    match asked {
        true => Err(S3Error::with_message(S3ErrorCode::NotImplemented, format!("{what} is not implemented"))),
        false => Ok(()),
    }
}

/// Refuses any version but `null`, the only one in a bucket without versioning.
fn refuse_version(id: Option<&str>) -> S3Result<()> {
    refuse("a request for a version of an object", id.is_some_and(|id| id != "null"))
}

/// The response to a write that failed.
fn write_error(error: WriteError, bucket: &str, key: &str) -> S3Error {
    match error {
        WriteError::NoSuchBucket => no_such_bucket(bucket),
        WriteError::NoSuchKey => no_such_key(key),
        WriteError::PreconditionFailed => {
            s3_error!(PreconditionFailed, "the object {key} does not meet the condition")
        }
        WriteError::Io(error) => io_error(error),
    }
}

/// The answer when the file system refuses a write. Its text says why: only the user can free a full disk.
fn io_error(error: std::io::Error) -> S3Error {
    S3Error::with_message(S3ErrorCode::InternalError, format!("cannot write the object: {error}"))
}
