//! Object keys as paths below a bucket's directory, and back.
//!
//! The components of a key (the text between its slashes) are the names of the path, with these exceptions:
//!
//! | in a key | on disk |
//! |---|---|
//! | the byte `%` or NUL | `%25`, `%00` |
//! | a component `.` or `..` | `%2E`, `%2E%2E` |
//! | an empty component | `%` |
//! | a component longer than 253 bytes (escaped) | pieces, each but the last a directory whose name ends in `%+` |
//! | an object `a`, if there are objects below `a/` | its file is `a%-`, beside the directory `a` |
//!
//! So a `%` in a name is always an escape, the mapping is reversible without an index, and no key leads out of its
//! bucket's directory. A file with a name that this mapping never produces is not an object.

use std::path::{Path, PathBuf};

/// The longest escaped name: with a suffix of two bytes it fits into the 255 bytes that file systems allow.
const NAME_BYTES_MAX: usize = 253;
/// The suffix of a directory that contains the rest of an over-long component.
pub(crate) const CONTINUES: &str = "%+";
/// The suffix of an object's file whose plain name is a directory.
pub(crate) const BESIDE: &str = "%-";

/// The two possible paths of a key's object: `plain`, or `beside` if `plain` is or was a directory.
#[derive(Debug)]
pub(crate) struct Location {
    pub(crate) plain: PathBuf,
    pub(crate) beside: PathBuf,
}

impl Location {
    /// Returns the paths of `key` below its bucket's directory.
    pub(crate) fn new(bucket_dir: &Path, key: &str) -> Self {
        let plain = key.split('/').flat_map(escape).fold(bucket_dir.to_owned(), |path, name| path.join(name));
        Self { beside: beside(&plain), plain }
    }
}

/// The second name of a file, for when its plain name is needed for a directory.
pub(crate) fn beside(plain: &Path) -> PathBuf {
    let mut path = plain.as_os_str().to_owned();
    path.push(BESIDE);
    path.into()
}

/// The names of one component: several nested ones if it is over-long.
pub(crate) fn escape(component: &str) -> Vec<String> {
    if component.is_empty() {
        return vec!["%".into()];
    }
    let length: usize = component.chars().map(|char| escape_char(char).len()).sum();
    let bytes_max = NAME_BYTES_MAX - if length > NAME_BYTES_MAX { CONTINUES.len() } else { 0 };
    let (mut names, mut name) = (Vec::new(), String::new());
    for char in component.chars().map(escape_char) {
        if name.len() + char.len() > bytes_max {
            names.push(std::mem::take(&mut name) + CONTINUES);
        }
        name.push_str(&char);
    }
    names.push(if name == "." || name == ".." { name.replace('.', "%2E") } else { name });
    names
}

fn escape_char(char: char) -> String {
    match char {
        '%' => "%25".into(),
        '\0' => "%00".into(),
        other => other.into(),
    }
}

/// The reverse of [`escape`] for one name without its suffix; `None` if [`escape`] never returns such a name.
pub(crate) fn unescape(name: &str) -> Option<String> {
    if name == "%" {
        return Some(String::new());
    }
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        text.push(match rest.get(at + 1..at + 3)? {
            "25" => '%',
            "00" => '\0',
            "2E" => '.',
            _ => return None,
        });
        rest = &rest[at + 3..];
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    /// Joins the pieces of a component, as a listing does.
    fn component_of(names: &[String]) -> String {
        names.iter().map(|name| unescape(name.strip_suffix(CONTINUES).unwrap_or(name)).unwrap()).collect()
    }

    #[test]
    fn ordinary_keys_are_paths() {
        for key in ["photos/raw/2022 06.json", "dt=2022-06-18/hour=14/a+b.parquet", "ünï/日本.json", ".hidden", "a..b"]
        {
            assert_eq!(Location::new(Path::new("/data/b"), key).plain, Path::new("/data/b").join(key), "{key}");
        }
    }

    #[test]
    fn hostile_keys_stay_in_their_bucket() {
        for (key, path) in [
            ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
            ("/etc/passwd", "%/etc/passwd"),
            ("a//b/", "a/%/b/%"),
            ("./100%", "%2E/100%25"),
            ("nul\0", "nul%00"),
        ] {
            assert_eq!(Location::new(Path::new("b"), key).plain, Path::new("b").join(path), "{key}");
        }
    }

    #[test]
    fn a_component_of_1024_bytes_is_split() {
        let names = escape(&"é".repeat(512));
        assert_eq!(names.len(), 5);
        assert!(names.iter().all(|name| name.len() <= NAME_BYTES_MAX));
        assert_eq!(component_of(&names), "é".repeat(512));
    }

    #[test]
    fn a_split_never_yields_a_parent_directory() {
        let names = escape(&format!("{}..", "x".repeat(251)));
        assert_eq!(names.len(), 1);
        let names = escape(&format!("{}..", "x".repeat(252)));
        assert_eq!(names.last().unwrap(), "x..");
        let names = escape(&format!("{}..", "%".repeat(83) + "xx" + &"%".repeat(83) + "xx"));
        assert!(names.iter().all(|name| name != ".."), "{names:?}");
        assert_eq!(names.last().unwrap(), "%2E%2E");
    }

    proptest! {
        #[test]
        fn components_round_trip(text in "([%.\0a-c]|\\PC){0,400}") {
            let component = text.replace('/', ".");
            let names = escape(&component);
            prop_assert_eq!(component_of(&names), component);
            for name in names {
                prop_assert!(name.len() <= NAME_BYTES_MAX);
                prop_assert!(!name.contains('\0'));
                let components: Vec<_> = Path::new(&name).components().collect();
                prop_assert!(matches!(components[..], [Component::Normal(_)]), "{}", name);
            }
        }

        #[test]
        fn two_keys_never_share_a_path(a in "[%./a\0]{1,12}", b in "[%./a\0]{1,12}") {
            let (x, y) = (Location::new(Path::new("b"), &a), Location::new(Path::new("b"), &b));
            prop_assert_eq!(a == b, x.plain.as_os_str() == y.plain.as_os_str());
            prop_assert!(x.beside.as_os_str() != y.plain.as_os_str());
        }
    }
}
