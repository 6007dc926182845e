use super::fields::Reason;
use super::*;
use crate::reading::{Accelerometer, ReadingsCollector, StepTrainer};
use model::hash::HashKey;
use std::io::Write;

type Rows = Vec<(String, i64, [f64; 3])>;

/// Reads `file` in chunks of `chunk` bytes. Returns the rows, and the line and reason of each rejection.
fn read_in(chunk: usize, file: &[u8]) -> Result<(Rows, Vec<(u64, String)>), Undecodable> {
    let mut reader = LandingReader::new(ReadingsCollector::<Accelerometer>::default());
    for chunk in file.chunks(chunk) {
        reader.push(chunk)?;
    }
    let (rows, quarantine) = reader.finish()?;
    let rows = rows.finish(&HashKey::public());
    let values = rows.rows().iter().map(|r| (rows.keys()[r.key as usize].text.clone(), r.time_ms, r.value));
    let lines = quarantine.file();
    let lines = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let rejected = lines.map(|line| {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        (line["line"].as_u64().unwrap(), line["reason"].as_str().unwrap().to_owned())
    });
    Ok((values.collect(), rejected.collect()))
}

const T: i64 = 1_655_564_444_103;

fn row(user: &str) -> (String, i64, [f64; 3]) {
    (user.into(), T, [1.0, -1.0, 0.5])
}

