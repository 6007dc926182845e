//! Reads records quickly, by the layout of earlier records.
//!
//! One program usually writes all records of a file: the same names in the same order with the same punctuation. Only the
//! values differ. So the reader keeps the text around the values of a record that the complete parser has read. If a later
//! record has the same text around its values, the values are found without parsing.
//!
//! The result is always that of the complete parser. The text is compared byte by byte, and a value must be a JSON number or
//! a string without escapes. The complete parser reads every record that differs.

use super::fields::{FIELDS_MAX, Fields};
use std::ops::Range;

/// The most layouts that are known at a time. Optional fields lead to several layouts.
const LAYOUTS_MAX: usize = 8;
/// The longest record whose layout is kept.
const RECORD_BYTES_MAX: usize = 4 << 10;

/// The layouts of a file's records.
pub(super) struct Layouts {
    known: Vec<Layout>,
    /// The layout that was used or learned last.
    last: usize,
    /// The most layouts that may be known.
    max: usize,
}

struct Layout {
    /// The values in the order of the record.
    values: Vec<Value>,
    /// The text after the last value.
    end: Vec<u8>,
    /// The number of newlines within the record.
    lines: u64,
}

struct Value {
    /// The text before the value.
    before: Vec<u8>,
    field: usize,
    /// The last string at this position. The next record mostly has the same one, and then its end is known.
    last: Vec<u8>,
}

/// The byte range of each field's value in a record, as (start, end). The end is 0 if the record does not have the field.
type ByteRanges = [(u32, u32); FIELDS_MAX];

/// A record of a known layout: the byte ranges of its values.
#[derive(Debug)]
pub struct LayoutFields<'a> {
    record: &'a [u8],
    ranges: ByteRanges,
    lines: u64,
}

impl<'a> LayoutFields<'a> {
    /// Returns the length of the record in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.record.len()
    }

    /// Returns the number of newlines within the record.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Returns its fields; `None` if it is not UTF-8.
    pub(super) fn fields(&self, names: &'static [&'static str]) -> Option<Fields<'a>> {
        let record = std::str::from_utf8(self.record).ok()?;
        let value = |(start, end)| if end == 0 { None } else { record.get(start as usize..end as usize) };
        Some(Fields::of_object(names, self.ranges.map(value)))
    }

    /// Returns the content of a string without escapes that does not start with a space; `None` for any other value.
    pub fn string(&self, i: usize) -> Option<&'a [u8]> {
        match self.json(i)? {
            [b'"', text @ .., b'"'] if text.first().is_some_and(|first| (b'!'..=b'~').contains(first)) => Some(text),
            _ => None,
        }
    }

    /// Returns an integer of up to 15 digits, without point or exponent; `None` for any other value.
    pub fn integer(&self, i: usize) -> Option<i64> {
        let (negative, digits) = sign(self.json(i)?);
        Some(if negative { -digits_of(digits)? } else { digits_of(digits)? })
    }

    /// Returns a number of up to 15 digits, without exponent; `None` for any other value.
    pub fn decimal(&self, i: usize) -> Option<f64> {
        const POWERS: [f64; 16] = [1., 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
        let (negative, digits) = sign(self.json(i)?);
        let (whole, fraction) = match digits.iter().position(|digit| *digit == b'.') {
            Some(point) => (&digits[..point], &digits[point + 1..]),
            None => (digits, &[][..]),
        };
        if whole.len() + fraction.len() > DIGITS_MAX {
            return None;
        }
        let scale = POWERS[fraction.len()];
        let fraction = if fraction.is_empty() { 0 } else { digits_of(fraction)? };
        // Both operands are exact floats, so the quotient is the float nearest to the number.
        let value = (digits_of(whole)? as f64 * scale + fraction as f64) / scale;
        Some(if negative { -value } else { value })
    }

    fn json(&self, i: usize) -> Option<&'a [u8]> {
        let (start, end) = *self.ranges.get(i)?;
        self.record.get(start as usize..end as usize)
    }
}

