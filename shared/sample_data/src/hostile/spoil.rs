//! Generates records and lines that must be rejected.

use fastrand::Rng;

use crate::record::{Record, Source, Spacing, Value, quoted, write_object};

/// Illegal times of a reading: negative, 0, in seconds, in microseconds, in the year 9999, in 1999, a fraction, not a number.
const BAD_TIMES: [&str; 11] = [
    "-1709966280000",
    "0",
    "1709966280",
    "1709966280000000",
    "253402300799000",
    "946684799999",
    "1709966280000.5",
    "\"soon\"",
    "\"2024-03-09T06:38:00Z\"",
    "true",
    "[1709966280000]",
];
/// Illegal dates of a customer's record. 0 is a legal one.
const BAD_DATES: [&str; 8] = [
    "-1709966280000",
    "1709966280",
    "1709966280000000",
    "253402300799000",
    "1709966280000.5",
    "\"soon\"",
    "true",
    "{\"$date\":1709966280000}",
];
/// Illegal values of a required text; `None` removes the field.
const BAD_TEXTS: [Option<&str>; 5] = [None, Some("null"), Some("true"), Some("{\"id\":1}"), Some("[]")];
/// Illegal values of a required double.
const BAD_DOUBLES: [Option<&str>; 7] =
    [None, Some("null"), Some("\"NaN\""), Some("\"-Infinity\""), Some("\"\""), Some("false"), Some("[0.5]")];
/// Illegal values of a required 32-bit integer.
const BAD_DISTANCES: [Option<&str>; 8] = [
    None,
    Some("null"),
    Some("2147483648"),
    Some("-2147483649"),
    Some("250.5"),
    Some("\"far\""),
    Some("false"),
    Some("99999999999999999999"),
];
/// JSON that is not a record.
const NON_RECORDS: [&str; 6] = ["42", "\"a line of text\"", "null", "true", "-1.5e3", "{}"];
/// Numbers that JSON does not allow, though some parsers do.
const NON_NUMBERS: [&str; 10] = ["NaN", "Infinity", "-Infinity", "nan", "0x1F", "+1", ".5", "1.", "1e999", "undefined"];
/// Lines that are not JSON.
const NON_JSON: [&str; 9] = [
    "user,timestamp,x,y,z",
    "# exported by hand",
    "503 Service Unavailable",
    "<html><body>Bad Gateway</body></html>",
    "}",
    "]",
    "{",
    "{\"user\"}",
    "\u{0}\u{0}\u{0}\u{0}",
];

/// A fault of a record: the name of a field, and the JSON of its new value; `None` removes the field.
type Fault = (&'static str, Option<&'static str>);

/// Spoils records. It uses all faults in turn.
pub(super) struct Spoiler {
    pub(super) source: Source,
    faults: Vec<Fault>,
    next_fault: usize,
    next_line: usize,
}

