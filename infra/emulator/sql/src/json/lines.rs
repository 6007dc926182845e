//! Decompresses a file and splits it into blocks of whole lines.

use crate::error::SqlError;
use crate::files::File;
use emulator_client::ObjectLocation;
use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

/// The longest line.
const LINE_BYTES_MAX: usize = 64 << 20;

/// The state of a file that is being read.
pub(super) struct Lines {
    location: ObjectLocation,
    decoder: Decoder,
    /// The bytes after the last line feed.
    rest: Vec<u8>,
    finished: bool,
}

enum Decoder {
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
}

impl Lines {
    /// Chooses the decoder by the extension of the file's name.
    pub(super) fn new(file: &File) -> Result<Self, SqlError> {
        let location = file.location.clone();
        let end = location.key.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let decoder = match end.as_str() {
            "gz" | "gzip" => Decoder::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            "zst" | "zstd" => {
                let decoder = zstd::stream::write::Decoder::new(Vec::new());
                Decoder::Zstd(Box::new(decoder.map_err(|error| wrong(&location, &error))?))
            }
            "bz2" | "snappy" | "lz4" | "lzo" | "deflate" => {
                let message = format!("{location} is compressed with {end}: expected a plain file, .gz or .zst");
                return Err(SqlError::user(format!("HIVE_UNSUPPORTED_FORMAT: {message}")));
            }
            _ => Decoder::Plain,
        };
        Ok(Self { location, decoder, rest: Vec::new(), finished: false })
    }

    /// Adds bytes; returns the lines that they complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<u8>, SqlError> {
        let location = &self.location;
        let wrong = |error: io::Error| wrong(location, &error);
        match &mut self.decoder {
            Decoder::Plain => self.rest.extend_from_slice(bytes),
            Decoder::Gzip(decoder) => {
                decoder.write_all(bytes).map_err(wrong)?;
                self.rest.append(decoder.get_mut());
            }
            Decoder::Zstd(decoder) => {
                decoder.write_all(bytes).map_err(wrong)?;
                self.rest.append(decoder.get_mut());
            }
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if self.rest.len() - whole > LINE_BYTES_MAX {
            let message = format!("a line of {location} is longer than {LINE_BYTES_MAX} bytes");
            return Err(SqlError::user(format!("HIVE_BAD_DATA: {message}")));
        }
        let rest = self.rest.split_off(whole);
        Ok(std::mem::replace(&mut self.rest, rest))
    }

    /// Returns the rest of the file at the first call, and no bytes afterwards.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, SqlError> {
        if !std::mem::replace(&mut self.finished, true) {
            let location = &self.location;
            let wrong = |error: io::Error| wrong(location, &error);
            match &mut self.decoder {
                Decoder::Plain => {}
                Decoder::Gzip(decoder) => {
                    decoder.try_finish().map_err(wrong)?;
                    self.rest.append(decoder.get_mut());
                }
                Decoder::Zstd(decoder) => {
                    decoder.flush().map_err(wrong)?;
                    self.rest.append(decoder.get_mut());
                }
            }
        }
        Ok(std::mem::take(&mut self.rest))
    }
}

fn wrong(location: &ObjectLocation, error: &io::Error) -> SqlError {
    SqlError::user(format!("HIVE_CURSOR_ERROR: Failed to read file: {location}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(key: &str) -> File {
        File { location: ObjectLocation { bucket: "b".into(), key: key.into() }, etag: String::new(), bytes: 0 }
    }

    fn decode(key: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(&file(key)).unwrap();
        let mut blocks: Vec<_> = bytes.chunks(3).map(|chunk| lines.feed(chunk).unwrap()).collect();
        blocks.push(lines.finish().unwrap());
        assert!(lines.finish().unwrap().is_empty());
        blocks.into_iter().filter(|block| !block.is_empty()).collect()
    }

    #[test]
    fn blocks_end_with_whole_lines() {
        let blocks = decode("a", b"one\ntwo\n\nthree");
        assert_eq!(blocks.concat(), b"one\ntwo\n\nthree");
        assert!(blocks.iter().rev().skip(1).all(|block| block.ends_with(b"\n")));
    }

    #[test]
    fn extension_selects_decoder() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(decode("a.json.gz", &gzip.finish().unwrap()).concat(), b"one\ntwo\n");
        let zstd = zstd::encode_all(&b"one\ntwo"[..], 1).unwrap();
        assert_eq!(decode("a.json.zst", &zstd).concat(), b"one\ntwo");
        assert!(Lines::new(&file("a.bz2")).err().unwrap().message.contains("compressed with bz2"));
    }
}
