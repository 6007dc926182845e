//! The file system below one key: find its file, give a new file its name, remove it.
//!
//! A name cannot be file and directory at once, but `a` and `a/b` can both be objects. So a file that is in the way
//! of a directory steps aside to its second name (see [`super::names`]), and stays there until it is deleted. Looking
//! at the plain name first and the second name then always finds it, also while it moves.

use super::names::{self, Location};
use super::temporary::Complete;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How often a name is tried while others create and remove directories around it.
const ATTEMPTS_MAX: usize = 100;

/// Opens the file of an object, and says which of its two names it has.
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

/// Renames a complete file to the object's name. The caller holds the key's lock.
pub(crate) fn place(body: &mut Complete, bucket: &Path, location: &Location) -> io::Result<()> {
    let mut last = None;
    for _ in 0..ATTEMPTS_MAX {
        // An object that once stepped aside stays there: with two files, one would be an old version.
        let target = if location.beside.is_file() { &location.beside } else { &location.plain };
        match body.place(target) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::IsADirectory => match body.place(&location.beside) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            },
            Err(error) => last = Some(error),
        }
        match &last {
            Some(error) if is_absence(error) => make_directories(bucket, target)?,
            _ => break,
        }
    }
    Err(last.unwrap_or_else(|| ErrorKind::NotFound.into()))
}

/// Removes the object's file, and the directories that are empty without it.
pub(crate) fn remove(bucket: &Path, location: &Location) -> io::Result<()> {
    // In this order: the file may step aside between the two, but never comes back.
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

/// Removes a directory that holds nothing but empty directories: what a put leaves that failed.
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

/// Creates the directories above `target`; files in their way step aside. Somebody may remove an empty one meanwhile,
/// so this only tries: the caller renames, and comes again if that fails.
fn make_directories(bucket: &Path, target: &Path) -> io::Result<()> {
    let Some(names) = target.parent().and_then(|parent| parent.strip_prefix(bucket).ok()) else {
        return Ok(());
    };
    let mut directory = bucket.to_owned();
    for name in names {
        directory.push(name);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if directory.is_file() {
                    step_aside(&directory)?;
                    ignore_race(fs::create_dir(&directory))?;
                }
            }
            other => ignore_race(other)?,
        }
    }
    Ok(())
}

/// No lock of that file's key is needed: whoever writes it looks at both names, and the newer version takes this way
/// last.
fn step_aside(file: &Path) -> io::Result<()> {
    ignore_race(fs::rename(file, names::beside(file)))
}

fn ignore_race(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_absence(&error) || error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Nothing has this name; a file where a directory would have to be says the same.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