impl Spoiler {
    pub(super) fn new(source: Source) -> Self {
        fn all(name: &'static str, values: &[Option<&'static str>]) -> Vec<Fault> {
            values.iter().map(|value| (name, *value)).collect()
        }
        let required: Vec<Option<&str>> =
            BAD_TIMES.into_iter().map(Some).chain([None, Some("null"), Some("\"\"")]).collect();
        let optional = BAD_DATES.map(Some);
        let faults = match source {
            Source::Customer => [
                all("email", &BAD_TEXTS),
                all("shareWithResearchAsOfDate", &optional),
                all("lastUpdateDate", &optional),
                all("registrationDate", &optional),
                all("phone", &[Some("{\"home\":1}")]),
            ]
            .concat(),
            Source::Accelerometer => {
                [all("user", &BAD_TEXTS), all("timestamp", &required), all("x", &BAD_DOUBLES), all("z", &BAD_DOUBLES)]
                    .concat()
            }
            Source::StepTrainer => [
                all("serialNumber", &BAD_TEXTS),
                all("sensorReadingTime", &required),
                all("distanceFromObject", &BAD_DISTANCES),
            ]
            .concat(),
        };
        Self { source, faults, next_fault: 0, next_line: 0 }
    }

    /// Returns JSON that resembles `record` and must be rejected.
    pub(super) fn spoiled_record(&mut self, record: &Record<'_>, spacing: Spacing) -> String {
        let index = self.next_fault;
        // After the faults follow a duplicate field in the same case, one in another case, and JSON that is not a record.
        let other = index.checked_sub(self.faults.len());
        self.next_fault = (index + 1) % (self.faults.len() + NON_RECORDS.len() + 2);
        let mut fields = tampered(self.source, record);
        match other {
            None => match self.faults[index] {
                (name, Some(value)) => set(&mut fields, name, value),
                (name, None) => fields.retain(|(field, _)| *field != quoted(name)),
            },
            Some(0) => fields.push(fields[0].clone()),
            Some(1) => fields.push((fields[1].0.to_uppercase(), fields[1].1.clone())),
            Some(other) => return NON_RECORDS[other - 2].to_owned(),
        }
        let mut text = String::new();
        write_object(fields.into_iter(), spacing, &mut text);
        text
    }

    /// Returns a line that is not JSON, or not complete JSON. It does not affect the next line.
    pub(super) fn broken_line(&mut self, record: &Record<'_>, rng: &mut Rng) -> Vec<u8> {
        let (round, kind) = (self.next_line / 10, self.next_line % 10);
        self.next_line += 1;
        let line = tampered_line(self.source, record);
        match kind {
            0 => NON_JSON[round % NON_JSON.len()].as_bytes().to_vec(),
            1 | 2 => {
                let (name, _) = record.0[record.0.len() - 1];
                let mut fields = tampered(self.source, record);
                set(&mut fields, name, NON_NUMBERS[(2 * round + kind - 1) % NON_NUMBERS.len()]);
                let mut text = String::new();
                write_object(fields.into_iter(), Spacing::Tight, &mut text);
                text.into_bytes()
            }
            // A Latin-1 ü at the start of the first text.
            3 => line.replacen(":\"", ":\"\u{fc}", 1).chars().map(latin_1).collect(),
            4 => line.replace('"', "'").into_bytes(),
            5 => line.replacen(',', ",,", 1).into_bytes(),
            6 => format!("{},\"nested\":{}", line.trim_end_matches('}'), "[".repeat(4000)).into_bytes(),
            7 => vec![b'x'; 70_000],
            // Cut off at any byte, at least before the last brace.
            _ => line.as_bytes()[..rng.usize(1..line.len())].to_vec(),
        }
    }
}

/// Returns a changed record on one line. If it were accepted, a table would differ.
pub(super) fn tampered_line(source: Source, record: &Record<'_>) -> String {
    let mut text = String::new();
    write_object(tampered(source, record).into_iter(), Spacing::Tight, &mut text);
    text
}

/// Returns the record's fields with a changed reading, or as a later grant: of a customer without consent, or of a stranger.
/// It is never a withdrawal, because a malformed withdrawal counts.
fn tampered(source: Source, record: &Record<'_>) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> =
        record.0.iter().filter_map(|(name, value)| Some((quoted(name), value.json()?))).collect();
    match source {
        Source::Accelerometer => {
            set(&mut fields, "x", "9.5");
            set(&mut fields, "z", "9.5");
        }
        Source::StepTrainer => set(&mut fields, "distanceFromObject", "999"),
        Source::Customer => {
            let research = quoted("shareWithResearchAsOfDate");
            let consented = record.0.iter().any(|(name, value)| quoted(name) == research && *value != Value::Absent);
            let email = fields.iter_mut().find(|(name, _)| *name == quoted("email"));
            if let Some((_, email)) = email.filter(|_| consented) {
                *email = email.replacen('"', "\"stranger.", 1);
            }
            set(&mut fields, "shareWithResearchAsOfDate", "1711000000000");
            set(&mut fields, "lastUpdateDate", "1711000000000");
        }
    }
    fields
}

/// Replaces the field's value by `json`, or adds the field.
fn set(fields: &mut Vec<(String, String)>, name: &str, json: &str) {
    let name = quoted(name);
    match fields.iter_mut().find(|(field, _)| *field == name) {
        Some((_, value)) => json.clone_into(value),
        None => fields.push((name, json.to_owned())),
    }
}

/// Returns the character as one Latin-1 byte, which is not UTF-8 outside of ASCII.
fn latin_1(character: char) -> u8 {
    u8::try_from(u32::from(character)).unwrap_or(b'?')
}
