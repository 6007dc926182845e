//! The `aws-chunked` framing of upload bodies: `SIZE[;chunk-signature=…]`, bytes, …, a chunk of size 0, trailers.

use super::body::Faults;
use super::fault::Fault;
use super::signature::ChunkSigner;
use crate::objects::checksum::{self, Algorithm, Hasher};
use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use s3s::Body;
use s3s::dto::StreamingBlob;
use std::io;

/// A chunk begins with a number and a signature; a trailer is a name and a checksum or signature.
const LINE_BYTES_MAX: usize = 1024;
/// Clients send one checksum and one signature.
const TRAILERS_MAX: usize = 16;

/// Decodes a body chunk by chunk. With `signing` it verifies the signature of every chunk. The checksum in `trailer` must
/// follow the body and be right.
pub(super) fn decode(framed: Body, signing: Option<ChunkSigner>, trailer: Option<Algorithm>, faults: Faults) -> Body {
    let (buffer, left, signature) = (BytesMut::new(), Left::Line, String::new());
    let trailer = trailer.map(|algorithm| (algorithm, algorithm.hasher()));
    let decoder = Decoder { framed, buffer, left, signing, signature, trailer, faults };
    Body::from(StreamingBlob::wrap(decoder.into_stream()))
}

enum Left {
    /// The next bytes are a chunk's first line.
    Line,
    /// This many bytes of the chunk, and then the end of its line.
    Bytes(usize),
    /// The trailers, which follow the last chunk.
    Trailers,
    Nothing,
}

struct Decoder {
    framed: Body,
    buffer: BytesMut,
    left: Left,
    signing: Option<ChunkSigner>,
    /// The signature of the current chunk, from its first line.
    signature: String,
    /// The checksum so far that the trailer must have.
    trailer: Option<(Algorithm, Hasher)>,
    faults: Faults,
}

impl Decoder {
    fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
        stream::try_unfold(self, |mut decoder| async move { Ok(decoder.next().await?.map(|bytes| (bytes, decoder))) })
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.left {
                Left::Nothing => return Ok(None),
                Left::Trailers => {
                    self.read_trailers().await?;
                    // Reads to the end, so that the connection can be used again.
                    while self.fill().await? {
                        self.buffer.clear();
                    }
                    self.left = Left::Nothing;
                }
                Left::Line => {
                    let line = self.line().await?;
                    let (size, extension) = line.split_once(';').unwrap_or((&line, ""));
                    let size = usize::from_str_radix(size.trim(), 16).map_err(|_| {
                        self.frame_error(format!("a chunk's size is {size:?}, not a hexadecimal number"))
                    })?;
                    self.signature = extension.trim().strip_prefix("chunk-signature=").unwrap_or_default().to_owned();
                    if size == 0 {
                        self.verify_chunk()?;
                        self.left = Left::Trailers;
                    } else {
                        self.left = Left::Bytes(size);
                    }
                }
                Left::Bytes(0) => {
                    if !self.line().await?.is_empty() {
                        return Err(self.frame_error("a chunk is longer than its size"));
                    }
                    self.verify_chunk()?;
                    self.left = Left::Line;
                }
                Left::Bytes(left) => {
                    if self.buffer.is_empty() && !self.fill().await? {
                        return Err(self.frame_error("the body ends in the middle of a chunk"));
                    }
                    let bytes = self.buffer.split_to(left.min(self.buffer.len())).freeze();
                    if let Some(signing) = &mut self.signing {
                        signing.update(&bytes);
                    }
                    if let Some((_, checksum)) = &mut self.trailer {
                        checksum.update(&bytes);
                    }
                    self.left = Left::Bytes(left - bytes.len());
                    return Ok(Some(bytes));
                }
            }
        }
    }

    fn verify_chunk(&mut self) -> io::Result<()> {
        match self.signing.as_mut().is_none_or(|signing| signing.is_chunk(&self.signature)) {
            true => Ok(()),
            false => Err(self.faults.record(Fault::Mismatch)),
        }
    }

    async fn read_trailers(&mut self) -> io::Result<()> {
        let (mut trailers, mut signature) = (Vec::new(), None);
        // Without trailers an empty line follows, or nothing.
        while !self.buffer.is_empty() || self.fill().await? {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let parts = line.split_once(':').map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()));
            let Some((name, value)) = parts.filter(|_| trailers.len() < TRAILERS_MAX) else {
                return Err(
                    self.frame_error(format!("{line:?} is not a trailer, or the body has more than {TRAILERS_MAX}"))
                );
            };
            if name == "x-amz-trailer-signature" {
                signature = Some(value.to_owned());
                continue;
            }
            trailers.push((name, value.to_owned()));
        }
        if let Some(signing) = &mut self.signing
            && !trailers.is_empty()
            && !signature.is_some_and(|signature| signing.is_trailer(&trailers, &signature))
        {
            return Err(self.faults.record(Fault::Mismatch));
        }
        if let Some((algorithm, checksum)) = self.trailer.take() {
            let name = algorithm.header();
            let Some((_, given)) = trailers.iter().find(|(given, _)| given == name) else {
                return Err(self
                    .faults
                    .record(Fault::Trailer(format!("the trailer {name} is missing after the body"))));
            };
            let found = checksum::base64(&checksum.finish());
            if *given != found {
                let text = format!("the trailer {name} is {given:?}, the body's is {found:?}");
                return Err(self.faults.record(Fault::Checksum(text)));
            }
        }
        Ok(())
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.advance(end + 2);
                return Ok(line);
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(self
                    .frame_error(format!("a chunk's first line, or a trailer, has more than {LINE_BYTES_MAX} bytes")));
            }
            if !self.fill().await? {
                return Err(self.frame_error("the body ends in the middle of a line"));
            }
        }
    }

    /// Appends the next bytes to the buffer; returns false at the end.
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

    fn frame_error(&self, why: impl Into<String>) -> io::Error {
        self.faults.record(Fault::Frames(why.into()))
    }
}