/// A float represents every integer of this many digits exactly.
const DIGITS_MAX: usize = 15;

fn sign(number: &[u8]) -> (bool, &[u8]) {
    match number {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    }
}

/// Parses digits; `None` if there are none, other characters, or too many.
fn digits_of(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > DIGITS_MAX {
        return None;
    }
    text.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

impl Layouts {
    pub(super) fn new() -> Self {
        Self { known: Vec::new(), last: 0, max: LAYOUTS_MAX }
    }

    /// Returns layouts that never learn, so that the complete parser reads every record.
    pub(super) fn none() -> Self {
        Self { known: Vec::new(), last: 0, max: 0 }
    }

    /// Reads the record at the start of `text`, if it has a known layout.
    pub(super) fn read<'a>(&mut self, text: &'a [u8]) -> Option<LayoutFields<'a>> {
        if let Some(record) = self.known.get_mut(self.last)?.read(text) {
            return Some(record);
        }
        for (i, layout) in self.known.iter_mut().enumerate().filter(|(i, _)| *i != self.last) {
            if let Some(record) = layout.read(text) {
                self.last = i;
                return Some(record);
            }
        }
        None
    }

    /// Learns the layout of a record that the complete parser has read.
    pub(super) fn learn(&mut self, record: &[u8], fields: &Fields<'_>) {
        if self.max == 0 {
            return;
        }
        let Some(layout) = Layout::of(record, fields) else { return };
        if self.known.len() < self.max {
            self.known.push(layout);
            self.last = self.known.len() - 1;
        } else {
            self.last = (self.last + 1) % self.max;
            self.known[self.last] = layout;
        }
    }
}

impl Layout {
    fn of(record: &[u8], fields: &Fields<'_>) -> Option<Self> {
        if record.len() > RECORD_BYTES_MAX || !fields.is_object() || fields.flaw().is_some() {
            return None;
        }
        let mut ranges: Vec<(Range<usize>, usize)> = Vec::new();
        for (field, json) in fields.json() {
            // The value is a slice of the record. If it is not, no layout is learned.
            let start = (json.as_ptr() as usize).checked_sub(record.as_ptr() as usize)?;
            let range = start..start + json.len();
            if record.get(range.clone())? != json.as_bytes() || value_end(record, start).is_none() {
                return None;
            }
            ranges.push((range, field));
        }
        ranges.sort_by_key(|(range, _)| range.start);
        let mut values = Vec::new();
        let mut at = 0;
        for (range, field) in ranges {
            values.push(Value { before: record.get(at..range.start)?.to_vec(), field, last: Vec::new() });
            at = range.end;
        }
        let end = record[at..].to_vec();
        let lines = values.iter().flat_map(|value| &value.before).chain(&end).filter(|byte| **byte == b'\n').count();
        Some(Self { values, end, lines: lines as u64 })
    }

    fn read<'a>(&mut self, text: &'a [u8]) -> Option<LayoutFields<'a>> {
        let mut ranges = [(0, 0); FIELDS_MAX];
        let mut at = 0;
        for Value { before, field, last } in &mut self.values {
            let start = at + before.len();
            if !are_same(text.get(at..start)?, before) {
                return None;
            }
            at = start + last.len();
            if last.is_empty() || !are_same(text.get(start..at)?, last) {
                at = value_end(text, start)?;
                if text[start] == b'"' {
                    last.clear();
                    last.extend_from_slice(&text[start..at]);
                }
            }
            // A window has at most 2^20 + 1 bytes, so 32 bits are enough.
            ranges[*field] = (start as u32, at as u32);
        }
        let bytes = at + self.end.len();
        if !are_same(text.get(at..bytes)?, &self.end) {
            return None;
        }
        Some(LayoutFields { record: &text[..bytes], ranges, lines: self.lines })
    }
}

