//! Finds one record after the other: one a line, strung together without newlines, in a JSON array, or spread over
//! lines.
//!
//! A record that is no JSON must not take its neighbours with it. What is rejected then ends at the next newline, or
//! at the next `}` `{` on the same line, whichever comes first. (A broken record that is spread over several lines is
//! therefore rejected line by line; and one that is cut short, with others on its line, takes the next one with it.)
//!
//! How the file is cut into chunks never decides: a record is looked at in a window of fixed length.

use super::fields::{Fields, Reason, Rejection};
use super::layouts::Layouts;
use super::{Collect, RECORD_BYTES_MAX};
use crate::quarantine::Quarantine;

/// The most levels of objects and arrays that a record may have.
const LEVELS_MAX: usize = 64;
const UTF_8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

pub(super) struct Framer {
    /// What earlier chunks left: the beginning of a record.
    rest: Vec<u8>,
    /// How long the rest must be to be looked at again. Looked at with every chunk, a record would cost by its chunks.
    enough_bytes: usize,
    line: u64,
    in_array: bool,
    /// The rest of a record that is too long is passed over.
    long: Option<LongRecord>,
    layouts: Layouts,
}

struct LongRecord {
    start: Vec<u8>,
    omitted_bytes: usize,
    end: BrokenEnd,
}

enum Step {
    /// Go on behind these many bytes.
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

    /// Reads all records that are complete in `text`; says how many bytes they took.
    fn records<C: Collect>(&mut self, text: &[u8], last: bool, to: &mut C, quarantine: &mut Quarantine) -> usize {
        let mut at = 0;
        while at < text.len() {
            if let Some(long) = &mut self.long {
                let end = long.end.find(&text[at..]);
                let passed = end.unwrap_or(text.len() - at);
                long.omitted_bytes += passed;
                at += passed;
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
                // A comma between records, in an array or not, separates them like white space.
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
                    Some(false) => match self.broken(&text[at..], last, quarantine) {
                        Step::Consumed(bytes) => at += bytes,
                        Step::More => return at,
                    },
                    None => return at,
                },
                // Where files with a byte order mark were put together.
                byte if byte == UTF_8_MARK[0] && text[at..].starts_with(UTF_8_MARK) => at += UTF_8_MARK.len(),
                byte if byte == UTF_8_MARK[0] && !last && UTF_8_MARK.starts_with(&text[at..]) => return at,
                _ => match self.record(&text[at..], last, to, quarantine) {
                    Step::Consumed(bytes) => at += bytes,
                    Step::More => return at,
                },
            }
        }
        at
    }

    fn record<C: Collect>(&mut self, text: &[u8], last: bool, to: &mut C, quarantine: &mut Quarantine) -> Step {
        // One byte more than a record may have, so that what is cut here is seen to be too long. Without the cut, every
        // broken record of a file on one line could be looked for to the file's end.
        let window = &text[..text.len().min(RECORD_BYTES_MAX + 1)];
        let full = window.len() > RECORD_BYTES_MAX;
        let open = !full && !last;
        // A record of a known layout is an object without levels.
        if let Some(laid) = self.layouts.read(window).filter(|laid| laid.bytes() <= RECORD_BYTES_MAX) {
            let collected = match to.collect_laid(&laid) {
                true => Some(Ok(())),
                false => laid.fields(C::FIELDS).map(|fields| to.collect(&fields)),
            };
            if let Some(collected) = collected {
                if let Err(rejection) = collected {
                    quarantine.reject(self.line, &rejection, &window[..laid.bytes()]);
                }
                self.line += laid.lines();
                return Step::Consumed(laid.bytes());
            }
        }
        if nested_too_deep(window) {
            return self.broken(text, last, quarantine);
        }
        let (parsed, bytes) = Fields::parse::<C>(window);
        match parsed {
            Ok(_) if bytes > RECORD_BYTES_MAX => self.too_long(window, quarantine),
            // A number or a word that ends where the chunk ends may go on in the next one; an object ends by itself.
            Ok(fields) if open && bytes == window.len() && !fields.is_object() => Step::More,
            Ok(fields) => {
                self.layouts.learn(&window[..bytes], &fields);
                if let Err(rejection) = fields.flaw().map_or_else(|| to.collect(&fields), Err) {
                    quarantine.reject(self.line, &rejection, &window[..bytes]);
                }
                self.line += window[..bytes].iter().filter(|b| **b == b'\n').count() as u64;
                Step::Consumed(bytes)
            }
            Err(error) if error.is_eof() && full => self.too_long(window, quarantine),
            // A number that is cut behind its sign, point or exponent is an error, and not the end of the input.
            Err(error) if open && (error.is_eof() || window.last().is_some_and(|end| b"+-.eE".contains(end))) => {
                Step::More
            }
            Err(_) => self.broken(text, last, quarantine),
        }
    }

    /// Rejects what is no JSON.
    fn broken(&mut self, text: &[u8], last: bool, quarantine: &mut Quarantine) -> Step {
        let window = &text[..text.len().min(RECORD_BYTES_MAX + 1)];
        let end = BrokenEnd::default().find(window);
        match end.or((last && window.len() == text.len()).then_some(window.len())) {
            Some(end) => {
                let original = window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]);
                quarantine.reject(self.line, &Rejection::of(Reason::NotJson), original);
                Step::Consumed(end)
            }
            None if window.len() > RECORD_BYTES_MAX => self.too_long(window, quarantine),
            None => Step::More,
        }
    }

    /// Begins to pass over a record whose first bytes fill the window.
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

/// Whether the value that begins here has more levels than any record needs.
///
/// Only by nesting can line after line begin a value that is not closed; without this limit each of them would be read
/// as far as a record may go.
fn nested_too_deep(text: &[u8]) -> bool {
    // Of strings without space between them, each would otherwise be looked for levels up to the end of the last.
    if !matches!(text, [b'{' | b'[', ..]) {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            // No string goes over the end of a line: this is broken, and the parser will say so here.
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

/// Whether what follows a `[` shows that it opens an array of records; none if that is still to come.
fn opens_array(text: &[u8], last: bool) -> Option<bool> {
    // Without the cut, white space up to the end of the file would have to be kept.
    let window = &text[..text.len().min(RECORD_BYTES_MAX)];
    let next = window.iter().find(|byte| !byte.is_ascii_whitespace());
    let all = last || window.len() == RECORD_BYTES_MAX;
    next.map(|next| matches!(next, b'{' | b']')).or(all.then_some(false))
}

/// Looks for the end of something that is no JSON: its newline, or the `{` of a `}` `{` or `}` `,` `{`.
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
