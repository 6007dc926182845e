//! The rejected records of a landing file, as JSON lines. A person can read them, correct them and upload them again.

use crate::landing::RECORD_BYTES_MAX;
use crate::landing::fields::Rejection;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use model::layout::ObjectLocation;
use serde::Serialize;
use std::collections::BTreeMap;

/// The most bytes that the quarantine keeps of one rejected piece. A piece of a legal record's length is kept whole.
pub const ORIGINAL_BYTES_MAX: usize = RECORD_BYTES_MAX;
/// The most bytes that the quarantine keeps of a file that is rejected as a whole. The landing file has the rest.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// When the quarantine of a file has this many bytes, further rejections are only counted.
pub const QUARANTINE_BYTES_MAX: usize = 32 << 20;

/// The rejections of one landing file.
#[derive(Clone, Debug, Default)]
pub struct Quarantine {
    lines: Vec<u8>,
    reasons: BTreeMap<String, u64>,
    /// The rejections that are only counted: the line of the first one, and their number.
    more: Option<(u64, u64)>,
}

#[derive(Serialize)]
struct Line<'a> {
    /// The number of the line in the decompressed file, from 1; 0 stands for the whole file.
    line: u64,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_base64: Option<String>,
    /// How many bytes of the original only the landing file has.
    #[serde(skip_serializing_if = "is_zero")]
    omitted_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    landing: Option<&'a ObjectLocation>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Quarantine {
    /// Returns the quarantine of a file that cannot be decoded: one rejection with the file's first bytes.
    pub fn whole_file(reason: &str, detail: String, landing: &ObjectLocation, head: &[u8], file_bytes: u64) -> Self {
        let mut quarantine = Self::default();
        let kept = &head[..head.len().min(HEAD_BYTES_MAX)];
        quarantine.push(Line {
            line: 0,
            reason,
            field: None,
            detail: Some(detail),
            original: None,
            original_base64: Some(BASE64.encode(kept)),
            omitted_bytes: usize::try_from(file_bytes).unwrap_or(usize::MAX).saturating_sub(kept.len()),
            landing: Some(landing),
        });
        quarantine
    }

    /// Adds a rejected piece of text that begins at `line` (from 1).
    pub fn reject(&mut self, line: u64, rejection: &Rejection, original: &[u8]) {
        self.reject_cut(line, rejection, original, 0);
    }

    /// Like [`Self::reject`], for a piece that has `omitted_bytes` more than `original`.
    pub fn reject_cut(&mut self, line: u64, rejection: &Rejection, original: &[u8], omitted_bytes: usize) {
        if self.lines.len() >= QUARANTINE_BYTES_MAX {
            *self.reasons.entry(rejection.reason.name().to_owned()).or_default() += 1;
            self.more.get_or_insert((line, 0)).1 += 1;
            return;
        }
        let kept = &original[..original.len().min(ORIGINAL_BYTES_MAX)];
        let text = std::str::from_utf8(kept).ok();
        self.push(Line {
            line,
            reason: rejection.reason.name(),
            field: rejection.field,
            detail: None,
            original: text,
            original_base64: if text.is_none() { Some(BASE64.encode(kept)) } else { None },
            omitted_bytes: original.len() - kept.len() + omitted_bytes,
            landing: None,
        });
    }

    fn push(&mut self, line: Line<'_>) {
        *self.reasons.entry(line.reason.to_owned()).or_default() += 1;
        // A `Line` holds only strings and numbers, which always become JSON.
        if serde_json::to_writer(&mut self.lines, &line).is_ok() {
            self.lines.push(b'\n');
        }
    }

    /// Returns the number of rejections.
    pub fn count(&self) -> u64 {
        self.reasons.values().sum()
    }

    /// Returns about how much memory it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.lines.capacity()
    }

    /// Returns the number of rejections by reason.
    pub fn reasons(&self) -> &BTreeMap<String, u64> {
        &self.reasons
    }

    /// Writes the quarantine file: one JSON object a line. If further rejections were only counted, the last line says how many.
    pub fn file(&self) -> Bytes {
        let mut file = self.lines.clone();
        if let Some((line, more)) = self.more {
            file.extend(format!("{{\"line\":{line},\"reason\":\"quarantine_full\",\"more\":{more}}}\n").bytes());
        }
        file.into()
    }
}
