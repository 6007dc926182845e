//! The fields of one record, and the rules for their values.

use super::Collect;
use model::time::{BadTime, check_time};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// The most fields that a record of any landing table has.
pub(super) const FIELDS_MAX: usize = 10;

/// Why a record or a piece of text is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is not JSON.
    NotJson,
    /// It is JSON, but not an object.
    NotAnObject,
    /// The record is longer than [`RECORD_BYTES_MAX`](super::RECORD_BYTES_MAX).
    RecordTooLong,
    /// The file ends within a JSON array, so rows may be missing.
    ArrayNotClosed,
    /// A field occurs twice.
    DuplicateField,
    /// A required field is absent, null or empty.
    MissingField,
    /// A text field is neither a string nor a number.
    NotText,
    /// An integer field is not an integer, or does not fit.
    NotAnInteger,
    /// A number field is not a number, or is not finite.
    NotANumber,
    /// A time is given in seconds.
    TimeInSeconds,
    /// A time is outside the years 2000 to 2099.
    TimeOutOfRange,
    /// A date is more than a day later than the time at which the file was stored.
    TimeAhead,
}

impl Reason {
    /// Returns the reason's name in receipts, metrics and quarantine files.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::RecordTooLong => "record_too_long",
            Self::ArrayNotClosed => "array_not_closed",
            Self::DuplicateField => "duplicate_field",
            Self::MissingField => "missing_field",
            Self::NotText => "not_text",
            Self::NotAnInteger => "not_an_integer",
            Self::NotANumber => "not_a_number",
            Self::TimeInSeconds => "time_in_seconds",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::TimeAhead => "time_ahead",
        }
    }
}

/// Why a piece of a landing file is rejected. It holds no value of the record, which may be personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The reason.
    pub reason: Reason,
    /// The field that causes the rejection, if one does.
    pub field: Option<&'static str>,
}

impl Rejection {
    /// Returns a rejection for `reason` that no single field causes.
    pub fn of(reason: Reason) -> Self {
        Self { reason, field: None }
    }

    pub(crate) fn at(reason: Reason, field: &'static str) -> Self {
        Self { reason, field: Some(field) }
    }
}

/// The fields of one record, by the position of their name in the collector's list of names.
#[derive(Debug)]
pub struct Fields<'a> {
    names: &'static [&'static str],
    /// The JSON text of each field's value; `None` if the field is absent or null.
    values: [Option<&'a str>; FIELDS_MAX],
    /// Which fields occur more than once.
    duplicates: [bool; FIELDS_MAX],
    object: bool,
}

impl<'a> Fields<'a> {
    /// Reads the first JSON value of `text` with the field names of `C`. Also returns the byte at which the value ends.
    pub(super) fn parse<C: Collect>(text: &'a [u8]) -> (Result<Self, serde_json::Error>, usize) {
        let mut values = serde_json::Deserializer::from_slice(text).into_iter::<FieldsOf<'a, C>>();
        let parsed = match values.next() {
            Some(parsed) => parsed.map(|of| of.fields),
            None => Ok(Fields::not_an_object(C::FIELDS)),
        };
        (parsed, values.byte_offset())
    }

