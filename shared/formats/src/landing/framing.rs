//! Finds the records of a file: one a line, concatenated without newlines, in a JSON array, or over several lines.
//!
//! A broken record must not spoil the records around it. A rejected piece ends at the next newline, or at the next `}` `{`
//! on the same line, whichever is first. So a broken record over several lines is rejected line by line. And a record that
//! is cut off within a line is rejected together with the next record on that line.
//!
//! The size of the chunks never changes the result, because a record is parsed in a window of fixed length.

use super::fields::{Fields, Reason, Rejection};
use super::layouts::Layouts;
use super::{Collect, RECORD_BYTES_MAX};
use crate::quarantine::Quarantine;
use std::borrow::Cow;

/// The most nested levels of objects and arrays that a record may have.
const LEVELS_MAX: usize = 64;
const UTF_8_BOM: &[u8] = &[0xef, 0xbb, 0xbf];

pub(super) struct Framer {
    /// The start of a record that the chunks so far have not completed.
    rest: Vec<u8>,
    /// How long `rest` must be before it is parsed again. Parsing it at every chunk would take quadratic time.
    enough_bytes: usize,
    line: u64,
    in_array: bool,
    /// The record that is too long and whose end is being skipped.
    long: Option<LongRecord>,
    layouts: Layouts,
}

struct LongRecord {
    start: Vec<u8>,
    omitted_bytes: usize,
    end: BrokenEnd,
}

enum Step {
    /// So many bytes are done.
    Consumed(usize),
    /// The record is not complete yet.
    More,
}

impl Framer {
    pub(super) fn new(layouts: Layouts) -> Self {
        Self { rest: Vec::new(), enough_bytes: 0, line: 1, in_array: false, long: None, layouts }
    }

    pub(super) fn push<C: Collect>(&mut self, chunk: &[u8], to: &mut C, quarantine: &mut Quarantine) {
        if self.rest.is_empty() {
            let consumed = self.records(chunk, false, to, quarantine);
            self.rest.extend_from_slice(&chunk[consumed..]);
        } else {
            self.rest.extend_from_slice(chunk);
            if self.rest.len() < self.enough_bytes {
                return;
            }
            let mut text = std::mem::take(&mut self.rest);
            let consumed = self.records(&text, false, to, quarantine);
            text.drain(..consumed);
            self.rest = text;
        }
        self.enough_bytes = 2 * self.rest.len();
    }

    pub(super) fn finish<C: Collect>(&mut self, to: &mut C, quarantine: &mut Quarantine) {
        let text = std::mem::take(&mut self.rest);
        self.records(&text, true, to, quarantine);
        self.end_long_record(quarantine);
        if self.in_array {
            quarantine.reject(self.line, &Rejection::of(Reason::ArrayNotClosed), b"");
        }
    }

    /// Reads all complete records of `text`. Returns how many bytes they take.
    fn records<C: Collect>(&mut self, text: &[u8], last: bool, to: &mut C, quarantine: &mut Quarantine) -> usize {
        let mut at = 0;
        while at < text.len() {
            if let Some(long) = &mut self.long {
                let end = long.end.find(&text[at..]);
                let skipped = end.unwrap_or(text.len() - at);
                long.omitted_bytes += skipped;
                at += skipped;
                if end.is_some() {
                    self.end_long_record(quarantine);
                }
                continue;
            }
            match text[at] {
                b'\n' => {
                    self.line += 1;
                    at += 1;
                }
                // A comma separates records like white space, inside an array and outside.
                b' ' | b'\t' | b'\r' | b',' => at += 1,
                b']' if self.in_array => {
                    self.in_array = false;
                    at += 1;
                }
                b'[' if !self.in_array => match opens_array(&text[at + 1..], last) {
                    Some(true) => {
                        self.in_array = true;
                        at += 1;
                    }
                    Some(false) => match self.broken(&text[at..], last, to, quarantine) {
                        Step::Consumed(bytes) => at += bytes,
                        Step::More => return at,
                    },
                    None => return at,
                },
                // Concatenated files may have a byte order mark in the middle.
                byte if byte == UTF_8_BOM[0] && text[at..].starts_with(UTF_8_BOM) => at += UTF_8_BOM.len(),
                byte if byte == UTF_8_BOM[0] && !last && UTF_8_BOM.starts_with(&text[at..]) => return at,
                _ => match self.record(&text[at..], last, to, quarantine) {
                    Step::Consumed(bytes) => at += bytes,
                    Step::More => return at,
                },
            }
        }
        at
    }

