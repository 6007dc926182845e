//! What must hold of any landing file, whatever its bytes: it is read without a panic, in any chunks alike, and the
//! accounts of what was read add up.

#![allow(clippy::expect_used, reason = "a check says by a panic that it failed")]

use formats::customer_file::Customers;
use formats::landing::fields::{Fields, Rejection};
use formats::landing::{Collect, Laid, LandingReader, Undecodable};
use formats::quarantine::Quarantine;
use formats::reading::{Accelerometer, Reading, Readings, ReadingsCollector, StepTrainer};
use formats::receipt::{LandingVersion, Receipt};
use model::layout::{FileName, ObjectLocation, Source};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Reads the file as each of the three kinds.
pub(crate) fn check(file: &[u8]) {
    let pieces = [
        check_as::<Customers>(file),
        check_as::<ReadingsCollector<Accelerometer>>(file),
        check_as::<ReadingsCollector<StepTrainer>>(file),
    ];
    // Who looks for which fields decides what a record is worth, but not where it ends. (Bytes that are no UTF-8 make a
    // field that is looked for no JSON; in another one they are ignored.)
    if std::str::from_utf8(file).is_ok() {
        assert!(pieces.iter().all(|other| *other == pieces[0]), "records and rejections by kind: {pieces:?}");
    }
}

/// Reads the file as one kind; how many records and rejections it has, none if it cannot be decoded.
fn check_as<K: Kind>(file: &[u8]) -> Option<u64> {
    let whole = read::<K>(std::iter::once(file));
    assert_same(&whole, &read(file.chunks(1)), "in chunks of one byte");
    assert_same(&whole, &read(drawn_chunks(file).into_iter()), "in chunks of drawn lengths");
    assert_same(&whole, &read_completely(file), "by the complete parser alone");
    let read = whole.ok()?;
    let rejections = check_quarantine(file, &read.quarantine);
    assert!(read.refused <= rejections, "a record was refused and not quarantined");
    check_receipt(&read);
    Some(read.taken + rejections)
}

/// A kind of landing file.
pub(crate) trait Kind: Collect + Default {
    const SOURCE: Source;
    type Rows: Debug;

    fn rows(self) -> Self::Rows;
    fn same(one: &Self::Rows, other: &Self::Rows) -> bool;
    /// Enters the rows into a receipt, none of them excluded by what another file says.
    fn enter(rows: &Self::Rows, receipt: &mut Receipt);
}

impl Kind for Customers {
    const SOURCE: Source = Source::Customer;
    type Rows = Self;

    fn rows(self) -> Self {
        self
    }

    fn same(one: &Self, other: &Self) -> bool {
        one.latest().eq(other.latest()) && one.rows() == other.rows() && one.excluded() == other.excluded()
    }

    fn enter(rows: &Self, receipt: &mut Receipt) {
        receipt.keep("the latest record of each".into(), rows.latest().count() as u64);
        rows.excluded().iter().for_each(|(reason, rows)| receipt.exclude(reason, *rows));
        assert_eq!(receipt.rows - receipt.quarantined, rows.rows(), "rows of customers");
    }
}

impl<R: Reading + Debug> Kind for ReadingsCollector<R> {
    const SOURCE: Source = R::SOURCE;
    type Rows = Readings<R>;

    fn rows(self) -> Readings<R> {
        self.finish()
    }

    fn same(one: &Readings<R>, other: &Readings<R>) -> bool {
        let mut rows = one.rows().iter().zip(other.rows());
        one.keys() == other.keys()
            && one.rows().len() == other.rows().len()
            && rows.all(|(a, b)| (a.time_ms, a.key) == (b.time_ms, b.key) && R::cmp_values(&a.value, &b.value).is_eq())
    }

    fn enter(rows: &Readings<R>, receipt: &mut Receipt) {
        for (partition, range) in rows.partitions() {
            receipt.keep(partition.to_string(), range.len() as u64);
        }
    }
}

/// What was read of a file.
pub(crate) struct Read<K: Kind> {
    pub(crate) rows: K::Rows,
    pub(crate) quarantine: Quarantine,
    /// How many records became rows.
    pub(crate) taken: u64,
    /// How many records were seen, and are rejected for what is in them.
    refused: u64,
}

/// Reads a file in these chunks.
pub(crate) fn read<'a, K: Kind>(chunks: impl Iterator<Item = &'a [u8]>) -> Result<Read<K>, Undecodable> {
    read_with(LandingReader::new(Counted::default()), chunks)
}

/// Reads a file without the layouts of its records.
fn read_completely<K: Kind>(file: &[u8]) -> Result<Read<K>, Undecodable> {
    read_with(LandingReader::without_layouts(Counted::default()), std::iter::once(file))
}

fn read_with<'a, K: Kind>(
    mut reader: LandingReader<Counted<K>>,
    chunks: impl Iterator<Item = &'a [u8]>,
) -> Result<Read<K>, Undecodable> {
    for chunk in chunks {
        reader.push(chunk)?;
    }
    let (Counted { kind, taken, refused }, quarantine) = reader.finish()?;
    Ok(Read { rows: kind.rows(), quarantine, taken, refused })
}

