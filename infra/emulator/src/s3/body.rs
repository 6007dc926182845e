//! Bodies: received into a file, sent from one. Never more of one is in memory than the chunk that just came.

use super::checksums::Claimed;
use crate::objects::Objects;
use crate::objects::checksum::Algorithm;
use crate::objects::temporary::{Digests, Temporary};
use futures::{Stream, StreamExt};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bodies up to this size are sent in one piece: who wants the whole of an object, as of a customer shard, need not put it
/// together.
const WHOLE_BYTES_MAX: u64 = 512 * 1024;
/// Larger ones are read as they are sent, in chunks small enough for the memory of one to be that of the last, which the
/// processor still holds.
const CHUNK_BYTES: u64 = 128 * 1024;
/// What S3 takes in one request, and copies in one.
pub(super) const BODY_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// Receives a body, and checks what was claimed of it. `algorithm` is the checksum to compute.
pub(super) async fn receive(
    objects: &Objects,
    body: Option<impl Stream<Item = Result<bytes::Bytes, s3s::StdError>> + Unpin>,
    claimed: &Claimed,
    algorithm: Option<Algorithm>,
) -> S3Result<(Temporary, Digests)> {
    let mut temporary = objects.temporary(algorithm).map_err(super::io_error)?;
    limit(claimed.size.unwrap_or_default())?;
    if let Some(mut chunks) = body {
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?;
            limit(temporary.size() + chunk.len() as u64)?;
            // It yields for all but small chunks, so that a file, which is always ready, does not keep the thread.
            temporary.write(&chunk, objects.hashing()).await.map_err(super::io_error)?;
        }
    }
    let digests = temporary.digests();
    claimed.check(temporary.size(), &digests)?;
    Ok((temporary, digests))
}

fn limit(size: u64) -> S3Result<()> {
    match size > BODY_BYTES_MAX {
        true => Err(s3_error!(EntityTooLarge, "an upload of more than {BODY_BYTES_MAX} bytes must be made in parts")),
        false => Ok(()),
    }
}

/// Bytes of a file, read as they are sent.
pub(super) struct FileBody {
    file: File,
    at: u64,
    end: u64,
}

impl FileBody {
    pub(super) const fn new(file: File, wanted: &Range<u64>) -> Self {
        Self { file, at: wanted.start, end: wanted.end }
    }

    /// The body of an answer.
    pub(super) fn into_answer(mut self) -> std::io::Result<s3s::dto::StreamingBlob> {
        match self.end - self.at <= WHOLE_BYTES_MAX {
            true => Ok(s3s::Body::from(self.read(WHOLE_BYTES_MAX)?).into()),
            false => Ok(s3s::dto::StreamingBlob::new(self)),
        }
    }

    fn read(&mut self, bytes_max: u64) -> std::io::Result<bytes::Bytes> {
        let length = (self.end - self.at).min(bytes_max);
        // At most `bytes_max`, so it fits. Not filled with zeros first.
        let mut chunk = Vec::with_capacity(length as usize);
        self.file.seek(SeekFrom::Start(self.at))?;
        if Read::by_ref(&mut self.file).take(length).read_to_end(&mut chunk)? as u64 != length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.at += length;
        Ok(chunk.into())
    }
}

impl Stream for FileBody {
    type Item = Result<bytes::Bytes, s3s::StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready((self.at < self.end).then(|| self.read(CHUNK_BYTES).map_err(Into::into)))
    }
}

impl s3s::stream::ByteStream for FileBody {
    fn remaining_length(&self) -> s3s::stream::RemainingLength {
        usize::try_from(self.end - self.at)
            .map_or_else(|_| s3s::stream::RemainingLength::unknown(), s3s::stream::RemainingLength::new_exact)
    }
}
