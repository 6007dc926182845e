//! The quick way to read a record: by the layout of those before it.
//!
//! A file's records are mostly written by one program: the same names in the same order with the same punctuation, and
//! only the values differ. So of a record that the complete parser has read, the text around its values is kept. Where
//! a later record has the very same text around other strings and numbers, its values are found without parsing.
//!
//! This only ever takes what the complete parser would take, and as it would: the text is compared byte by byte, a value
//! must be a JSON number or a string without escapes, and whatever differs in the least is left to that parser.

use super::fields::{FIELDS_MAX, Fields};
use std::ops::Range;

/// How many layouts are known at a time: optional fields make several.
const LAYOUTS_MAX: usize = 8;
/// The longest record whose layout is kept.
const RECORD_BYTES_MAX: usize = 4 << 10;

/// The layouts of a file's records.
pub(super) struct Layouts {
    known: Vec<Layout>,
    /// The one that fitted last, or was learned last.
    last: usize,
    /// How many may be known.
    max: usize,
}

struct Layout {
    /// The values in the order of the record, each with the text before it.
    values: Vec<Value>,
    /// The text behind the last value.
    end: Vec<u8>,
    /// How many lines the record goes over, beyond the first.
    lines: u64,
}

struct Value {
    before: Vec<u8>,
    field: usize,
    /// The string that was here last: it mostly comes again, and then its end need not be looked for.
    last: Vec<u8>,
}

/// Where each field's value is in a record, as (start, end); the end is 0 if the record does not have it.
type Places = [(u32, u32); FIELDS_MAX];

/// A record that has a known layout: where its values are.
#[derive(Debug)]
pub struct Laid<'a> {
    record: &'a [u8],
    /// Of each field; none if the record does not have it.
    places: Places,
    lines: u64,
}

impl<'a> Laid<'a> {
    /// How many bytes the record has.
    pub(super) fn bytes(&self) -> usize {
        self.record.len()
    }

    /// How many lines it goes over, beyond the first.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Its fields; none if it is no UTF-8.
    pub(super) fn fields(&self, names: &'static [&'static str]) -> Option<Fields<'a>> {
        let record = std::str::from_utf8(self.record).ok()?;
        let value = |(start, end)| if end == 0 { None } else { record.get(start as usize..end as usize) };
        Some(Fields::of_object(names, self.places.map(value)))
    }

    /// The content of a string without escapes that does not begin with a space; none if the field is anything else.
    pub fn string(&self, i: usize) -> Option<&'a [u8]> {
        match self.json(i)? {
            [b'"', text @ .., b'"'] if text.first().is_some_and(|first| (b'!'..=b'~').contains(first)) => Some(text),
            _ => None,
        }
    }

    /// A whole number of up to 15 digits, written as nothing but these; none if the field is anything else.
    pub fn integer(&self, i: usize) -> Option<i64> {
        let (negative, digits) = sign(self.json(i)?);
        Some(if negative { -digits_of(digits)? } else { digits_of(digits)? })
    }

    /// A number of up to 15 digits without an exponent; none if the field is anything else.
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
        // Both are exact in a float, so their quotient is the float that is nearest to the number.
        let value = (digits_of(whole)? as f64 * scale + fraction as f64) / scale;
        Some(if negative { -value } else { value })
    }

    fn json(&self, i: usize) -> Option<&'a [u8]> {
        let (start, end) = *self.places.get(i)?;
        self.record.get(start as usize..end as usize)
    }
}

/// More digits than these may not be exact in a float.
const DIGITS_MAX: usize = 15;

fn sign(number: &[u8]) -> (bool, &[u8]) {
    match number {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    }
}

