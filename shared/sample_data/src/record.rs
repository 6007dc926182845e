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

    /// The folder that its landing prefix is below, and how its file names begin.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Accelerometer => "accelerometer",
            Self::StepTrainer => "step_trainer",
        }
    }
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Double(f64),
    /// An optional field that this record does not have.
    Absent,
}

impl Value<'_> {
    /// Its JSON as the devices write it; nothing for an absent value.
    pub(crate) fn json(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(quoted(text)),
            Self::Integer(number) => Some(number.to_string()),
            // `{:?}` keeps the `.0` of a whole number, and every digit that is needed to read the same number back.
            Self::Double(number) => Some(format!("{number:?}")),
            Self::Absent => None,
        }
    }
}

/// White space around separators: the customer export has it, the devices' files have not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spacing {
    Tight,
    Wide,
    /// One field per line.
    Pretty,
}

/// A row of a landing file: its fields in the order in which they are written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record<'a>(pub(crate) Vec<(&'static str, Value<'a>)>);

impl Record<'_> {
    /// Appends the record as one JSON object, without a newline after it.
    pub(crate) fn write(&self, spacing: Spacing, text: &mut String) {
        let fields = self.0.iter().filter_map(|(name, value)| Some((quoted(name), value.json()?)));
        write_object(fields, spacing, text);
    }
}

/// Appends one JSON object of fields that are JSON already.
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

/// `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
