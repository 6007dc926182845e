//! The paths of `json_extract`: `$.a.b[0]["c"]`.

use serde_json::Value;

/// The value at `path` in `text`; none if `text` lacks it or is not JSON.
pub(super) fn extract(text: &str, path: &str) -> Result<Option<Value>, String> {
    let wrong = || format!("Invalid JSON path: '{path}'");
    let mut rest = path.trim().strip_prefix('$').ok_or_else(wrong)?;
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Ok(None) };
    let mut at = Some(&value);
    while !rest.is_empty() {
        if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(['.', '[']).unwrap_or(named.len());
            at = at.and_then(|value| value.get(&named[..end]));
            rest = &named[end..];
        } else {
            let inner = rest.strip_prefix('[').ok_or_else(wrong)?;
            let (inside, after) = inner.split_once(']').ok_or_else(wrong)?;
            at = match inside.trim_matches(['"', '\'']) {
                key if key.len() < inside.len() => at.and_then(|value| value.get(key)),
                number => {
                    let index: usize = number.trim().parse().map_err(|_| wrong())?;
                    at.and_then(|value| value.get(index))
                }
            };
            rest = after;
        }
    }
    Ok(at.cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_selects_nested_value() {
        let json = r#"{"a":{"b":[1,{"c d":"x"}]}}"#;
        let check = |path: &str| extract(json, path).unwrap().map(|value| value.to_string());
        assert_eq!(check("$.a.b[0]").as_deref(), Some("1"));
        assert_eq!(check(r#"$.a["b"][1]["c d"]"#).as_deref(), Some("\"x\""));
        assert_eq!(check("$.a.z"), None);
        assert_eq!(extract("no json", "$").unwrap(), None);
        assert!(extract(json, "a").is_err());
    }
}