/// The number that digits make; none if there is none, anything else, or too many.
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

    /// No layouts: everything is left to the complete parser.
    pub(super) fn none() -> Self {
        Self { known: Vec::new(), last: 0, max: 0 }
    }

    /// Reads the record at the start of `text`, if it has a known layout.
    pub(super) fn read<'a>(&mut self, text: &'a [u8]) -> Option<Laid<'a>> {
        if let Some(laid) = self.known.get_mut(self.last)?.read(text) {
            return Some(laid);
        }
        for (i, layout) in self.known.iter_mut().enumerate().filter(|(i, _)| *i != self.last) {
            if let Some(laid) = layout.read(text) {
                self.last = i;
                return Some(laid);
            }
        }
        None
    }

    /// Keeps the layout of a record that the complete parser has read.
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
        let mut places: Vec<(Range<usize>, usize)> = Vec::new();
        for (field, json) in fields.json() {
            // Where else than in the record could it be; but a layout is not worth a guess.
            let start = (json.as_ptr() as usize).checked_sub(record.as_ptr() as usize)?;
            let place = start..start + json.len();
            if record.get(place.clone())? != json.as_bytes() || value_end(record, start).is_none() {
                return None;
            }
            places.push((place, field));
        }
        places.sort_by_key(|(place, _)| place.start);
        let mut values = Vec::new();
        let mut at = 0;
        for (place, field) in places {
            values.push(Value { before: record.get(at..place.start)?.to_vec(), field, last: Vec::new() });
            at = place.end;
        }
        let end = record[at..].to_vec();
        let lines = values.iter().flat_map(|value| &value.before).chain(&end).filter(|byte| **byte == b'\n').count();
        Some(Self { values, end, lines: lines as u64 })
    }

    fn read<'a>(&mut self, text: &'a [u8]) -> Option<Laid<'a>> {
        let mut places = [(0, 0); FIELDS_MAX];
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
            // A layout is not kept of long records, and a record is read up to 2^20 bytes.
            places[*field] = (start as u32, at as u32);
        }
        let bytes = at + self.end.len();
        if !are_same(text.get(at..bytes)?, &self.end) {
            return None;
        }
        Some(Laid { record: &text[..bytes], places, lines: self.lines })
    }
}

/// Whether two texts of one length are the same. Those between values are so short that to call the C library takes longer
/// than to compare them.
fn are_same(a: &[u8], b: &[u8]) -> bool {
    /// Both ends, which overlap or meet in the middle.
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

/// Where the string without escapes or the number ends that begins at `start`; none if there is neither.
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

/// As JSON's grammar has it: no leading zeros, digits on both sides of the point, digits in the exponent.
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
    fn a_number_ends_where_the_grammar_says() {
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

    fn laid(json: &str) -> Laid<'_> {
        let mut places = [(0, 0); FIELDS_MAX];
        places[0] = (0, json.len() as u32);
        Laid { record: json.as_bytes(), places, lines: 0 }
    }

    #[test]
    fn short_numbers_are_the_floats_that_are_nearest() {
        for json in ["0", "-0.0", "1.0", "-1.5", "0.1", "123456.789012345", "999999999999999", "0.00000000000001"] {
            let nearest: f64 = json.parse().unwrap();
            assert_eq!(laid(json).decimal(0).map(f64::to_bits), Some(nearest.to_bits()), "{json}");
        }
        for json in ["1e5", "1234567890123456", "\"1\"", "1.2.3", ""] {
            assert_eq!(laid(json).decimal(0), None, "{json}");
        }
        assert_eq!(laid("-1655564444103").integer(0), Some(-1_655_564_444_103));
        assert_eq!(laid("1.0").integer(0), None);
    }

    proptest! {
        #[test]
        fn any_short_number_is_the_float_that_is_nearest(json in "-?(0|[1-9][0-9]{0,8})[.][0-9]{1,6}") {
            let nearest: f64 = json.parse().unwrap();
            prop_assert_eq!(laid(&json).decimal(0).map(f64::to_bits), Some(nearest.to_bits()));
        }
    }

    #[test]
    fn texts_of_any_length_are_the_same_or_not() {
        for length in 0..70 {
            let text: Vec<u8> = (0..length).collect();
            assert!(are_same(&text, &text.clone()));
            assert!(!are_same(&text, &[&text[..], b"x"].concat()));
            for place in 0..text.len() {
                let mut other = text.clone();
                other[place] ^= 1;
                assert!(!are_same(&text, &other), "{length} {place}");
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