    fn record<C: Collect>(&mut self, text: &[u8], last: bool, to: &mut C, quarantine: &mut Quarantine) -> Step {
        // The window has one byte more than the longest legal record, so a longer record is recognized. Without the window,
        // each broken record of a file on one line could be searched up to the end of the file.
        let window = &text[..text.len().min(RECORD_BYTES_MAX + 1)];
        let full = window.len() > RECORD_BYTES_MAX;
        let open = !full && !last;
        // A record of a known layout has no nested values, so it needs no check of its levels.
        if let Some(record) = self.layouts.read(window).filter(|record| record.bytes() <= RECORD_BYTES_MAX) {
            let collected = match to.collect_by_layout(&record) {
                true => Some(Ok(())),
                false => record.fields(C::FIELDS).map(|fields| to.collect(&fields)),
            };
            if let Some(collected) = collected {
                if let Err(rejection) = collected {
                    quarantine.reject(self.line, &rejection, &window[..record.bytes()]);
                }
                self.line += record.lines();
                return Step::Consumed(record.bytes());
            }
        }
        if nested_too_deep(window) {
            return self.broken(text, last, to, quarantine);
        }
        let (parsed, bytes) = Fields::parse::<C>(window);
        match parsed {
            Ok(_) if bytes > RECORD_BYTES_MAX => self.too_long(window, quarantine),
            // A number or a word at the end of a chunk may continue in the next chunk. An object cannot.
            Ok(fields) if open && bytes == window.len() && !fields.is_object() => Step::More,
            Ok(fields) => {
                self.layouts.learn(&window[..bytes], &fields);
                let collected = match fields.flaw() {
                    None => to.collect(&fields),
                    Some(flaw) => {
                        to.inspect_rejected(&fields);
                        Err(flaw)
                    }
                };
                if let Err(rejection) = collected {
                    quarantine.reject(self.line, &rejection, &window[..bytes]);
                }
                self.line += window[..bytes].iter().filter(|b| **b == b'\n').count() as u64;
                Step::Consumed(bytes)
            }
            Err(error) if error.is_eof() && full => self.too_long(window, quarantine),
            // serde_json reports a number that is cut after its sign, point or exponent as an error, not as the end of input.
            Err(error) if open && (error.is_eof() || window.last().is_some_and(|end| b"+-.eE".contains(end))) => {
                Step::More
            }
            Err(_) => self.broken(text, last, to, quarantine),
        }
    }

    /// Rejects a piece of text that is not JSON.
    fn broken<C: Collect>(&mut self, text: &[u8], last: bool, to: &mut C, quarantine: &mut Quarantine) -> Step {
        let window = &text[..text.len().min(RECORD_BYTES_MAX + 1)];
        let end = BrokenEnd::default().find(window);
        match end.or((last && window.len() == text.len()).then_some(window.len())) {
            Some(end) => {
                let original = window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]);
                inspect_undecodable(original, to);
                quarantine.reject(self.line, &Rejection::of(Reason::NotJson), original);
                Step::Consumed(end)
            }
            None if window.len() > RECORD_BYTES_MAX => self.too_long(window, quarantine),
            None => Step::More,
        }
    }

    /// Starts to skip a record that fills the window.
    fn too_long(&mut self, window: &[u8], quarantine: &mut Quarantine) -> Step {
        let mut end = BrokenEnd::default();
        let found = end.find(window);
        let bytes = found.unwrap_or(window.len());
        self.long = Some(LongRecord { start: window[..bytes].to_vec(), omitted_bytes: 0, end });
        if found.is_some() {
            self.end_long_record(quarantine);
        }
        Step::Consumed(bytes)
    }

    fn end_long_record(&mut self, quarantine: &mut Quarantine) {
        if let Some(LongRecord { start, omitted_bytes, .. }) = self.long.take() {
            quarantine.reject_cut(self.line, &Rejection::of(Reason::RecordTooLong), &start, omitted_bytes);
        }
    }
}

/// Passes a piece that is not UTF-8, but otherwise JSON, to the collector.
fn inspect_undecodable<C: Collect>(piece: &[u8], to: &mut C) {
    if let Cow::Owned(text) = String::from_utf8_lossy(piece)
        && !nested_too_deep(text.as_bytes())
        && let (Ok(fields), _) = Fields::parse::<C>(text.as_bytes())
    {
        to.inspect_rejected(&fields);
    }
}

/// Whether the value at the start of `text` has more than [`LEVELS_MAX`] levels.
///
/// This limit bounds the time for a file whose every line opens a value and never closes it. Without it, the parser would
/// read from each such line up to the length of the longest legal record.
fn nested_too_deep(text: &[u8]) -> bool {
    // Only objects and arrays have levels. Scanning adjacent strings as well would take quadratic time.
    if !matches!(text, [b'{' | b'[', ..]) {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            // A JSON string cannot contain a newline. The parser rejects this piece.
            b'\n' if in_string => return false,
            _ if in_string => {}
            b'{' | b'[' if depth == LEVELS_MAX => return true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return false,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    false
}

/// Whether a `[` opens an array of records, given the text after it; `None` if more text is needed.
fn opens_array(text: &[u8], last: bool) -> Option<bool> {
    // Without this limit, white space up to the end of the file would be kept in memory.
    let window = &text[..text.len().min(RECORD_BYTES_MAX)];
    let next = window.iter().find(|byte| !byte.is_ascii_whitespace());
    let all = last || window.len() == RECORD_BYTES_MAX;
    next.map(|next| matches!(next, b'{' | b']')).or(all.then_some(false))
}

/// Searches the end of a piece that is not JSON: its newline, or the `{` of `}` `{` or `}` `,` `{`.
#[derive(Default)]
struct BrokenEnd {
    closed: bool,
}

impl BrokenEnd {
    fn find(&mut self, text: &[u8]) -> Option<usize> {
        for (i, byte) in text.iter().enumerate() {
            match byte {
                b'\n' => return Some(i),
                b'}' => self.closed = true,
                b' ' | b'\t' | b'\r' | b',' => {}
                b'{' if self.closed => return Some(i),
                _ => self.closed = false,
            }
        }
        None
    }
}
