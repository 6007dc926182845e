//! One row as named fields, and its JSON.

/// The three kinds of landing files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Customer,
    Accelerometer,
    StepTrainer,
}

impl Source {
    pub(crate) const ALL: [Self; 3] = [Self::Customer, Self::Accelerometer, Self::StepTrainer];

    /// Returns its folder. The names of its files start with the same word.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Accelerometer => "accelerometer",
            Self::StepTrainer => "step_trainer",
        }
    }
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Double(f64),
    /// The record does not have this optional field.
    Absent,
}

impl Value<'_> {
    /// Returns its JSON as the devices write it; `None` for an absent value.
    pub(crate) fn json(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(quoted(text)),
            Self::Integer(number) => Some(number.to_string()),
            // `{:?}` keeps the `.0` of a whole number, and all digits that are needed to parse the same number.
            Self::Double(number) => Some(format!("{number:?}")),
            Self::Absent => None,
        }
    }
}

/// White space around separators. The customer export has it, and the devices' files do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spacing {
    Tight,
    Wide,
    /// One field per line.
    Pretty,
}

/// A row of a landing file: its fields in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record<'a>(pub(crate) Vec<(&'static str, Value<'a>)>);

impl Record<'_> {
    /// Appends the record as one JSON object, without a newline after it.
    pub(crate) fn write(&self, spacing: Spacing, text: &mut String) {
        let fields = self.0.iter().filter_map(|(name, value)| Some((quoted(name), value.json()?)));
        write_object(fields, spacing, text);
    }
}

/// Appends one JSON object. The names and values of `fields` are JSON.
pub(crate) fn write_object(fields: impl Iterator<Item = (String, String)>, spacing: Spacing, text: &mut String) {
    let (open, colon, comma, close) = match spacing {
        Spacing::Tight => ("{", ":", ",", "}"),
        Spacing::Wide => ("{", ": ", ", ", "}"),
        Spacing::Pretty => ("{\n  ", ": ", ",\n  ", "\n}"),
    };
    for (index, (name, value)) in fields.enumerate() {
        text.push_str(if index == 0 { open } else { comma });
        text.push_str(&name);
        text.push_str(colon);
        text.push_str(&value);
    }
    text.push_str(close);
}

/// Returns `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
