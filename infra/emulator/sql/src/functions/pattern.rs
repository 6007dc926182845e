//! Regular expressions.

use regex::Regex;
use std::collections::HashMap;

/// The most compiled patterns of one batch. Mostly there is one.
const COMPILED_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Patterns {
    compiled: HashMap<String, Regex>,
}

impl Patterns {
    /// A group of the first match; group 0 is the whole match.
    pub(super) fn first(&mut self, pattern: &str, text: &str, group: i64) -> Result<Option<String>, String> {
        if !self.compiled.contains_key(pattern) {
            if self.compiled.len() >= COMPILED_MAX {
                self.compiled.clear();
            }
            let regex = Regex::new(pattern).map_err(|error| error.to_string())?;
            self.compiled.insert(pattern.to_owned(), regex);
        }
        let Some(regex) = self.compiled.get(pattern) else { return Ok(None) };
        let group = usize::try_from(group).ok().filter(|group| *group < regex.captures_len());
        let group =
            group.ok_or_else(|| format!("Pattern has {} groups. Cannot access group", regex.captures_len() - 1))?;
        let found = regex.captures(text).and_then(|captures| captures.get(group));
        Ok(found.map(|found| found.as_str().to_owned()))
    }
}