    fn not_an_object(names: &'static [&'static str]) -> Self {
        Self { names, values: [None; FIELDS_MAX], duplicates: [false; FIELDS_MAX], object: false }
    }

    /// Returns the fields of an object from the JSON text of each value; `None` for an absent field.
    pub(super) fn of_object(names: &'static [&'static str], values: [Option<&'a str>; FIELDS_MAX]) -> Self {
        Self { names, values, duplicates: [false; FIELDS_MAX], object: true }
    }

    /// Returns the JSON text of each field that is present and not null.
    pub(super) fn json(&self) -> impl Iterator<Item = (usize, &'a str)> {
        self.values.into_iter().enumerate().filter_map(|(i, json)| Some((i, json?)))
    }

    /// Whether the JSON value is an object.
    pub(super) fn is_object(&self) -> bool {
        self.object
    }

    /// Returns what is wrong with the record as a whole.
    pub(super) fn flaw(&self) -> Option<Rejection> {
        if !self.object {
            return Some(Rejection::of(Reason::NotAnObject));
        }
        self.duplicates.iter().position(|is_duplicate| *is_duplicate).map(|i| self.rejection(Reason::DuplicateField, i))
    }

    /// Returns the JSON text of field `i`; `None` if it is absent or null.
    fn value(&self, i: usize) -> Result<Option<&'a str>, Rejection> {
        if self.duplicates[i] { Err(self.rejection(Reason::DuplicateField, i)) } else { Ok(self.values[i]) }
    }

    /// Returns the rejection of field `i`.
    pub(crate) fn rejection(&self, reason: Reason, i: usize) -> Rejection {
        Rejection::at(reason, self.names[i])
    }

    /// Whether field `i` is the JSON value `false`.
    pub fn is_false(&self, i: usize) -> bool {
        self.value(i).is_ok_and(|json| json == Some("false"))
    }

    /// Reads the text of field `i`; `None` if it is absent or null. A number is taken as its digits.
    pub fn text(&self, i: usize) -> Result<Option<Cow<'a, str>>, Rejection> {
        let Some(json) = self.value(i)? else { return Ok(None) };
        let text = match json.as_bytes().first() {
            Some(b'"') => unquoted(json).ok_or_else(|| self.rejection(Reason::NotText, i))?,
            Some(b'-' | b'0'..=b'9') => Cow::Borrowed(json),
            _ => return Err(self.rejection(Reason::NotText, i)),
        };
        Ok(Some(text))
    }

    /// Reads the text of field `i`, which must be present and not blank.
    pub fn required_text(&self, i: usize) -> Result<Cow<'a, str>, Rejection> {
        self.text(i)?.filter(|text| !text.trim().is_empty()).ok_or_else(|| self.missing(i))
    }

    /// Reads the finite number of field `i`, which must be present. It may be in a string.
    pub fn required_number(&self, i: usize) -> Result<f64, Rejection> {
        let digits = self.digits(i, Reason::NotANumber)?.ok_or_else(|| self.missing(i))?;
        let number = digits.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| self.rejection(Reason::NotANumber, i))
    }

    /// Reads the integer of field `i`; `None` if it is absent, null or an empty string. It may be in a string or end in `.0`.
    pub fn integer(&self, i: usize) -> Result<Option<i64>, Rejection> {
        /// 2^53. Above it a float cannot represent every integer, so an integer written as a float may have been rounded.
        const FLOAT_INTEGER_END: f64 = 9_007_199_254_740_992.0;
        let Some(digits) = self.digits(i, Reason::NotAnInteger)? else { return Ok(None) };
        if let Ok(integer) = digits.parse() {
            return Ok(Some(integer));
        }
        let whole = digits.parse().ok().filter(|n: &f64| n.fract() == 0.0 && n.abs() < FLOAT_INTEGER_END);
        whole.map(|n| Some(n as i64)).ok_or_else(|| self.rejection(Reason::NotAnInteger, i))
    }

    /// Reads the integer of field `i`, which must be present and fit into 32 bits.
    pub fn required_int(&self, i: usize) -> Result<i32, Rejection> {
        let integer = self.integer(i)?.ok_or_else(|| self.missing(i))?;
        integer.try_into().map_err(|_| self.rejection(Reason::NotAnInteger, i))
    }

    /// Reads the time of field `i`, which must be present: milliseconds since 1970, in the years 2000 to 2099.
    pub fn required_time(&self, i: usize) -> Result<i64, Rejection> {
        let time_ms = self.integer(i)?.ok_or_else(|| self.missing(i))?;
        check_time(time_ms).map_err(|bad| self.bad_time(i, bad))
    }

    /// Reads the time of field `i`; `None` if it is absent, null or an empty string. 0 stays 0.
    pub fn time(&self, i: usize) -> Result<Option<i64>, Rejection> {
        match self.integer(i)? {
            None | Some(0) => self.integer(i),
            Some(time_ms) => check_time(time_ms).map(Some).map_err(|bad| self.bad_time(i, bad)),
        }
    }

    /// Returns the characters of a number, without the quotes if it is in a string.
    fn digits(&self, i: usize, otherwise: Reason) -> Result<Option<Cow<'a, str>>, Rejection> {
        let json = self.value(i)?;
        if let Some([b'-' | b'0'..=b'9', ..]) = json.map(str::as_bytes) {
            // A JSON number has no other characters.
            return Ok(json.map(Cow::Borrowed));
        }
        let bad = || self.rejection(otherwise, i);
        let Some(text) = self.text(i).map_err(|_| bad())? else { return Ok(None) };
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        if text.is_empty() {
            return Ok(None);
        }
        // Rust also parses "inf", "nan" and the like as floats.
        let numeric = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        if numeric { Ok(Some(text)) } else { Err(bad()) }
    }

    fn missing(&self, i: usize) -> Rejection {
        self.rejection(Reason::MissingField, i)
    }

    fn bad_time(&self, i: usize, bad: BadTime) -> Rejection {
        let reason = match bad {
            BadTime::InSeconds => Reason::TimeInSeconds,
            BadTime::OutOfRange => Reason::TimeOutOfRange,
        };
        self.rejection(reason, i)
    }
}

