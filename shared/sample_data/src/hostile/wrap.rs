//! The layout, compression and name of a file.

use std::io::{self, Write};

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::record::Spacing;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One record per line.
    Lines,
    /// Concatenated records: without newlines, as Firehose writes them, or each over many lines.
    Concatenated,
    /// One JSON array.
    Array,
}

#[derive(Debug, Clone, Copy)]
enum Packing {
    None,
    Gzip,
    Zstd,
    /// Several concatenated streams, which both compression formats allow.
    GzipMembers,
    ZstdFrames,
}

/// The form of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) folder: &'static str,
    pub(super) suffix: &'static str,
    pub(super) layout: Layout,
    pub(super) spacing: Spacing,
    /// Whether the last line is cut off in its middle.
    pub(super) interrupted: bool,
    newline: &'static str,
    byte_order_mark: bool,
    blank_lines: bool,
    final_newline: bool,
    packing: Packing,
}

/// The form in which the devices write files.
const PLAIN: Shape = Shape {
    folder: "",
    suffix: ".json",
    layout: Layout::Lines,
    spacing: Spacing::Tight,
    interrupted: false,
    newline: "\n",
    byte_order_mark: false,
    blank_lines: false,
    final_newline: true,
    packing: Packing::None,
};

pub(super) const SHAPES: [Shape; 17] = [
    PLAIN,
    Shape { newline: "\r\n", spacing: Spacing::Wide, ..PLAIN },
    Shape { byte_order_mark: true, ..PLAIN },
    Shape { blank_lines: true, folder: "2024/03/09/", ..PLAIN },
    Shape { final_newline: false, ..PLAIN },
    Shape { interrupted: true, final_newline: false, ..PLAIN },
    Shape { layout: Layout::Concatenated, ..PLAIN },
    Shape { layout: Layout::Concatenated, spacing: Spacing::Pretty, ..PLAIN },
    Shape { layout: Layout::Array, ..PLAIN },
    Shape { layout: Layout::Array, spacing: Spacing::Pretty, ..PLAIN },
    Shape { packing: Packing::Gzip, ..PLAIN },
    Shape { packing: Packing::Zstd, ..PLAIN },
    Shape { suffix: ".json.gz", folder: "named wrongly/", ..PLAIN },
    Shape { packing: Packing::GzipMembers, suffix: ".json.gz", ..PLAIN },
    Shape { packing: Packing::ZstdFrames, suffix: "", folder: "no ending/", ..PLAIN },
    Shape {
        packing: Packing::Gzip,
        newline: "\r\n",
        byte_order_mark: true,
        blank_lines: true,
        final_newline: false,
        ..PLAIN
    },
    // Characters that need URL encoding in a key.
    Shape {
        folder: "from Zoë/1+1=2 & 100%/",
        suffix: " (copy).json",
        layout: Layout::Array,
        packing: Packing::Zstd,
        ..PLAIN
    },
];

impl Shape {
    /// Returns the records as one file.
    pub(super) fn wrap(&self, records: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.byte_order_mark {
            bytes.extend("\u{feff}".as_bytes());
        }
        let (open, between, close) = match self.layout {
            Layout::Lines => ("", self.newline, if self.final_newline { self.newline } else { "" }),
            Layout::Concatenated if self.spacing == Spacing::Pretty => ("", "\n", "\n"),
            Layout::Concatenated => ("", "", ""),
            Layout::Array if self.spacing == Spacing::Pretty => ("[\n", ",\n", "\n]\n"),
            Layout::Array => ("[", ",", "]"),
        };
        bytes.extend(open.as_bytes());
        for (index, record) in records.iter().enumerate() {
            if index > 0 {
                bytes.extend(between.as_bytes());
            }
            if self.blank_lines && rng.u8(..4) == 0 {
                bytes.extend(["", " ", "\t  "][rng.usize(..3)].as_bytes());
                bytes.extend(self.newline.as_bytes());
            }
            bytes.extend(record);
        }
        bytes.extend(close.as_bytes());
        self.packing.pack(&bytes)
    }
}

impl Packing {
    fn pack(self, bytes: &[u8]) -> Vec<u8> {
        // Splits within a record, so that no part can be read alone.
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        match self {
            Self::None => bytes.to_vec(),
            Self::Gzip => gzip(bytes),
            Self::Zstd => zstd(bytes),
            Self::GzipMembers => [gzip(head), gzip(tail)].concat(),
            Self::ZstdFrames => [zstd(head), zstd(tail)].concat(),
        }
    }
}

/// Returns files without records: the end of the name, and the content.
pub(super) fn empty() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (".json", Vec::new()),
        (".json", b" \r\n\n\t\n".to_vec()),
        (".json", "\u{feff}".into()),
        (".json", b"[]\n".to_vec()),
        (".json.gz", gzip(b"")),
    ]
}

/// Returns files that cannot be decoded, made of legal `lines`: the end of the name, and the content.
pub(super) fn undecodable(lines: &str, rng: &mut Rng) -> Vec<(&'static str, Vec<u8>)> {
    let (gzip, zstd) = (gzip(lines.as_bytes()), zstd(lines.as_bytes()));
    let damaged = |bytes: &[u8], position: usize| {
        let mut bytes = bytes.to_vec();
        bytes[position] ^= 0x55;
        bytes
    };
    let utf_16: Vec<u16> = "\u{feff}".encode_utf16().chain(lines.encode_utf16()).collect();
    let noise: Vec<u8> = [0x89].into_iter().chain((0..2000).map(|_| rng.u8(..))).collect();
    vec![
        (".json.gz", gzip[..gzip.len() * 3 / 4].to_vec()),
        // All lines are present, but the checksum is wrong. It precedes the length, which is the last four bytes.
        (".json", damaged(&gzip, gzip.len() - 6)),
        (".json", zstd[..zstd.len() * 3 / 4].to_vec()),
        (".json.zst", damaged(&zstd, zstd.len() - 2)),
        (".json", utf_16.iter().flat_map(|unit| unit.to_le_bytes()).collect()),
        (".json", utf_16.iter().flat_map(|unit| unit.to_be_bytes()).collect()),
        (".json", noise),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    written(encoder.write_all(bytes).and_then(|()| encoder.finish()))
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    written(zstd::Encoder::new(Vec::new(), 3).and_then(|mut encoder| {
        // Without the checksum, a wrong byte may decode to wrong text.
        encoder.include_checksum(true)?;
        encoder.write_all(bytes)?;
        encoder.finish()
    }))
}

/// Compressing into memory cannot fail. If it did, the empty file would fail every test.
fn written(result: io::Result<Vec<u8>>) -> Vec<u8> {
    result.unwrap_or_default()
}
