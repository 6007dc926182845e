//! Finds the values of a table's columns in a line, as texts.

use crate::error::SqlError;
use emulator_client::ObjectLocation;
use emulator_client::data_catalog::Storage;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// The parameters of a SerDe, and the columns of the table.
#[derive(Debug)]
pub(crate) struct Serde {
    /// Key in the line → index of the column.
    keys: HashMap<String, usize>,
    columns: usize,
    fold_case: bool,
    dots_in_keys: bool,
    ignore_malformed: bool,
}

impl Serde {
    /// A SerDe for the columns of a table.
    pub(crate) fn new(storage: &Storage, columns: &[String]) -> Self {
        let parameter = |name: &str| storage.serde_parameters.get(name).map(|value| value.to_ascii_lowercase());
        let is = |name: &str, by_default: bool| parameter(name).map_or(by_default, |value| value == "true");
        let fold_case = is("case.insensitive", true);
        let key = |(index, name): (usize, &String)| {
            // `mapping.column=key`: the key in the line differs from the name of the column.
            let mapped = storage.serde_parameters.get(&format!("mapping.{name}")).unwrap_or(name);
            (if fold_case { mapped.to_lowercase() } else { mapped.clone() }, index)
        };
        Self {
            keys: columns.iter().enumerate().map(key).collect(),
            columns: columns.len(),
            fold_case,
            dots_in_keys: is("dots.in.keys", false),
            ignore_malformed: is("ignore.malformed.json", false),
        }
    }

    fn column(&self, key: &str) -> Option<usize> {
        let folded = if self.fold_case { key.to_lowercase() } else { key.to_owned() };
        let found = self.keys.get(&folded).copied();
        found.or_else(|| self.dots_in_keys.then(|| self.keys.get(&folded.replace('.', "_")).copied()).flatten())
    }

    /// The texts of `columns` in each line, column by column.
    pub(super) fn rows<'a>(
        &self,
        columns: &[usize],
        lines: &[&'a [u8]],
        location: &ObjectLocation,
    ) -> Result<Vec<Vec<Option<&'a str>>>, SqlError> {
        let mut slots = vec![None; self.columns];
        for (slot, column) in columns.iter().enumerate() {
            slots[*column] = Some(slot);
        }
        let mut found = vec![vec![None; lines.len()]; columns.len()];
        for (row, line) in lines.iter().enumerate() {
            let mut set = |column: usize, text: &'a str| {
                if let Some(Some(slot)) = slots.get(column) {
                    found[*slot][row] = (text != "null").then_some(text);
                }
            };
            if let Err(error) = self.read(line, &mut set) {
                for column in &mut found {
                    column[row] = None;
                }
                if !self.ignore_malformed {
                    let message = format!("Row is not a valid JSON Object - JSONException: {error}");
                    return Err(SqlError::user(format!("HIVE_CURSOR_ERROR: {message} in {location}")));
                }
            }
        }
        Ok(found)
    }

    fn read<'a>(&self, line: &'a [u8], set: &mut dyn FnMut(usize, &'a str)) -> Result<(), serde_json::Error> {
        let line = line.trim_ascii();
        // Text after the first value is ignored, and so is a line that is neither an object nor an array.
        match line.first() {
            Some(b'{' | b'[') => serde_json::Deserializer::from_slice(line).deserialize_any(Row { serde: self, set }),
            _ => Ok(()),
        }
    }
}

/// Splits at most `rows_max` lines from a block; returns them without line feeds, and their length in bytes.
pub(super) fn split(block: &[u8], rows_max: usize) -> (Vec<&[u8]>, usize) {
    let lines: Vec<_> = block.split_inclusive(|byte| *byte == b'\n').take(rows_max).collect();
    let length = lines.iter().map(|line| line.len()).sum();
    (lines.into_iter().map(|line| line.strip_suffix(b"\n").unwrap_or(line)).collect(), length)
}

/// Reads one line.
struct Row<'s, 'f, 'a> {
    serde: &'s Serde,
    set: &'f mut dyn FnMut(usize, &'a str),
}

impl<'a> Visitor<'a> for Row<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let mut seen = vec![false; self.serde.columns];
        while let Some(key) = map.next_key::<std::borrow::Cow<'a, str>>()? {
            let Some(column) = self.serde.column(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            // The JSON library of the SerDe refuses duplicate keys.
            if std::mem::replace(&mut seen[column], true) {
                return Err(M::Error::custom(format_args!("Duplicate key \"{key}\"")));
            }
            (self.set)(column, map.next_value::<&'a RawValue>()?.get());
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        let mut column = 0;
        while let Some(value) = seq.next_element::<&'a RawValue>()? {
            (self.set)(column, value.get());
            column += 1;
        }
        Ok(())
    }
}