/// Whether two texts are the same. The texts between values are short: a call of `memcmp` would take longer than this
/// comparison.
fn are_same(a: &[u8], b: &[u8]) -> bool {
    /// Compares both ends, which overlap or meet in the middle.
    fn by_ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
        a.first_chunk::<N>() == b.first_chunk() && a.last_chunk::<N>() == b.last_chunk()
    }
    match a.len() {
        length if length != b.len() => false,
        0..4 => a.iter().eq(b),
        4..=8 => by_ends::<4>(a, b),
        9..=16 => by_ends::<8>(a, b),
        17..=32 => by_ends::<16>(a, b),
        _ => a == b,
    }
}

/// Returns the end of the string without escapes, or of the number, that starts at `start`; `None` for any other value.
fn value_end(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start)? {
        b'"' => {
            let length = text[start + 1..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
            let end = start + 1 + length;
            (text[end] == b'"').then_some(end + 1)
        }
        b'-' | b'0'..=b'9' => number_end(text, start),
        _ => None,
    }
}

/// Returns the end of a number by JSON's grammar: no leading zeros, digits on both sides of the point and in the exponent.
fn number_end(text: &[u8], start: usize) -> Option<usize> {
    let digits = |at: usize| {
        let count = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(at + count)
    };
    let mut at = start + usize::from(text[start] == b'-');
    at = if text.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at = digits(at)?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_ends_by_the_grammar() {
        for (text, end) in [
            ("0", Some(1)),
            ("-0", Some(2)),
            ("01", Some(1)),
            ("12.5,", Some(4)),
            ("1e5}", Some(3)),
            ("1E-05 ", Some(5)),
            ("1.e5", None),
            ("1.", None),
            ("-", None),
            ("-a", None),
            ("1e", None),
            ("1e+", None),
        ] {
            assert_eq!(number_end(text.as_bytes(), 0), end, "{text}");
        }
    }

    fn record(json: &str) -> LayoutFields<'_> {
        let mut ranges = [(0, 0); FIELDS_MAX];
        ranges[0] = (0, json.len() as u32);
        LayoutFields { record: json.as_bytes(), ranges, lines: 0 }
    }

    #[test]
    fn short_numbers_become_the_nearest_float() {
        for json in ["0", "-0.0", "1.0", "-1.5", "0.1", "123456.789012345", "999999999999999", "0.00000000000001"] {
            let nearest: f64 = json.parse().unwrap();
            assert_eq!(record(json).decimal(0).map(f64::to_bits), Some(nearest.to_bits()), "{json}");
        }
        for json in ["1e5", "1234567890123456", "\"1\"", "1.2.3", ""] {
            assert_eq!(record(json).decimal(0), None, "{json}");
        }
        assert_eq!(record("-1655564444103").integer(0), Some(-1_655_564_444_103));
        assert_eq!(record("1.0").integer(0), None);
    }

    proptest! {
        #[test]
        fn any_short_number_becomes_the_nearest_float(json in "-?(0|[1-9][0-9]{0,8})[.][0-9]{1,6}") {
            let nearest: f64 = json.parse().unwrap();
            prop_assert_eq!(record(&json).decimal(0).map(f64::to_bits), Some(nearest.to_bits()));
        }
    }

    #[test]
    fn texts_of_any_length_are_compared_completely() {
        for length in 0..70 {
            let text: Vec<u8> = (0..length).collect();
            assert!(are_same(&text, &text.clone()));
            assert!(!are_same(&text, &[&text[..], b"x"].concat()));
            for position in 0..text.len() {
                let mut other = text.clone();
                other[position] ^= 1;
                assert!(!are_same(&text, &other), "{length} {position}");
            }
        }
    }

    #[test]
    fn a_string_ends_at_its_quote() {
        for (text, end) in [
            (r#""","#, Some(2)),
            (r#""a b""#, Some(5)),
            (r#""a\"b""#, None),
            ("\"a\nb\"", None),
            (r#""a"#, None),
            ("\"", None),
        ] {
            assert_eq!(value_end(text.as_bytes(), 0), end, "{text}");
        }
    }
}
