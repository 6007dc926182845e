//! Applies the fuzzer's check of landing files to generated files, and to all files of the fuzzer's corpus.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "../../../tests/fuzz/checks/landing.rs"]
mod check;

use check::{Read, assert_same, check, read};
use formats::reading::{Accelerometer, ReadingsCollector};
use model::identity::of_email;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::io::Write;
use std::path::Path;

type Collector = ReadingsCollector<Accelerometer>;
/// A reading: user, time, axes.
type Row = (String, i64, [f64; 3]);

#[test]
fn every_file_of_the_fuzzers_corpus_passes_the_check() {
    for folder in ["corpus", "regressions"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz").join(folder).join("landing");
        let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{folder:?} is empty");
        for file in files {
            // Shown if the test fails.
            println!("{}", file.display());
            check(&std::fs::read(file).unwrap());
        }
    }
}

/// Generates bytes that are JSON or almost JSON more often than random bytes.
fn almost_json() -> impl Strategy<Value = Vec<u8>> {
    const RECORD: &[u8] = br#"{"user":"a","timestamp":1655564444103,"x":1.0,"y":-1.0,"z":0.5}"#;
    const STEP: &[u8] = br#"{"sensorReadingTime":1655564444103,"serialNumber":"s","distanceFromObject":218}"#;
    const CUSTOMER: &[u8] = br#"{"email":"a@b.c","lastUpdateDate":1655564444103,"shareWithResearchAsOfDate":1}"#;
    let punctuation =
        [&b"{"[..], b"}", b"[", b"]", b",", b":", b"\"", b"\\", b"\n", b"\r\n", b" ", b"\xef\xbb\xbf", b"\xef"];
    let values = [&b"\"user\""[..], b"\"x\":", b"null", b"true", b"-", b"1", b".5", b"1e999", b"\\u0061", b"\\ud800"];
    let records = [RECORD, STEP, CUSTOMER, &RECORD[..30], b"{\"user\":", b"}{", b"},{", b"\"a\":[", b"\xff", b"\x00"];
    let piece = prop_oneof![select(punctuation.to_vec()), select(values.to_vec()), select(records.to_vec())];
    vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// How the records of a file are separated.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Lines,
    LinesWithCarriageReturns,
    Commas,
    CommasAndLines,
    Concatenated,
    Array,
    ArrayOverLines,
    PrettyPrinted,
    Utf8Bom,
}

const FRAMINGS: [Framing; 9] = [
    Framing::Lines,
    Framing::LinesWithCarriageReturns,
    Framing::Commas,
    Framing::CommasAndLines,
    Framing::Concatenated,
    Framing::Array,
    Framing::ArrayOverLines,
    Framing::PrettyPrinted,
    Framing::Utf8Bom,
];

impl Framing {
    fn render(self, rows: &[Row]) -> String {
        let records: Vec<String> = rows.iter().map(|row| json(row).to_string()).collect();
        match self {
            Self::Lines => records.join("\n") + "\n",
            Self::LinesWithCarriageReturns => records.join("\r\n") + "\r\n",
            Self::Commas => records.join(", ") + "\n",
            Self::CommasAndLines => records.join(",\n") + ",\n",
            Self::Concatenated => records.concat() + "\n",
            Self::Array => format!("[{}]\n", records.join(",")),
            Self::ArrayOverLines => format!("[\n  {}\n]\n", records.join(",\n  ")),
            Self::PrettyPrinted => rows.iter().map(|row| format!("{:#}\n", json(row))).collect(),
            Self::Utf8Bom => format!("\u{feff}{}\n", records.join("\n")),
        }
    }
}

fn json((user, time_ms, [x, y, z]): &Row) -> serde_json::Value {
    serde_json::json!({"user": user, "timestamp": time_ms, "x": x, "y": y, "z": z})
}

fn row() -> impl Strategy<Value = Row> {
    let user = any::<String>().prop_map(|user| if user.trim().is_empty() { "}{".to_owned() } else { user });
    let time = 946_684_800_000..4_102_444_800_000_i64;
    let axis = || prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    (user, time, [axis(), axis(), axis()])
}