/// Two readings of a file give the same rows and the same quarantine.
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
    assert!(same, "read otherwise {how}:\n{}\n{}", told(one), told(other));
}

fn told<K: Kind>(read: &Result<Read<K>, Undecodable>) -> String {
    match read {
        Ok(read) => format!("{:?}\n{}", read.rows, String::from_utf8_lossy(&read.quarantine.file())),
        Err(undecodable) => undecodable.to_string(),
    }
}

/// Counts what a collector is given.
#[derive(Default)]
struct Counted<K> {
    kind: K,
    taken: u64,
    refused: u64,
}

impl<K: Kind> Collect for Counted<K> {
    const FIELDS: &'static [&'static str] = K::FIELDS;

    fn collect(&mut self, fields: &Fields<'_>) -> Result<(), Rejection> {
        let collected = self.kind.collect(fields);
        *(if collected.is_ok() { &mut self.taken } else { &mut self.refused }) += 1;
        collected
    }

    fn collect_laid(&mut self, laid: &Laid<'_>) -> bool {
        let taken = self.kind.collect_laid(laid);
        self.taken += u64::from(taken);
        taken
    }
}

/// Cuts a file into chunks whose lengths are drawn from its own bytes, so that a finding can be repeated.
fn drawn_chunks(file: &[u8]) -> Vec<&[u8]> {
    let mut state = file
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let length_max = [3, 17, 300, 5000][(state >> 60) as usize % 4];
    let (mut chunks, mut rest) = (Vec::new(), file);
    while !rest.is_empty() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (chunk, behind) = rest.split_at(rest.len().min(1 + (state >> 33) as usize % length_max));
        chunks.push(chunk);
        rest = behind;
    }
    chunks
}

/// Every rejection is on a line of the quarantine file, and of a file that is not compressed the original is where its
/// line says, each behind the one before. How many there are.
fn check_quarantine(file: &[u8], quarantine: &Quarantine) -> u64 {
    let quarantined = quarantine.file();
    let mut locations = (!file.starts_with(GZIP) && !file.starts_with(ZSTD)).then(|| Places::of(file));
    let (mut reasons, mut more) = (BTreeMap::new(), 0);
    for line in quarantined.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Value = serde_json::from_slice(line).expect("a line of the quarantine is JSON");
        let reason = line["reason"].as_str().expect("a reason");
        if reason == "quarantine_full" {
            more = line["more"].as_u64().expect("a count");
            continue;
        }
        *reasons.entry(reason.to_owned()).or_default() += 1;
        if let (Some(locations), Some(original)) = (&mut locations, line["original"].as_str()) {
            locations.find(line["line"].as_u64().expect("a line number"), original.as_bytes());
        }
    }
    let told: u64 = reasons.values().sum();
    assert_eq!(told + more, quarantine.count(), "the lines of the quarantine");
    if more == 0 {
        assert_eq!(&reasons, quarantine.reasons(), "the reasons in the quarantine");
    }
    quarantine.count()
}

/// Follows the rejections through a file.
struct Places<'a> {
    file: &'a [u8],
    line: u64,
    /// Where the line begins, and up to where the rejections before were.
    line_start: usize,
    passed: usize,
}

impl<'a> Places<'a> {
    fn of(file: &'a [u8]) -> Self {
        Self { file, line: 1, line_start: 0, passed: 0 }
    }

    fn find(&mut self, line: u64, original: &[u8]) {
        assert!(line >= self.line, "line {line} is told behind line {}", self.line);
        while self.line < line {
            let ahead = self.file[self.line_start..].iter().position(|byte| *byte == b'\n');
            self.line_start += 1 + ahead.unwrap_or_else(|| panic!("there is no line {line}"));
            self.line += 1;
        }
        let from = self.passed.max(self.line_start);
        let end =
            self.file[from..].iter().position(|byte| *byte == b'\n').map_or(self.file.len(), |ahead| from + ahead);
        let found = (from..=end).find(|at| self.file[*at..].starts_with(original));
        let at = found.unwrap_or_else(|| panic!("{:?} is not on line {line}", String::from_utf8_lossy(original)));
        self.passed = at + original.len();
    }
}

fn check_receipt<K: Kind>(read: &Read<K>) {
    let location = ObjectLocation { bucket: "b".into(), key: format!("{}file", K::SOURCE.landing().prefix()) };
    let landing = LandingVersion { location: location.clone(), etag: "e".into() };
    let mut receipt = Receipt::new(K::SOURCE, &FileName::of(&location), landing, &read.quarantine);
    K::enter(&read.rows, &mut receipt);
    let excluded: u64 = receipt.excluded.values().sum();
    assert_eq!(receipt.rows, read.taken + read.quarantine.count(), "rows of the receipt");
    assert_eq!(receipt.rows, receipt.kept + excluded + receipt.quarantined, "the sums of the receipt");
    assert_eq!(receipt.quarantined, receipt.rejected.values().sum::<u64>(), "the reasons in the receipt");
}
