//! When each of some directories changed last: evidence that no file in them came, went or was put in another's location.
//!
//! Each of these changes the modification time of the file's directory, and a directory that is made or removed that of
//! the one it is in. So the files themselves, which are many more, need not be looked at. A file that is written to
//! where it is goes unnoticed; nothing of ours does that, nor does any tool that leaves no half file behind.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A modification time: seconds and nanoseconds since 1970.
type Time = (i64, i64);

/// Directories, relative to the lake's; with no time those that are not there.
///
/// They are sorted as text, which takes much less than to compare paths. (One whose name is no text seems to have changed.)
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Directories(BTreeMap<String, Option<Time>>);

impl Directories {
    /// These directories of `lake` and all below them, as they are now.
    pub(crate) fn below(lake: &Path, roots: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut found = Self::default();
        let mut pending: Vec<_> = roots.into_iter().collect();
        while let Some(directory) = pending.pop() {
            let path = lake.join(&directory);
            // First the time: what comes after it changes it.
            found.look_at(lake, directory.clone());
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            pending.extend(inner.map(|entry| directory.join(entry.file_name())));
        }
        found
    }

    /// Notes one of them as it is now.
    pub(crate) fn look_at(&mut self, lake: &Path, directory: PathBuf) {
        let time = fs::metadata(lake.join(&directory)).ok().map(|now| (now.mtime(), now.mtime_nsec()));
        self.0.insert(directory.to_string_lossy().into_owned(), time);
    }

    /// Whether none of them was there.
    pub(crate) fn are_absent(&self) -> bool {
        self.0.values().all(Option::is_none)
    }

    /// Whether all are as they were noted.
    pub(crate) fn are_unchanged(&self, lake: &Path) -> bool {
        // Those of one directory mostly follow each other, and are found without going down to it for each again.
        let (mut open, mut inside): (&str, Option<OwnedFd>) = ("", None);
        self.0.iter().all(|(directory, noted)| {
            let (above, name) = directory.rsplit_once('/').unwrap_or((".", directory));
            if open != above {
                let opened = openat(CWD, lake.join(above), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
                let Ok(opened) = there(opened) else { return false };
                (open, inside) = (above, opened);
            }
            let now = inside.as_ref().map(|inside| there(statat(inside, name, AtFlags::empty())));
            let now = now.transpose().map(Option::flatten);
            now.is_ok_and(|now| now.map(|now| (now.st_mtime, now.st_mtime_nsec as i64)) == *noted)
        })
    }
}

/// None of what is not there.
fn there<T>(found: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match found {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    /// A lake with a file in `a/b`, noted below `a`; all of it is old, since clocks of file systems may be coarse.
    fn noted() -> (tempfile::TempDir, Directories) {
        let lake = tempfile::tempdir().unwrap();
        fs::create_dir_all(lake.path().join("a/b")).unwrap();
        fs::write(lake.path().join("a/b/file"), "1").unwrap();
        for directory in ["a", "a/b"] {
            fs::File::open(lake.path().join(directory)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        let directories = Directories::below(lake.path(), ["a", "none"].map(PathBuf::from));
        assert_eq!(directories.0.len(), 3);
        assert!(directories.are_unchanged(lake.path()));
        (lake, directories)
    }

    #[test]
    fn what_comes_or_goes_or_takes_anothers_place_is_noticed() {
        let changes: [fn(&Path); 6] = [
            |lake| fs::write(lake.join("a/b/other"), "").unwrap(),
            |lake| fs::remove_file(lake.join("a/b/file")).unwrap(),
            |lake| {
                fs::write(lake.join("new"), "2").unwrap();
                fs::rename(lake.join("new"), lake.join("a/b/file")).unwrap();
            },
            |lake| fs::create_dir(lake.join("a/b/c")).unwrap(),
            |lake| fs::remove_dir_all(lake.join("a")).unwrap(),
            |lake| fs::create_dir(lake.join("none")).unwrap(),
        ];
        for change in changes {
            let (lake, directories) = noted();
            change(lake.path());
            assert!(!directories.are_unchanged(lake.path()));
        }
    }

    #[test]
    fn what_lies_elsewhere_does_not_matter() {
        let (lake, directories) = noted();
        fs::write(lake.path().join("elsewhere"), "").unwrap();
        assert!(directories.are_unchanged(lake.path()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_has_no_text_for_a_name_seems_to_have_changed() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let (lake, _) = noted();
        fs::create_dir(lake.path().join("a").join(OsStr::from_bytes(b"\xff"))).unwrap();
        let directories = Directories::below(lake.path(), [PathBuf::from("a")]);
        assert!(!directories.are_unchanged(lake.path()));
    }

    #[test]
    fn a_change_of_ones_own_is_noted() {
        let (lake, mut directories) = noted();
        fs::write(lake.path().join("a/b/other"), "").unwrap();
        directories.look_at(lake.path(), "a/b".into());
        assert!(directories.are_unchanged(lake.path()));
        let json = serde_json::to_string(&directories).unwrap();
        assert!(serde_json::from_str::<Directories>(&json).unwrap().are_unchanged(lake.path()));
    }
}
