//! Writes a record in another spelling with the same meaning.

use fastrand::Rng;

use crate::record::{Record, Spacing, Value, quoted, write_object};

/// Fields that no table has. The nested ones contain names and braces that a careless reader takes for those of the record.
const EXTRAS: [(&str, &str); 7] = [
    ("firmware", r#""2.1.0-rc4""#),
    ("", "null"),
    ("battery", "0.87"),
    ("charging", "false"),
    ("note", r#""a \"quoted\" brace } and a line\nbreak, \\ and ü""#),
    ("device", r#"{"user":"other@example.com","email":null,"timestamp":0,"tags":["}{",[1,{"x":[]}],""]}"#),
    ("history", r#"[{"serialNumber":"none","shareWithResearchAsOfDate":1},[],{}]"#),
];

/// Returns a record as a JSON object. Two of three have another case, order and spelling, and fields that no table has.
pub(super) fn disguised(record: &Record<'_>, spacing: Spacing, rng: &mut Rng) -> String {
    let mut text = String::new();
    if rng.u8(..3) == 0 {
        record.write(spacing, &mut text);
        return text;
    }
    let mut fields: Vec<(String, String)> =
        record.0.iter().filter_map(|(name, value)| Some((spelled(name, rng), valued(name, value, rng)?))).collect();
    for (name, value) in EXTRAS {
        if rng.u8(..5) == 0 {
            fields.push((quoted(name), value.to_owned()));
        }
    }
    rng.shuffle(&mut fields);
    write_object(fields.into_iter(), spacing, &mut text);
    text
}

/// Returns the name, often in another case, or with escaped letters.
fn spelled(name: &str, rng: &mut Rng) -> String {
    match rng.u8(..8) {
        0 | 1 => quoted(&name.to_lowercase()),
        2 => quoted(&name.to_uppercase()),
        3 => quoted(&name.chars().map(|c| if rng.bool() { c.to_ascii_uppercase() } else { c }).collect::<String>()),
        4 => escaped(name),
        _ => quoted(name),
    }
}

fn valued(name: &str, value: &Value<'_>, rng: &mut Rng) -> Option<String> {
    let form = rng.u8(..6);
    match value {
        Value::Text(text) => Some(match form {
            0 => escaped(text),
            // A phone number that was exported as a number.
            1 if name == "phone" && !text.starts_with('0') => (*text).to_owned(),
            _ => quoted(text),
        }),
        Value::Integer(number) => Some(match form {
            0 => format!("\"{number}\""),
            1 => format!("{number}.0"),
            2 => format!("\"{number}.0\""),
            // Milliseconds of this century have fewer bits than a double's 53.
            3 => format!("{:e}", *number as f64),
            _ => number.to_string(),
        }),
        Value::Double(number) => Some(match form {
            0 => format!("\"{number:?}\""),
            // Without the `.0` of a whole number.
            1 => number.to_string(),
            2 => format!("\"{number}\""),
            3 => format!("{number:E}"),
            _ => format!("{number:?}"),
        }),
        Value::Absent => match form {
            0 | 1 => Some("null".to_owned()),
            2 if name.ends_with("Date") => Some("\"\"".to_owned()),
            3 if name == "shareWithResearchAsOfDate" => Some("0".to_owned()),
            4 if name == "shareWithResearchAsOfDate" => Some("\"0\"".to_owned()),
            _ => None,
        },
    }
}

/// Returns a JSON string in which every character is a `\u` escape, or a pair outside the basic plane.
fn escaped(text: &str) -> String {
    let escapes: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{escapes}\"")
}
