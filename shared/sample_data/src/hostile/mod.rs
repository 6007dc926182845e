//! The rows of a cohort in many encodings, between lines and files that must be rejected.
//!
//! A record that must be rejected resembles a row of the cohort. If it were accepted, a table would differ.

mod disguise;
mod spoil;
mod wrap;

use fastrand::Rng;

use crate::File;
use crate::cohort::Cohort;
use crate::record::{Record, Source};
use disguise::disguised;
use spoil::Spoiler;
use wrap::{Layout, SHAPES, Shape};

/// A file has one rejected line for this many rows, and at least [`SPOILED_MIN`].
const ROWS_PER_SPOILED: usize = 40;
const SPOILED_MIN: usize = 12;
/// The number of rows in a file that cannot be decoded.
const UNDECODABLE_ROWS: usize = 50;

/// Returns the files of a cohort. Each kind has one file of each shape, then empty files, then files that cannot be decoded.
pub(crate) fn files(cohort: &Cohort) -> Vec<File> {
    let mut files = Vec::new();
    for source in Source::ALL {
        let mut rng = Rng::with_seed(cohort.seed() ^ 0x6469_7274 ^ (source as u64) << 32);
        let mut spoiler = Spoiler::new(source);
        let records = cohort.records(source);
        let mut add = |folder: &str, suffix: &str, bytes: Vec<u8>| {
            let name = cohort.file_name(source, files.len());
            files.push(File { path: format!("{}/landing/{folder}{name}-dirty{suffix}", source.folder()), bytes });
        };
        for (index, shape) in SHAPES.iter().enumerate() {
            let part = &records[index * records.len() / SHAPES.len()..(index + 1) * records.len() / SHAPES.len()];
            let bytes = dirty_file(shape, part, &records, &mut spoiler, &mut rng);
            add(shape.folder, shape.suffix, bytes);
        }
        for (suffix, bytes) in wrap::empty() {
            add("", suffix, bytes);
        }
        let mut lines = String::new();
        for record in records.iter().take(UNDECODABLE_ROWS) {
            lines.push_str(&spoil::tampered_line(source, record));
            lines.push('\n');
        }
        for (suffix, bytes) in wrap::undecodable(&lines, &mut rng) {
            add("", suffix, bytes);
        }
    }
    files
}

/// Returns one file with all rows of `part`, and spoiled rows of any of `records` between them.
fn dirty_file(
    shape: &Shape,
    part: &[Record<'_>],
    records: &[Record<'_>],
    spoiler: &mut Spoiler,
    rng: &mut Rng,
) -> Vec<u8> {
    let mut pieces: Vec<Vec<u8>> =
        part.iter().map(|record| disguised(record, shape.spacing, rng).into_bytes()).collect();
    if !part.is_empty() {
        let count = (part.len() / ROWS_PER_SPOILED).max(SPOILED_MIN).min(part.len());
        let first = rng.usize(..part.len() / count);
        // Inserts from the end, so that no position moves. Never inserts two pieces at one position: two adjacent numbers
        // would be one number.
        for index in (0..count).rev() {
            let record = &records[rng.usize(..records.len())];
            let piece = if shape.layout == Layout::Lines && rng.bool() {
                spoiler.broken_line(record, rng)
            } else {
                spoiler.spoiled_record(record, shape.spacing).into_bytes()
            };
            pieces.insert(first + index * part.len() / count, piece);
        }
        if shape.interrupted {
            let line = spoil::tampered_line(spoiler.source, &records[0]);
            pieces.push(line.as_bytes()[..line.len() / 2].to_vec());
        }
    }
    shape.wrap(&pieces, rng)
}