/// Decodes a JSON string.
fn unquoted(json: &str) -> Option<Cow<'_, str>> {
    if json.contains('\\') {
        serde_json::from_str::<String>(json).ok().map(Cow::Owned)
    } else {
        json.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
    }
}

/// [`Fields`] read with the names of `C`.
struct FieldsOf<'a, C> {
    fields: Fields<'a>,
    of: PhantomData<C>,
}

impl<'de, C: Collect> Deserialize<'de> for FieldsOf<'de, C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = deserializer.deserialize_any(FieldsVisitor { names: C::FIELDS })?;
        Ok(Self { fields, of: PhantomData })
    }
}

struct FieldsVisitor {
    names: &'static [&'static str],
}

impl FieldsVisitor {
    fn not_an_object<'a, E>(self) -> Result<Fields<'a>, E> {
        Ok(Fields::not_an_object(self.names))
    }
}

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::of_object(self.names, [None; FIELDS_MAX]);
        let mut seen = [false; FIELDS_MAX];
        // Records mostly have their fields in the order of the names, so the next name is tried first.
        let mut guess = 0;
        while let Some(found) = map.next_key_seed(NameSeed { names: self.names, guess })? {
            let Some(i) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            guess = i + 1;
            let json = map.next_value::<&RawValue>()?.get();
            fields.duplicates[i] |= std::mem::replace(&mut seen[i], true);
            fields.values[i] = Some(json).filter(|json| *json != "null");
        }
        Ok(fields)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fields<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.not_an_object()
    }

    fn visit_bool<E>(self, _: bool) -> Result<Fields<'de>, E> {
        self.not_an_object()
    }

    fn visit_i64<E>(self, _: i64) -> Result<Fields<'de>, E> {
        self.not_an_object()
    }

    fn visit_u64<E>(self, _: u64) -> Result<Fields<'de>, E> {
        self.not_an_object()
    }

    fn visit_f64<E>(self, _: f64) -> Result<Fields<'de>, E> {
        self.not_an_object()
    }

    fn visit_str<E>(self, _: &str) -> Result<Fields<'de>, E> {
        self.not_an_object()
    }

    fn visit_unit<E>(self) -> Result<Fields<'de>, E> {
        self.not_an_object()
    }
}

/// Finds the position of a field's name, ignoring case.
struct NameSeed {
    names: &'static [&'static str],
    guess: usize,
}

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        let is = |i: &usize| self.names[*i].eq_ignore_ascii_case(name);
        let guess = Some(self.guess).filter(|i| *i < self.names.len() && is(i));
        Ok(guess.or_else(|| (0..self.names.len()).find(is)))
    }
}
