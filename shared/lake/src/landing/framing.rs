//! Finds one record after the other: one a line, strung together without newlines, in a JSON array, or spread over
//! lines.
//!
//! A record that is no JSON must not take its neighbours with it. What is rejected then ends at the next newline, or
//! at the next `}` `{` on the same line, whichever comes first. (A broken record that is spread over several lines is
//! therefore rejected line by line.)

use super::fields::{Fields, Reason, Rejection};
use super::{Collect, RECORD_BYTES_MAX};
use crate::quarantine::Quarantine;

pub(super) struct Framer {
    /// What earlier chunks left: the beginning of a record.
    rest: Vec<u8>,
    line: u64,
    in_array: bool,
    /// Within a line that was rejected as too long: dropped up to the next newline.
    skipping: bool,
}

enum Step {
    /// Go on behind these many bytes.
    Consumed(usize),
    /// The record is not complete yet.
    More,
}

impl Framer {
    pub(super) fn new() -> Self {
        Self { rest: Vec::new(), line: 1, in_array: false, skipping: false }
    }

    pub(super) fn push<C: Collect>(&mut self, chunk: &[u8], to: &mut C, quarantine: &mut Quarantine) {
        if self.rest.is_empty() {
            let consumed = self.records(chunk, false, to, quarantine);
            self.rest.extend_from_slice(&chunk[consumed..]);
        } else {
            let mut text = std::mem::take(&mut self.rest);
            text.extend_from_slice(chunk);
            let consumed = self.records(&text, false, to, quarantine);
            text.drain(..consumed);
            self.rest = text;
        }
    }

    pub(super) fn finish<C: Collect>(&mut self, to: &mut C, quarantine: &mut Quarantine) {
        let text = std::mem::take(&mut self.rest);
        self.records(&text, true, to, quarantine);
        if self.in_array {
            quarantine.reject(self.line, &Rejection::of(Reason::ArrayNotClosed), b"");
        }
    }

    /// Reads all records that are complete in `text`; says how many bytes they took.
    fn records<C: Collect>(&mut self, text: &[u8], last: bool, to: &mut C, quarantine: &mut Quarantine) -> usize {
        let mut at = 0;
        while at < text.len() {
            if self.skipping {
                let Some(newline) = newline(&text[at..]) else { return text.len() };
                at += newline;
                self.skipping = false;
            }
            match text[at] {
                b'\n' => {
                    self.line += 1;
                    at += 1;
                }
                b' ' | b'\t' | b'\r' => at += 1,
                b'[' if !self.in_array => {
                    self.in_array = true;
                    at += 1;
                }
                b',' if self.in_array => at += 1,
                b']' if self.in_array => {
                    self.in_array = false;
                    at += 1;
                }
                _ => match self.record(&text[at..], last, to, quarantine) {
                    Step::Consumed(bytes) => at += bytes,
                    Step::More => return at,
                },
            }
        }
        at
    }

    fn record<C: Collect>(&mut self, text: &[u8], last: bool, to: &mut C, quarantine: &mut Quarantine) -> Step {
        let (parsed, bytes) = Fields::parse::<C>(text);
        match parsed {
            // A number or a word that ends where the chunk ends may go on in the next one; an object ends by itself.
            Ok(fields) if !last && bytes == text.len() && !fields.is_object() => self.more(text, quarantine),
            Ok(fields) => {
                if let Err(rejection) = fields.flaw().map_or_else(|| to.collect(&fields), Err) {
                    quarantine.reject(self.line, &rejection, &text[..bytes]);
                }
                self.line += text[..bytes].iter().filter(|b| **b == b'\n').count() as u64;
                Step::Consumed(bytes)
            }
            // A number that is cut behind its sign, point or exponent is an error, and not the end of the input.
            Err(error) if !last && (error.is_eof() || text.last().is_some_and(|end| b"+-.eE".contains(end))) => {
                self.more(text, quarantine)
            }
            Err(_) => match end_of_broken(text).or(last.then_some(text.len())) {
                Some(end) => {
                    let original = text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]);
                    quarantine.reject(self.line, &Rejection::of(Reason::NotJson), original);
                    Step::Consumed(end)
                }
                None => self.more(text, quarantine),
            },
        }
    }

    /// Waits for more of this record, unless it is too long already.
    fn more(&mut self, text: &[u8], quarantine: &mut Quarantine) -> Step {
        if text.len() <= RECORD_BYTES_MAX {
            return Step::More;
        }
        let end = newline(text).unwrap_or(text.len());
        self.skipping = end == text.len();
        quarantine.reject(self.line, &Rejection::of(Reason::RecordTooLong), &text[..end]);
        Step::Consumed(end)
    }
}

fn newline(text: &[u8]) -> Option<usize> {
    text.iter().position(|b| *b == b'\n')
}

/// Where something that is no JSON ends: at its newline, or before the `{` of a `}` `{` or `}` `,` `{`.
fn end_of_broken(text: &[u8]) -> Option<usize> {
    let line = &text[..newline(text).unwrap_or(text.len())];
    let mut closed = false;
    for (i, byte) in line.iter().enumerate() {
        match byte {
            b'}' => closed = true,
            b' ' | b'\t' | b'\r' | b',' => {}
            b'{' if closed => return Some(i),
            _ => closed = false,
        }
    }
    (line.len() < text.len()).then_some(line.len())
}