fn json(user: &str) -> String {
    format!(r#"{{"user":"{user}","timestamp":{T},"x":1.0,"y":-1.0,"z":0.5}}"#)
}

/// Checks that the file has these rows and these rejections, in chunks of any size.
#[track_caller]
fn check(file: impl AsRef<[u8]>, users: &[&str], rejected: &[(u64, Reason)]) {
    let rows: Rows = users.iter().map(|user| row(user)).collect();
    let rejected: Vec<_> = rejected.iter().map(|(line, reason)| (*line, reason.name().to_owned())).collect();
    for chunk in [1, 2, 7, 64, 1 << 20] {
        assert_eq!(read_in(chunk, file.as_ref()), Ok((rows.clone(), rejected.clone())), "in chunks of {chunk}");
    }
}

#[test]
fn records_are_found_in_every_framing() {
    let (a, b) = (json("a"), json("b"));
    check("", &[], &[]);
    check("\n \r\n\t\n", &[], &[]);
    check(format!("{a}\n{b}\n"), &["a", "b"], &[]);
    check(format!("{a}\r\n\r\n{b}"), &["a", "b"], &[]);
    check(format!("\u{feff}{a}\n{b}"), &["a", "b"], &[]);
    check(format!("{a}{b}"), &["a", "b"], &[]);
    check(format!("[{a},{b}]"), &["a", "b"], &[]);
    check(format!("[\n  {a},\n  {b}\n]\n"), &["a", "b"], &[]);
    check(format!("[{a}]\n[{b}]\n"), &["a", "b"], &[]);
    check(a.replace(',', ",\n  ").replace('{', "{\n"), &["a"], &[]);
}

#[test]
fn field_names_match_in_any_case_and_extra_fields_are_ignored() {
    check(json("a").replace("timestamp", "timeStamp").replace("user", "USER"), &["a"], &[]);
    check(json("a").replace(r#""x""#, r#""extra":{"x":[1,{"y":null}]},"X""#), &["a"], &[]);
}

#[test]
fn numbers_may_be_strings_and_strings_may_be_escaped() {
    let t = T.to_string();
    check(json("a").replace(&t, &format!("\"{t}\"")), &["a"], &[]);
    check(json("a").replace(&t, &format!("{t}.0")), &["a"], &[]);
    check(json("a").replace("0.5", "\" 5e-1 \""), &["a"], &[]);
    check(json(r"\u0061"), &["a"], &[]);
}

#[test]
fn only_broken_records_are_rejected_with_their_line() {
    let (a, b) = (json("a"), json("b"));
    let broken = |bad: &str| format!("{a}\n{bad}\n{b}\n");
    check(broken("garbage"), &["a", "b"], &[(2, Reason::NotJson)]);
    check(broken(&a[..30]), &["a", "b"], &[(2, Reason::NotJson)]);
    check(broken(r#"{"user":"#), &["a", "b"], &[(2, Reason::NotJson)]);
    check(broken(&a.replace(":1.0", ":NaN")), &["a", "b"], &[(2, Reason::NotJson)]);
    check(broken("42"), &["a", "b"], &[(2, Reason::NotAnObject)]);
    check(broken("null \"text\" true"), &["a", "b"], &[(2, Reason::NotAnObject); 3]);
    check(broken(&a.replace("\"z\"", "\"X\"")), &["a", "b"], &[(2, Reason::DuplicateField)]);
    check(broken(&a.replace(":1.0", ":\"NaN\"")), &["a", "b"], &[(2, Reason::NotANumber)]);
    check(broken(&a.replace(":1.0", ":1e999")), &["a", "b"], &[(2, Reason::NotANumber)]);
    check(broken(&a.replace(":1.0", ":true")), &["a", "b"], &[(2, Reason::NotANumber)]);
    check(broken(&a.replace("\"a\"", "null")), &["a", "b"], &[(2, Reason::MissingField)]);
    check(broken(&a.replace("\"a\"", "\" \"")), &["a", "b"], &[(2, Reason::MissingField)]);
    check(broken(&a.replace("\"a\"", "[1]")), &["a", "b"], &[(2, Reason::NotText)]);
    check(broken(&a.replace("4103,", "4103.5,")), &["a", "b"], &[(2, Reason::NotAnInteger)]);
    check(broken(&a.replace("4444103,", "4444,")), &["a", "b"], &[(2, Reason::TimeInSeconds)]);
    check(broken(&a.replace("4103,", "41,")), &["a", "b"], &[(2, Reason::TimeOutOfRange)]);
    check(broken(&a.replace(&T.to_string(), "-1")), &["a", "b"], &[(2, Reason::TimeOutOfRange)]);
    check(broken(&a.replace(&T.to_string(), "99999999999999999999")), &["a", "b"], &[(2, Reason::NotAnInteger)]);
}

#[test]
fn records_around_a_broken_one_on_the_same_line_are_read() {
    let (a, b) = (json("a"), json("b"));
    check(format!("{a}{}{b}", a.replace(":1.0", ":NaN")), &["a", "b"], &[(1, Reason::NotJson)]);
    check(format!("[{a},{},{b}]", a.replace(":1.0", ":NaN")), &["a", "b"], &[(1, Reason::NotJson)]);
}

#[test]
fn an_array_that_is_not_closed_is_reported() {
    check(format!("[{},", json("a")), &["a"], &[(1, Reason::ArrayNotClosed)]);
}

#[test]
fn invalid_utf_8_is_kept_as_base64() {
    let mut file = json("a").into_bytes();
    file.extend(b"\n{\"user\":\"\xff\xfe\"}\n");
    let mut reader = LandingReader::new(ReadingsCollector::<Accelerometer>::default());
    reader.push(&file).unwrap();
    let (_, quarantine) = reader.finish().unwrap();
    let line: serde_json::Value = serde_json::from_slice(&quarantine.file()).unwrap();
    assert_eq!((&line["line"], &line["reason"]), (&2.into(), &"not_json".into()));
    assert!(line["original_base64"].as_str().unwrap().starts_with("eyJ1c2VyIjoi"));
}

#[test]
fn a_record_that_is_too_long_is_rejected_and_the_others_are_read() {
    for (extra, rejected) in [(RECORD_BYTES_MAX - 1000, 0), (RECORD_BYTES_MAX, 1), (3 * RECORD_BYTES_MAX, 1)] {
        let long = json("long").replace("\"x\"", &format!("\"extra\":\"{}\",\"x\"", "e".repeat(extra)));
        for between in ["\n", "", ",\n"] {
            let file = [json("a"), long.clone(), json("b"), json("c")].join(between);
            let mut reads = [usize::MAX, 1 << 20, 300_000, 70_001].map(|chunk| {
                let mut reader = LandingReader::new(ReadingsCollector::<Accelerometer>::default());
                file.as_bytes().chunks(chunk).for_each(|chunk| reader.push(chunk).unwrap());
                let (rows, quarantine) = reader.finish().unwrap();
                (rows.finish(&HashKey::public()).rows().len(), quarantine.file().to_vec())
            });
            let (rows, lines) = &reads[0];
            assert_eq!(
                (*rows, lines.iter().filter(|b| **b == b'\n').count()),
                (4 - rejected, rejected),
                "{extra} {between:?}"
            );
            if rejected > 0 {
                let line: serde_json::Value = serde_json::from_slice(lines).unwrap();
                assert_eq!(line["reason"], "record_too_long");
                let kept = line["original"].as_str().unwrap().len();
                let comma = usize::from(between.starts_with(','));
                assert_eq!(kept + line["omitted_bytes"].as_u64().unwrap() as usize, long.len() + comma);
            }
            reads.sort();
            assert!(reads.first() == reads.last(), "the chunks change the result: {extra} {between:?}");
        }
    }
}

#[test]
fn a_bracket_that_opens_no_array_is_rejected() {
    check(format!("[ERROR] disk full\n{}\n", json("a")), &["a"], &[(1, Reason::NotJson)]);
    check(format!("{},\n{},\n", json("a"), json("b")), &["a", "b"], &[]);
    check(format!("{}\n\u{feff}{}\n", json("a"), json("b")), &["a", "b"], &[]);
    check("[]", &[], &[]);
    check("[1]", &[], &[(1, Reason::NotJson)]);
}

#[test]
fn a_long_line_of_broken_records_takes_linear_time() {
    // Searching the end of each broken record up to the end of the line would take minutes.
    let pair = format!("{}{}", json("a").replace(":1.0", ":NaN"), json("b"));
    let (rows, rejected) = read_in(usize::MAX, pair.repeat(100_000).as_bytes()).unwrap();
    assert_eq!((rows.len(), rejected.len()), (100_000, 100_000));
}

#[test]
fn lines_that_open_a_value_and_never_close_it_take_linear_time() {
    for line in ["[\n", "{\"a\":\n", "{\"user\":[\n"] {
        let (rows, rejected) = read_in(1 << 20, line.repeat(200_000).as_bytes()).unwrap();
        assert_eq!((rows.len(), rejected.len()), (0, 200_000), "{line}");
    }
    let deep = |levels: usize| {
        json("a").replace("\"x\"", &format!("\"e\":{}{},\"x\"", "[".repeat(levels), "]".repeat(levels)))
    };
    check(deep(63), &["a"], &[]);
    check(deep(64), &[], &[(1, Reason::NotJson)]);
}

#[test]
fn adjacent_strings_take_linear_time() {
    let (rows, rejected) = read_in(usize::MAX, &b"\"\"".repeat(500_000)).unwrap();
    assert_eq!((rows.len(), rejected.len()), (0, 500_000));
}

#[test]
fn white_space_after_a_bracket_takes_linear_time() {
    for (space, rejected) in [(RECORD_BYTES_MAX - 1, 0), (RECORD_BYTES_MAX, 1), (100 << 20, 1)] {
        let mut file = vec![b'\n'; 1 + space];
        file[0] = b'[';
        file.extend(json("a").bytes());
        file.extend(b"]".repeat(1 - rejected));
        // If the white space is longer than a record, the bracket counts as broken.
        let reason = vec![(1, Reason::NotJson.name().to_owned()); rejected];
        for chunk in [100_000, usize::MAX] {
            assert_eq!(read_in(chunk, &file), Ok((vec![row("a")], reason.clone())), "{space} in chunks of {chunk}");
        }
    }
}

#[test]
fn a_record_in_many_chunks_takes_linear_time() {
    let long = "e".repeat(RECORD_BYTES_MAX / 2);
    let record = json("a").replace("\"x\"", &format!("\"extra\":\"{long}\",\"x\""));
    assert_eq!(read_in(1, record.as_bytes()).unwrap().0, [row("a")]);
    assert_eq!(read_in(1, long.as_bytes()).unwrap().1, [(1, Reason::NotJson.name().to_owned())]);
}

#[test]
fn a_full_quarantine_only_counts() {
    let mut reader = LandingReader::new(ReadingsCollector::<Accelerometer>::default());
    let lines = crate::quarantine::QUARANTINE_BYTES_MAX / 40;
    reader.push("1\n".repeat(lines).as_bytes()).unwrap();
    let (_, quarantine) = reader.finish().unwrap();
    let file = quarantine.file();
    assert_eq!(quarantine.count(), lines as u64);
    assert!(file.len() < crate::quarantine::QUARANTINE_BYTES_MAX + 1000);
    let last: serde_json::Value =
        serde_json::from_slice(file.trim_ascii().rsplit(|b| *b == b'\n').next().unwrap()).unwrap();
    let kept = file.iter().filter(|b| **b == b'\n').count() as u64 - 1;
    assert_eq!((last["reason"].as_str(), last["line"].as_u64()), (Some("quarantine_full"), Some(kept + 1)));
    assert_eq!(last["more"].as_u64(), Some(lines as u64 - kept));
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compression_is_recognized_by_content() {
    let lines = format!("{}\n{}\n", json("a"), json("b"));
    check(gzip(&lines), &["a", "b"], &[]);
    check([gzip(&json("a")), gzip(&json("b"))].concat(), &["a", "b"], &[]);
    check(zstd::encode_all(lines.as_bytes(), 1).unwrap(), &["a", "b"], &[]);
}

#[test]
fn a_damaged_file_is_rejected_as_a_whole() {
    let lines = json("a").repeat(100);
    let mut checked = zstd::Encoder::new(Vec::new(), 1).unwrap();
    checked.include_checksum(true).unwrap();
    checked.write_all(lines.as_bytes()).unwrap();
    for mut damaged in [gzip(&lines), checked.finish().unwrap()] {
        let cut = damaged.len() - 5;
        assert!(matches!(read_in(16, &damaged[..cut]), Err(Undecodable::Compression(_))));
        damaged[cut / 2] ^= 0xff;
        assert!(matches!(read_in(16, &damaged), Err(Undecodable::Compression(_))));
    }
    let utf_16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read_in(16, &utf_16), Err(Undecodable::Utf16));
}

#[test]
fn a_file_whose_records_take_too_much_memory_is_rejected_early() {
    let reader = |max| LandingReader::new(ReadingsCollector::<StepTrainer>::default()).with_memory_bytes_max(max);
    let line = format!(r#"{{"sensorReadingTime":{T},"serialNumber":"s","distanceFromObject":1}}"#);
    let file = gzip(&line.repeat(100_000));
    let read = |max| {
        let mut reader = reader(max);
        reader.push(&file).and_then(|()| reader.finish())
    };
    assert!(matches!(read(100_000), Err(Undecodable::TooManyRecords(100_000))));
    assert_eq!(read(100_000_000).unwrap().0.finish(&HashKey::public()).rows().len(), 100_000);
}

#[test]
fn distances_are_32_bit_integers() {
    let step =
        |distance: &str| format!(r#"{{"sensorReadingTime":{T},"serialNumber":12,"distanceFromObject":{distance}}}"#);
    for (distance, rows) in [("218", 1), ("\"218\"", 1), ("218.5", 0), ("2147483648", 0), ("null", 0)] {
        let mut reader = LandingReader::new(ReadingsCollector::<StepTrainer>::default());
        reader.push(step(distance).as_bytes()).unwrap();
        let (readings, quarantine) = reader.finish().unwrap();
        assert_eq!(
            (readings.finish(&HashKey::public()).rows().len() as u64, quarantine.count()),
            (rows, 1 - rows),
            "{distance}"
        );
    }
}
