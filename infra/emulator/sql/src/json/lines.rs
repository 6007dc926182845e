//! A file's bytes, unpacked, as blocks of whole lines.

use crate::error::SqlError;
use crate::files::File;
use emulator_client::ObjectLocation;
use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

/// The longest line.
const LINE_BYTES_MAX: usize = 64 << 20;

/// What is known of a file that is being read.
pub(super) struct Lines {
    place: ObjectLocation,
    unpacking: Unpacking,
    /// The bytes after the last end of a line.
    rest: Vec<u8>,
    finished: bool,
}

enum Unpacking {
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
}

impl Lines {
    /// Of a file that is packed as the end of its name says.
    pub(super) fn of(file: &File) -> Result<Self, SqlError> {
        let place = file.place.clone();
        let end = place.key.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let unpacking = match end.as_str() {
            "gz" | "gzip" => Unpacking::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            "zst" | "zstd" => {
                let decoder = zstd::stream::write::Decoder::new(Vec::new());
                Unpacking::Zstd(Box::new(decoder.map_err(|error| wrong(&place, &error))?))
            }
            "bz2" | "snappy" | "lz4" | "lzo" | "deflate" => {
                let told = format!("{place} is packed with {end}; plain files, .gz and .zst can be read here");
                return Err(SqlError::user(format!("HIVE_UNSUPPORTED_FORMAT: {told}")));
            }
            _ => Unpacking::Plain,
        };
        Ok(Self { place, unpacking, rest: Vec::new(), finished: false })
    }

    /// Takes bytes; gives the lines that they complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<u8>, SqlError> {
        let place = &self.place;
        let wrong = |error: io::Error| wrong(place, &error);
        match &mut self.unpacking {
            Unpacking::Plain => self.rest.extend_from_slice(bytes),
            Unpacking::Gzip(decoder) => {
                decoder.write_all(bytes).map_err(wrong)?;
                self.rest.append(decoder.get_mut());
            }
            Unpacking::Zstd(decoder) => {
                decoder.write_all(bytes).map_err(wrong)?;
                self.rest.append(decoder.get_mut());
            }
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if self.rest.len() - whole > LINE_BYTES_MAX {
            let told = format!("a line of {place} is longer than {LINE_BYTES_MAX} bytes");
            return Err(SqlError::user(format!("HIVE_BAD_DATA: {told}")));
        }
        let rest = self.rest.split_off(whole);
        Ok(std::mem::replace(&mut self.rest, rest))
    }

    /// The rest of the file, once; then nothing.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, SqlError> {
        if !std::mem::replace(&mut self.finished, true) {
            let place = &self.place;
            let wrong = |error: io::Error| wrong(place, &error);
            match &mut self.unpacking {
                Unpacking::Plain => {}
                Unpacking::Gzip(decoder) => {
                    decoder.try_finish().map_err(wrong)?;
                    self.rest.append(decoder.get_mut());
                }
                Unpacking::Zstd(decoder) => {
                    decoder.flush().map_err(wrong)?;
                    self.rest.append(decoder.get_mut());
                }
            }
        }
        Ok(std::mem::take(&mut self.rest))
    }
}

fn wrong(place: &ObjectLocation, error: &io::Error) -> SqlError {
    SqlError::user(format!("HIVE_CURSOR_ERROR: Failed to read file: {place}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(key: &str) -> File {
        File { place: ObjectLocation { bucket: "b".into(), key: key.into() }, etag: String::new(), bytes: 0 }
    }

    fn unpack(key: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::of(&file(key)).unwrap();
        let mut blocks: Vec<_> = bytes.chunks(3).map(|chunk| lines.feed(chunk).unwrap()).collect();
        blocks.push(lines.finish().unwrap());
        assert!(lines.finish().unwrap().is_empty());
        blocks.into_iter().filter(|block| !block.is_empty()).collect()
    }

    #[test]
    fn blocks_end_where_lines_end() {
        let blocks = unpack("a", b"one\ntwo\n\nthree");
        assert_eq!(blocks.concat(), b"one\ntwo\n\nthree");
        assert!(blocks.iter().rev().skip(1).all(|block| block.ends_with(b"\n")));
    }

    #[test]
    fn packed_files_are_unpacked_by_their_names() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(unpack("a.json.gz", &gzip.finish().unwrap()).concat(), b"one\ntwo\n");
        let zstd = zstd::encode_all(&b"one\ntwo"[..], 1).unwrap();
        assert_eq!(unpack("a.json.zst", &zstd).concat(), b"one\ntwo");
        assert!(Lines::of(&file("a.bz2")).err().unwrap().message.contains("packed with bz2"));
    }
}
