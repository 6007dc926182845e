//! Receives bodies into files and sends them from files. Memory holds one chunk of a body at a time.

use super::checksums::BodyClaim;
use crate::objects::Objects;
use crate::objects::checksum::Algorithm;
use crate::objects::temporary::{Digests, TemporaryFile};
use futures::{Stream, StreamExt};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body up to this size is sent in one piece, so that a client need not concatenate chunks.
const WHOLE_BYTES_MAX: u64 = 512 * 1024;
/// A larger body is read while it is sent, in chunks of this size. They are small enough to stay in the processor's cache.
const CHUNK_BYTES: u64 = 128 * 1024;
/// S3's limit for the body of one request, and for one copy.
pub(super) const BODY_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// Other tasks may run after this many bytes of a body: a copied file is always ready, and would keep the thread.
const SLICE_BYTES: usize = 2 * 1024 * 1024;
/// A smaller piece is hashed in microseconds. Small bodies never yield, so a simulation of small objects runs in one order.
const YIELD_BYTES_MIN: usize = 32 * 1024;

/// Receives a body and compares it with `claim`. `algorithm` is the checksum to compute.
pub(super) async fn receive(
    objects: &Objects,
    body: Option<impl Stream<Item = Result<bytes::Bytes, s3s::StdError>> + Unpin>,
    claim: &BodyClaim,
    algorithm: Option<Algorithm>,
) -> S3Result<(TemporaryFile, Digests)> {
    let mut temporary = objects.temporary(algorithm).map_err(super::io_error)?;
    limit(claim.size.unwrap_or_default())?;
    if let Some(mut chunks) = body {
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?;
            limit(temporary.size() + chunk.len() as u64)?;
            for slice in chunk.chunks(SLICE_BYTES) {
                temporary.write(slice).map_err(super::io_error)?;
                if slice.len() >= YIELD_BYTES_MIN {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    let digests = temporary.digests();
    claim.check(temporary.size(), &digests)?;
    Ok((temporary, digests))
}

fn limit(size: u64) -> S3Result<()> {
    match size > BODY_BYTES_MAX {
        true => Err(s3_error!(EntityTooLarge, "an upload of more than {BODY_BYTES_MAX} bytes must be made in parts")),
        false => Ok(()),
    }
}

/// A byte range of a file, read while it is sent.
pub(super) struct FileBody {
    file: File,
    position: u64,
    end: u64,
}

impl FileBody {
    pub(super) const fn new(file: File, range: &Range<u64>) -> Self {
        Self { file, position: range.start, end: range.end }
    }

    /// Returns the body of a response.
    pub(super) fn into_response_body(mut self) -> std::io::Result<s3s::dto::StreamingBlob> {
        match self.end - self.position <= WHOLE_BYTES_MAX {
            true => Ok(s3s::Body::from(self.read(WHOLE_BYTES_MAX)?).into()),
            false => Ok(s3s::dto::StreamingBlob::new(self)),
        }
    }

    fn read(&mut self, bytes_max: u64) -> std::io::Result<bytes::Bytes> {
        let length = (self.end - self.position).min(bytes_max);
        // The length is at most `bytes_max`, so it fits. `read_to_end` spares filling the buffer with zeros.
        let mut chunk = Vec::with_capacity(length as usize);
        self.file.seek(SeekFrom::Start(self.position))?;
        if Read::by_ref(&mut self.file).take(length).read_to_end(&mut chunk)? as u64 != length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.position += length;
        Ok(chunk.into())
    }
}

impl Stream for FileBody {
    type Item = Result<bytes::Bytes, s3s::StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready((self.position < self.end).then(|| self.read(CHUNK_BYTES).map_err(Into::into)))
    }
}

impl s3s::stream::ByteStream for FileBody {
    fn remaining_length(&self) -> s3s::stream::RemainingLength {
        usize::try_from(self.end - self.position)
            .map_or_else(|_| s3s::stream::RemainingLength::unknown(), s3s::stream::RemainingLength::new_exact)
    }
}
