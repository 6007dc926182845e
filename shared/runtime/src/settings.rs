//! The environment variables of a function, read once and checked together.

use model::hash::{HashKey, NoHashKey};
use model::lake_config::LakeConfig;
use std::fmt::{self, Display};
use std::str::FromStr;
use store::lake::{DATABASE, LOCAL_MEMORY_MB, LakeSettings};
use store::{ErrorKind, Failure};

/// The variables that a function reads, except those of Lambda and of the SDK.
pub const NAMES: [&str; 8] = [
    "LAKE_BUCKET",
    HASH_KEY,
    "CONSENT_POLICY",
    "PAIRS",
    "CUSTOMER_SHARDS",
    "SLICES_PER_HOUR",
    "GLUE_DATABASE",
    RUST_LOG,
];

/// The secret of the lake, which functions never print.
pub const HASH_KEY: &str = "HASH_KEY";

/// The memory of the function in MiB, which Lambda sets.
pub const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

/// The filter of the logs. Any value is accepted, and so is none.
pub const RUST_LOG: &str = "RUST_LOG";

/// All settings that are missing or wrong, so that one correction is enough.
#[derive(PartialEq, Eq, thiserror::Error)]
#[error("environment: {}; the variables are {}", .0.join("; "), NAMES.join(", "))]
pub struct BadSettings(Vec<String>);

impl Failure for BadSettings {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }
}

/// The same text, since a `main` that fails prints this form.
impl fmt::Debug for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads the settings from the process's environment.
pub fn from_env() -> Result<LakeSettings, BadSettings> {
    from(|name| std::env::var(name).ok())
}

/// Reads the settings from `get`, which returns the value of a variable. An empty value counts as absent.
pub fn from(get: impl Fn(&str) -> Option<String>) -> Result<LakeSettings, BadSettings> {
    let mut wrong = Vec::new();
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    let lake_bucket = get("LAKE_BUCKET").unwrap_or_else(|| {
        wrong.push("LAKE_BUCKET is missing, expected the name of the lake's bucket".to_owned());
        String::new()
    });
    let customer_shards = value("CUSTOMER_SHARDS", get("CUSTOMER_SHARDS"), &mut wrong);
    let hash_key = hash_key(get(HASH_KEY)).unwrap_or_else(|error| {
        wrong.push(error);
        HashKey::public()
    });
    let consent_policy = value("CONSENT_POLICY", get("CONSENT_POLICY"), &mut wrong);
    let pairs = value("PAIRS", get("PAIRS"), &mut wrong);
    let slices_per_hour = value("SLICES_PER_HOUR", get("SLICES_PER_HOUR"), &mut wrong);
    let database = get("GLUE_DATABASE").unwrap_or_else(|| DATABASE.to_owned());
    let memory_mb = get(MEMORY).map_or(Ok(LOCAL_MEMORY_MB), |text| parsed(&text)).unwrap_or_else(|error| {
        wrong.push(format!("{MEMORY}: {error}"));
        LOCAL_MEMORY_MB
    });
    let config = LakeConfig { customer_shards, consent_policy, pairs, slices_per_hour };
    match wrong.is_empty() {
        true => Ok(LakeSettings { lake_bucket, config, hash_key, database, memory_mb }),
        false => Err(BadSettings(wrong)),
    }
}

/// Parses the hash key, which has no default.
fn hash_key(text: Option<String>) -> Result<HashKey, String> {
    let text = text.ok_or_else(|| format!("{HASH_KEY} is missing: {NoHashKey}"))?;
    text.parse().map_err(|error: NoHashKey| format!("{HASH_KEY}: {error}"))
}

/// Parses a value; the default if it is absent or wrong.
fn value<T: FromStr<Err: Display> + Default>(name: &str, text: Option<String>, wrong: &mut Vec<String>) -> T {
    let parsed = text.map_or_else(|| Ok(T::default()), |text| parsed(&text));
    parsed.unwrap_or_else(|error| {
        wrong.push(format!("{name}: {error}"));
        T::default()
    })
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    #[test]
    fn one_error_names_all_wrong_settings() {
        let error = from(|name| match name {
            "CUSTOMER_SHARDS" => Some("0".into()),
            "CONSENT_POLICY" => Some("never".into()),
            "PAIRS" => Some("all".into()),
            "SLICES_PER_HOUR" => Some("7".into()),
            HASH_KEY => Some("secret".into()),
            _ => None,
        });
        let error = error.unwrap_err();
        let text = error.to_string();
        assert_eq!(format!("{error:?}"), text);
        let shards = ["CUSTOMER_SHARDS: `0`", "expected 1 to 1024"];
        let named = [
            "CONSENT_POLICY: ",
            "`never`",
            "`at-reading`",
            "PAIRS: ",
            "`all`",
            "`same-customer`",
            "SLICES_PER_HOUR: ",
            "`7`",
        ];
        for words in ["LAKE_BUCKET is missing"].iter().chain(&shards).chain(&named) {
            assert!(text.contains(words), "{text}");
        }
        assert!(
            text.contains("HASH_KEY: a hash key has 64 lower-case hexadecimal digits") && !text.contains("secret"),
            "{text}"
        );
        let all =
            "LAKE_BUCKET, HASH_KEY, CONSENT_POLICY, PAIRS, CUSTOMER_SHARDS, SLICES_PER_HOUR, GLUE_DATABASE, RUST_LOG";
        assert!(text.ends_with(all), "{text}");
    }

    #[test]
    fn every_variable_is_in_the_list_of_names() {
        let read = RefCell::new(BTreeSet::from([RUST_LOG]));
        let _ = from(|name| {
            if name == MEMORY {
                return None;
            }
            let name = NAMES.into_iter().find(|known| *known == name);
            read.borrow_mut().insert(name.expect("a name that is not in the list"));
            None
        });
        assert_eq!(read.into_inner(), BTreeSet::from(NAMES));
    }

    #[test]
    fn only_the_bucket_and_the_hash_key_have_no_default() {
        let settings = from(|name| match name {
            "LAKE_BUCKET" => Some("lake".into()),
            HASH_KEY => Some("0".repeat(64)),
            _ => None,
        });
        let settings = settings.unwrap();
        assert_eq!(settings.hash_key.fingerprint(), HashKey::public().fingerprint());
        assert_eq!((settings.config, settings.database.as_str()), (LakeConfig::default(), "stedi"));
        assert_eq!(settings.memory_mb, LOCAL_MEMORY_MB);
    }
}
