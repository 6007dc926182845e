//! Assertions on any bytes as a landing file: parsing does not panic, gives the same in any chunks, and its row counts
//! add up.

#![allow(clippy::expect_used, reason = "a check fails by a panic")]

use formats::customer_file::{Customers, Withdrawal};
use formats::landing::fields::{Fields, Rejection};
use formats::landing::{Collect, LandingReader, LayoutFields, Undecodable};
use formats::quarantine::Quarantine;
use formats::reading::{Accelerometer, Reading, Readings, ReadingsCollector, StepTrainer};
use formats::receipt::{LandingVersion, Receipt};
use model::hash::HashKey;
use model::layout::{FileId, ObjectLocation, Source};
use model::slice::SlicesPerHour;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Checks the file as each of the three kinds.
pub(crate) fn check(file: &[u8]) {
    let pieces = [
        check_as::<Customers>(file),
        check_as::<ReadingsCollector<Accelerometer>>(file),
        check_as::<ReadingsCollector<StepTrainer>>(file),
    ];
    // The fields of a kind decide whether a record is a row, but not where it ends. (This needs UTF-8: other bytes are
    // an error in a field of the kind, and ignored in other fields.)
    if std::str::from_utf8(file).is_ok() {
        assert!(pieces.iter().all(|other| *other == pieces[0]), "records and rejections by kind: {pieces:?}");
    }
}

/// Checks the file as one kind. Returns the number of records and rejections; none if the file cannot be decoded.
fn check_as<K: Kind>(file: &[u8]) -> Option<u64> {
    let whole = read::<K>(std::iter::once(file));
    assert_same(&whole, &read(file.chunks(1)), "in chunks of one byte");
    assert_same(&whole, &read(drawn_chunks(file).into_iter()), "in chunks of drawn lengths");
    assert_same(&whole, &read_completely(file), "by the complete parser alone");
    let read = whole.ok()?;
    let rejections = check_quarantine(file, &read.quarantine);
    assert!(read.rejected <= rejections, "a record was rejected and not quarantined");
    check_receipt(&read);
    Some(read.kept + rejections)
}

/// A kind of landing file.
pub(crate) trait Kind: Collect {
    const SOURCE: Source;
    type Rows: Debug;

    fn new() -> Self;
    fn rows(self) -> Self::Rows;
    fn same(one: &Self::Rows, other: &Self::Rows) -> bool;
    /// Adds the rows to a receipt, as if no other file excluded any.
    fn add_to(rows: &Self::Rows, receipt: &mut Receipt);
}

impl Kind for Customers {
    const SOURCE: Source = Source::Customer;
    type Rows = Self;

    fn new() -> Self {
        Self::stored_at(1_700_000_000_000, HashKey::public())
    }

    fn rows(self) -> Self {
        self
    }

    fn same(one: &Self, other: &Self) -> bool {
        one == other
    }

    fn add_to(rows: &Self, receipt: &mut Receipt) {
        let valid = |withdrawal: &Withdrawal| withdrawal.is_valid;
        let records = rows.customers().map(|customer| {
            usize::from(customer.grant.is_some()) + usize::from(customer.withdrawal.as_ref().is_some_and(valid))
        });
        receipt.keep("what counts of each".into(), records.sum::<usize>() as u64);
        rows.excluded().iter().for_each(|(reason, rows)| receipt.exclude(reason, *rows));
        assert_eq!(receipt.rows - receipt.quarantined, rows.rows(), "rows of customers");
    }
}

impl<R: Reading + Debug> Kind for ReadingsCollector<R> {
    const SOURCE: Source = R::SOURCE;
    type Rows = Readings<R>;

    fn new() -> Self {
        Self::default()
    }

    fn rows(self) -> Readings<R> {
        self.finish(&HashKey::public())
    }

    fn same(one: &Readings<R>, other: &Readings<R>) -> bool {
        let mut rows = one.rows().iter().zip(other.rows());
        one.keys() == other.keys()
            && one.rows().len() == other.rows().len()
            && rows.all(|(a, b)| (a.time_ms, a.key) == (b.time_ms, b.key) && R::cmp_values(&a.value, &b.value).is_eq())
    }

    fn add_to(rows: &Readings<R>, receipt: &mut Receipt) {
        for (slice, range) in rows.slices(SlicesPerHour::default()) {
            receipt.keep(slice.to_string(), range.len() as u64);
        }
    }
}

/// The result of reading a file.
pub(crate) struct Read<K: Kind> {
    pub(crate) rows: K::Rows,
    pub(crate) quarantine: Quarantine,
    /// How many records became rows.
    pub(crate) kept: u64,
    /// How many records were rejected because of their content.
    rejected: u64,
}

/// Reads a file chunk by chunk.
pub(crate) fn read<'a, K: Kind>(chunks: impl Iterator<Item = &'a [u8]>) -> Result<Read<K>, Undecodable> {
    read_with(LandingReader::new(Counter::new()), chunks)
}

/// Reads a file with the complete parser alone, which does not use the layouts of records.
fn read_completely<K: Kind>(file: &[u8]) -> Result<Read<K>, Undecodable> {
    read_with(LandingReader::without_layouts(Counter::new()), std::iter::once(file))
}

fn read_with<'a, K: Kind>(
    mut reader: LandingReader<Counter<K>>,
    chunks: impl Iterator<Item = &'a [u8]>,
) -> Result<Read<K>, Undecodable> {
    for chunk in chunks {
        reader.push(chunk)?;
    }
    let (Counter { kind, kept, rejected }, quarantine) = reader.finish()?;
    Ok(Read { rows: kind.rows(), quarantine, kept, rejected })
}

