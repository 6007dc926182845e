//! The `aws-chunked` framing of upload bodies: `SIZE[;chunk-signature=…]`, bytes, …, a chunk of size 0, trailers.
//!
//! Chunk signatures and trailing checksums are passed over.

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use s3s::Body;
use s3s::dto::StreamingBlob;
use std::io;

/// A chunk's first line is a number and a signature.
const LINE_BYTES_MAX: usize = 1024;

/// The body within the frames, chunk by chunk.
pub(super) fn decode(framed: Body) -> Body {
    let state = Decoder { framed, buffer: BytesMut::new(), left: Left::Line };
    Body::from(StreamingBlob::wrap(state.into_stream()))
}

enum Left {
    /// The next bytes are a chunk's first line.
    Line,
    /// So many bytes of the chunk, and then the end of its line.
    Bytes(usize),
    /// The last chunk came; what follows are trailers.
    Nothing,
}

struct Decoder {
    framed: Body,
    buffer: BytesMut,
    left: Left,
}

impl Decoder {
    fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
        stream::try_unfold(self, |mut decoder| async move { Ok(decoder.next().await?.map(|bytes| (bytes, decoder))) })
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.left {
                Left::Nothing => {
                    // To the end, so that the connection can be used again.
                    while self.fill().await? {
                        self.buffer.clear();
                    }
                    return Ok(None);
                }
                Left::Line => {
                    let line = self.line().await?;
                    let size = line.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(size, 16)
                        .map_err(|_| broken(format!("a chunk's size is {size:?}, not a hexadecimal number")))?;
                    self.left = if size == 0 { Left::Nothing } else { Left::Bytes(size) };
                }
                Left::Bytes(0) => {
                    if !self.line().await?.is_empty() {
                        return Err(broken("a chunk is longer than its size"));
                    }
                    self.left = Left::Line;
                }
                Left::Bytes(left) => {
                    if self.buffer.is_empty() && !self.fill().await? {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    let bytes = self.buffer.split_to(left.min(self.buffer.len())).freeze();
                    self.left = Left::Bytes(left - bytes.len());
                    return Ok(Some(bytes));
                }
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.advance(end + 2);
                return Ok(line);
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(broken("a chunk's first line has no end"));
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Adds what comes next to the buffer; false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        match self.framed.next().await {
            None => Ok(false),
            Some(Err(error)) => Err(io::Error::other(error)),
            Some(Ok(bytes)) => {
                self.buffer.extend_from_slice(&bytes);
                Ok(true)
            }
        }
    }
}

fn broken(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
