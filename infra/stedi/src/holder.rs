//! Where a running `stedi up` can be reached: a file in the lake, for the commands that only read.
//!
//! Only who holds the lake's lock writes it or takes it away, so it can be believed while the lock is held by another.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The file of a lake.
fn file(lake: &Path) -> PathBuf {
    lake.join(".stedi").join("up")
}

/// Leaves the address of this process, which serves the lake.
pub(crate) fn leave(lake: &Path, url: &str) -> io::Result<()> {
    // By rename: nobody reads half an address.
    let new = file(lake).with_extension("new");
    fs::write(&new, url)?;
    fs::rename(new, file(lake))
}

/// Takes away what this process, or one that was killed, has left.
pub(crate) fn take_away(lake: &Path) -> io::Result<()> {
    match fs::remove_file(file(lake)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The address of the process that serves the lake, if it is a `stedi up`.
pub(crate) fn find(lake: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(file(lake)) {
        Ok(url) => Ok(Some(url)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;

    #[test]
    fn an_address_is_found_until_it_is_taken_away() {
        let lake = tempfile::tempdir().unwrap();
        fs::create_dir(lake.path().join(".stedi")).unwrap();
        assert_eq!(find(lake.path()).unwrap(), None);
        leave(lake.path(), "http://127.0.0.1:1").unwrap();
        assert_eq!(find(lake.path()).unwrap().as_deref(), Some("http://127.0.0.1:1"));
        take_away(lake.path()).unwrap();
        take_away(lake.path()).unwrap();
        assert_eq!(find(lake.path()).unwrap(), None);
    }
}