/// Generates a line that is rejected. If it looks like the start of a record, the text after it cannot complete that record.
fn garbage() -> impl Strategy<Value = String> {
    let broken = [
        r#"{"user":"a","timestamp":1655564444103,"x":1.0"#,
        r#"{"user":"a","timestamp":1655564444103,"x":NaN,"y":1,"z":1}"#,
        r#"{"user":"#,
        r#"{"user":"}{"#,
        r#"{"user":"a"}"#,
        "\"",
        "]",
        "[ERROR] disk full",
        "-",
        "\u{0}",
    ];
    prop_oneof![select(broken.to_vec()).prop_map(str::to_owned), "[a-z#.;:0-9][a-z0-9 #.;:+-]{0,20}"]
}

/// Generates a file of pieces: records in a framing, or a line of garbage. Returns the file, its records and its garbage lines.
fn file_of_pieces() -> impl Strategy<Value = (String, Vec<Row>, Vec<u64>)> {
    let records = (select(&FRAMINGS[..]), vec(row(), 1..5)).prop_map(Ok);
    vec(prop_oneof![2 => records, 1 => garbage().prop_map(Err)], 0..8).prop_map(|pieces| {
        let (mut file, mut rows, mut lines) = (String::new(), Vec::new(), Vec::new());
        for piece in pieces {
            match piece {
                Ok((framing, records)) => {
                    file += &framing.render(&records);
                    rows.extend(records);
                }
                Err(garbage) => {
                    lines.push(file.matches('\n').count() as u64 + 1);
                    file += &garbage;
                    file.push('\n');
                }
            }
        }
        (file, rows, lines)
    })
}

/// Sorts rows as text, which distinguishes 0 from -0.
fn sorted(rows: impl Iterator<Item = Row>) -> Vec<String> {
    let mut rows: Vec<String> = rows.map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

fn rows_of(read: &Read<Collector>) -> Vec<String> {
    let keys = read.rows.keys();
    sorted(read.rows.rows().iter().map(|row| (keys[row.key as usize].text.clone(), row.time_ms, row.value)))
}

fn rejected_lines(read: &Read<Collector>) -> Vec<u64> {
    let file = read.quarantine.file();
    let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let line_number = |line| serde_json::from_slice::<serde_json::Value>(line).unwrap()["line"].as_u64().unwrap();
    let mut numbers: Vec<u64> = lines.map(line_number).collect();
    numbers.dedup();
    numbers
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Compresses the file with gzip and with zstd, as one member and as two members that are split at `cut`.
fn compressed(file: &[u8], cut: &Index) -> [Vec<u8>; 4] {
    let (head, tail) = file.split_at(cut.index(file.len() + 1));
    [gzip(file), zstd(file), [gzip(head), gzip(tail)].concat(), [zstd(head), zstd(tail)].concat()]
}

fn read_whole(file: &[u8]) -> Result<Read<Collector>, formats::landing::Undecodable> {
    read::<Collector>(std::iter::once(file))
}

fn config(cases: u32) -> ProptestConfig {
    // A failing file is added to the fuzzer's regressions by hand.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn any_bytes_pass_the_check(file in vec(any::<u8>(), 0..500)) {
        check(&file);
    }

    #[test]
    fn almost_json_passes_the_check(file in almost_json()) {
        check(&file);
    }

    #[test]
    fn records_in_any_framing_are_found_between_garbage((file, rows, garbage) in file_of_pieces()) {
        check(file.as_bytes());
        let read = read_whole(file.as_bytes()).unwrap();
        let by_identity = |(user, time_ms, value): (String, _, _)| (of_email(&user).into_owned(), time_ms, value);
        prop_assert_eq!(rows_of(&read), sorted(rows.into_iter().map(by_identity)));
        prop_assert_eq!(rejected_lines(&read), garbage);
    }

    #[test]
    fn a_compressed_file_is_read_like_the_plain_one((file, _, _) in file_of_pieces(), cut in any::<Index>()) {
        let plain = read_whole(file.as_bytes());
        for compressed in compressed(file.as_bytes(), &cut) {
            assert_same(&plain, &read_whole(&compressed), "compressed");
        }
    }

    #[test]
    fn damaged_compression_passes_the_check(
        (file, _, _) in file_of_pieces(),
        cut in any::<Index>(),
        damage in vec((any::<Index>(), any::<u8>()), 0..4),
        length in any::<Index>(),
    ) {
        for mut compressed in compressed(file.as_bytes(), &cut) {
            for (at, mask) in &damage {
                let at = at.index(compressed.len());
                compressed[at] ^= mask;
            }
            compressed.truncate(length.index(compressed.len() + 1));
            check(&compressed);
        }
    }
}
