//! The rows of a cohort as they come in reality: in many encodings, among lines and files that must be rejected.
//!
//! What must be rejected always resembles a row of the cohort, changed so that a table would differ if it were accepted.

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

/// One rejected line per so many rows, and no fewer than [`SPOILED_MIN`] in a file.
const ROWS_PER_SPOILED: usize = 40;
const SPOILED_MIN: usize = 12;
/// Rows in a file that cannot be decoded.
const UNDECODABLE_ROWS: usize = 50;

/// The files of a cohort: of each kind one per shape, then those that hold nothing, and those that cannot be decoded.
pub(crate) fn files(cohort: &Cohort, seed: u64) -> Vec<File> {
    let mut files = Vec::new();
    for source in Source::ALL {
        let mut rng = Rng::with_seed(seed ^ 0x6469_7274 ^ (source as u64) << 32);
        let mut spoiler = Spoiler::new(source);
        let records = cohort.records(source);
        let mut land = |folder: &str, suffix: &str, bytes: Vec<u8>| {
            let name = cohort.file_name(source, files.len());
            files.push(File { path: format!("{}/landing/{folder}{name}{suffix}", source.folder()), bytes });
        };
        for (index, shape) in SHAPES.iter().enumerate() {
            let part = &records[index * records.len() / SHAPES.len()..(index + 1) * records.len() / SHAPES.len()];
            let bytes = dirty_file(shape, part, &records, &mut spoiler, &mut rng);
            land(shape.folder, shape.suffix, bytes);
        }
        for (suffix, bytes) in wrap::empty() {
            land("", suffix, bytes);
        }
        let mut lines = String::new();
        for record in records.iter().take(UNDECODABLE_ROWS) {
            lines.push_str(&spoil::tampered_line(source, record));
            lines.push('\n');
        }
        for (suffix, bytes) in wrap::undecodable(&lines, &mut rng) {
            land("", suffix, bytes);
        }
    }
    files
}

/// One file with all the rows of `part`, and spoiled ones (of any of `records`) in between.
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
        // From the end, so that no location moves, and never two at one location: numbers side by side would be another number.
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
