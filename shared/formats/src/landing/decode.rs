//! Decompresses a landing file. The content decides the compression, never the file's name.

use super::{FILE_BYTES_MAX, Undecodable};
use std::io::Read;

const BLOCK_BYTES: usize = 256 << 10;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const UTF_8_BOM: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF_16_BOMS: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];
const MAGIC_BYTES_MAX: usize = 4;

pub(super) struct Decoder {
    state: State,
}

enum State {
    /// Too few bytes have arrived to recognize the compression.
    Start(Vec<u8>),
    /// The bytes are text and are passed on as they arrive.
    Plain,
    /// The bytes are collected and decompressed at the end. Only then it is known whether the compressed data is complete.
    Compressed(Vec<u8>),
}

type Emit<'a> = dyn FnMut(&[u8]) -> Result<(), Undecodable> + 'a;

impl Decoder {
    pub(super) fn new() -> Self {
        Self { state: State::Start(Vec::new()) }
    }

    pub(super) fn push(&mut self, chunk: &[u8], emit: &mut Emit<'_>) -> Result<(), Undecodable> {
        match &mut self.state {
            State::Plain => emit(chunk),
            State::Compressed(collected) => {
                collected.extend_from_slice(chunk);
                if collected.len() as u64 > FILE_BYTES_MAX { Err(Undecodable::TooLarge) } else { Ok(()) }
            }
            State::Start(head) => {
                head.extend_from_slice(chunk);
                if head.len() < MAGIC_BYTES_MAX { Ok(()) } else { self.start(emit) }
            }
        }
    }

    /// Returns how many bytes it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        match &self.state {
            State::Start(held) | State::Compressed(held) => held.len(),
            State::Plain => 0,
        }
    }

    pub(super) fn finish(&mut self, emit: &mut Emit<'_>) -> Result<(), Undecodable> {
        if matches!(self.state, State::Start(_)) {
            self.start(emit)?;
        }
        let State::Compressed(collected) = std::mem::replace(&mut self.state, State::Plain) else { return Ok(()) };
        if collected.starts_with(GZIP) {
            drain(flate2::read::MultiGzDecoder::new(collected.as_slice()), "gzip", emit)
        } else {
            let decoder = zstd::stream::read::Decoder::with_buffer(collected.as_slice());
            drain(decoder.map_err(|_| Undecodable::Compression("zstd"))?, "zstd", emit)
        }
    }

    fn start(&mut self, emit: &mut Emit<'_>) -> Result<(), Undecodable> {
        let State::Start(head) = std::mem::replace(&mut self.state, State::Plain) else { return Ok(()) };
        if head.starts_with(GZIP) || head.starts_with(ZSTD) {
            self.state = State::Compressed(head);
            return Ok(());
        }
        emit(text(&head)?)
    }
}

/// Removes the byte order mark at the start of a text.
fn text(head: &[u8]) -> Result<&[u8], Undecodable> {
    if UTF_16_BOMS.iter().any(|bom| head.starts_with(bom)) {
        return Err(Undecodable::Utf16);
    }
    Ok(head.strip_prefix(UTF_8_BOM).unwrap_or(head))
}

fn drain(mut from: impl Read, name: &'static str, emit: &mut Emit<'_>) -> Result<(), Undecodable> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut first = true;
    loop {
        let mut filled = 0;
        while filled < block.len() {
            match from.read(&mut block[filled..]).map_err(|_| Undecodable::Compression(name))? {
                0 => break,
                read => filled += read,
            }
        }
        if filled == 0 {
            return Ok(());
        }
        emit(if first { text(&block[..filled])? } else { &block[..filled] })?;
        first = false;
    }
}