/// Asserts that two reads of a file give the same rows and the same quarantine.
#[track_caller]
pub(crate) fn assert_same<K: Kind>(
    one: &Result<Read<K>, Undecodable>,
    other: &Result<Read<K>, Undecodable>,
    how: &str,
) {
    let same = match (one, other) {
        (Ok(one), Ok(other)) => {
            K::same(&one.rows, &other.rows)
                && one.quarantine.file() == other.quarantine.file()
                && one.quarantine.reasons() == other.quarantine.reasons()
        }
        (Err(one), Err(other)) => one == other,
        _ => false,
    };
    assert!(same, "a different result {how}:\n{}\n{}", description(one), description(other));
}

fn description<K: Kind>(read: &Result<Read<K>, Undecodable>) -> String {
    match read {
        Ok(read) => format!("{:?}\n{}", read.rows, String::from_utf8_lossy(&read.quarantine.file())),
        Err(undecodable) => undecodable.to_string(),
    }
}

/// A collector that counts the records of another one.
struct Counter<K> {
    kind: K,
    kept: u64,
    rejected: u64,
}

impl<K: Kind> Counter<K> {
    fn new() -> Self {
        Self { kind: K::new(), kept: 0, rejected: 0 }
    }
}

impl<K: Kind> Collect for Counter<K> {
    const FIELDS: &'static [&'static str] = K::FIELDS;

    fn collect(&mut self, fields: &Fields<'_>) -> Result<(), Rejection> {
        let collected = self.kind.collect(fields);
        *(if collected.is_ok() { &mut self.kept } else { &mut self.rejected }) += 1;
        collected
    }

    fn inspect_rejected(&mut self, fields: &Fields<'_>) {
        self.kind.inspect_rejected(fields);
    }

    fn memory_bytes(&self) -> usize {
        self.kind.memory_bytes()
    }

    fn collect_by_layout(&mut self, laid: &LayoutFields<'_>) -> bool {
        let kept = self.kind.collect_by_layout(laid);
        self.kept += u64::from(kept);
        kept
    }
}

/// Cuts a file into chunks. Their lengths are drawn from the bytes of the file, so that a finding can be repeated.
fn drawn_chunks(file: &[u8]) -> Vec<&[u8]> {
    let mut state = file
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let length_max = [3, 17, 300, 5000][(state >> 60) as usize % 4];
    let (mut chunks, mut rest) = (Vec::new(), file);
    while !rest.is_empty() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (chunk, after) = rest.split_at(rest.len().min(1 + (state >> 33) as usize % length_max));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// Asserts that every rejection is a line of the quarantine file. If the landing file is not compressed, the originals
/// must be on the lines that they name, in order. Returns the number of rejections.
fn check_quarantine(file: &[u8], quarantine: &Quarantine) -> u64 {
    let quarantined = quarantine.file();
    let mut originals = (!file.starts_with(GZIP) && !file.starts_with(ZSTD)).then(|| Originals::of(file));
    let (mut reasons, mut more) = (BTreeMap::new(), 0);
    for line in quarantined.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Value = serde_json::from_slice(line).expect("a line of the quarantine is JSON");
        let reason = line["reason"].as_str().expect("a reason");
        if reason == "quarantine_full" {
            more = line["more"].as_u64().expect("a count");
            continue;
        }
        *reasons.entry(reason.to_owned()).or_default() += 1;
        if let (Some(originals), Some(original)) = (&mut originals, line["original"].as_str()) {
            originals.find(line["line"].as_u64().expect("a line number"), original.as_bytes());
        }
    }
    let lines: u64 = reasons.values().sum();
    assert_eq!(lines + more, quarantine.count(), "the lines of the quarantine");
    if more == 0 {
        assert_eq!(&reasons, quarantine.reasons(), "the reasons in the quarantine");
    }
    quarantine.count()
}

/// Finds the originals of rejections in a file, in order.
struct Originals<'a> {
    file: &'a [u8],
    line: u64,
    /// The offset of the line.
    line_start: usize,
    /// The end of the last original.
    found_end: usize,
}

impl<'a> Originals<'a> {
    fn of(file: &'a [u8]) -> Self {
        Self { file, line: 1, line_start: 0, found_end: 0 }
    }

    fn find(&mut self, line: u64, original: &[u8]) {
        assert!(line >= self.line, "line {line} follows line {}", self.line);
        while self.line < line {
            let ahead = self.file[self.line_start..].iter().position(|byte| *byte == b'\n');
            self.line_start += 1 + ahead.unwrap_or_else(|| panic!("there is no line {line}"));
            self.line += 1;
        }
        let from = self.found_end.max(self.line_start);
        let end =
            self.file[from..].iter().position(|byte| *byte == b'\n').map_or(self.file.len(), |ahead| from + ahead);
        let found = (from..=end).find(|at| self.file[*at..].starts_with(original));
        let at = found.unwrap_or_else(|| panic!("{:?} is not on line {line}", String::from_utf8_lossy(original)));
        self.found_end = at + original.len();
    }
}

fn check_receipt<K: Kind>(read: &Read<K>) {
    let location = ObjectLocation { bucket: "b".into(), key: format!("{}file", K::SOURCE.landing().prefix()) };
    let landing = LandingVersion { location: location.clone(), etag: "e".into() };
    let mut receipt = Receipt::new(K::SOURCE, FileId::of(&HashKey::public(), &location), landing, &read.quarantine);
    K::add_to(&read.rows, &mut receipt);
    let excluded: u64 = receipt.excluded.values().sum();
    assert_eq!(receipt.rows, read.kept + read.quarantine.count(), "rows of the receipt");
    assert_eq!(receipt.rows, receipt.kept + excluded + receipt.quarantined, "the sums of the receipt");
    assert_eq!(receipt.quarantined, receipt.rejected.values().sum::<u64>(), "the reasons in the receipt");
}
