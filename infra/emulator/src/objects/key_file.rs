//! The file of one key: opens it, replaces it, removes it.
//!
//! A name cannot be a file and a directory at once, but `a` and `a/b` can both be objects. So a file whose name is needed
//! for a directory is moved to its second name (see [`super::names`]), and stays there until it is deleted. A reader
//! tries the plain name first and the second name next, so it finds the file also while it is moved.

use super::names::{self, Location};
use super::temporary::CompleteFile;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// A file is moved to its second name by writers of other keys. A writer of the key must not look for the second name before that,
/// and use the plain one after it: then both files would be there, and the older one could be found.
static MOVES: RwLock<()> = RwLock::new(());

/// Attempts at one rename while other writers create and remove directories above it.
const ATTEMPTS_MAX: usize = 100;

/// Opens the file of an object; returns it with its path.
pub(crate) fn open(location: &Location) -> io::Result<Option<(File, &PathBuf)>> {
    for path in [&location.plain, &location.beside] {
        match File::open(path) {
            Ok(file) if file.metadata()?.is_file() => return Ok(Some((file, path))),
            Ok(_) => {}
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Renames a complete file to the object's name. The caller must hold the key's lock.
pub(crate) fn store(body: &mut CompleteFile, bucket: &Path, location: &Location) -> io::Result<()> {
    let mut last = None;
    for _ in 0..ATTEMPTS_MAX {
        let moves = MOVES.read().unwrap_or_else(PoisonError::into_inner);
        // An object at its second name stays there: with files at both names, one would be an old version.
        let target = if location.beside.is_file() { &location.beside } else { &location.plain };
        match body.temporary.rename_to(target) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::IsADirectory => match body.temporary.rename_to(&location.beside) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            },
            Err(error) => last = Some(error),
        }
        drop(moves);
        match &last {
            Some(error) if is_absence(error) => make_directories(bucket, target)?,
            _ => break,
        }
    }
    Err(last.unwrap_or_else(|| ErrorKind::NotFound.into()))
}

/// Removes the object's file, and the directories that become empty.
pub(crate) fn remove(bucket: &Path, location: &Location) -> io::Result<()> {
    // In this order: the file may move to its second name between the two, but never back.
    for path in [&location.plain, &location.beside] {
        match fs::remove_file(path) {
            Err(error) if !is_absence(&error) && error.kind() != ErrorKind::IsADirectory => return Err(error),
            _ => {}
        }
    }
    let mut directory = location.plain.parent();
    while let Some(path) = directory
        && path != bucket
        && fs::remove_dir(path).is_ok()
    {
        directory = path.parent();
    }
    Ok(())
}

/// Removes a directory that holds nothing but empty directories, which a failed put may leave.
pub(crate) fn remove_empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        remove_empty(&entry.path())?;
    }
    fs::remove_dir(directory)
}

/// Creates the directories above `target`, and moves files that have their names. Another writer may remove an empty
/// directory meanwhile: then the caller's rename fails, and it tries again.
fn make_directories(bucket: &Path, target: &Path) -> io::Result<()> {
    let Some(names) = target.parent().and_then(|parent| parent.strip_prefix(bucket).ok()) else {
        return Ok(());
    };
    let mut directory = bucket.to_owned();
    for name in names {
        directory.push(name);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let _moves = MOVES.write().unwrap_or_else(PoisonError::into_inner);
                if directory.is_file() {
                    // To its second name.
                    ignore_race(fs::rename(&directory, names::beside(&directory)))?;
                    ignore_race(fs::create_dir(&directory))?;
                }
            }
            other => ignore_race(other)?,
        }
    }
    Ok(())
}

fn ignore_race(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_absence(&error) || error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Whether the error says that the path does not exist. A file in the path where a directory is needed counts, too.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
