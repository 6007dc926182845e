//! Files being written: complete and unseen, or gone.

use super::attributes::{self, Headers, hex};
use md5::{Digest, Md5};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A body on its way into the lake. Dropped before it is placed, it leaves nothing behind.
pub(crate) struct Temporary {
    path: PathBuf,
    file: File,
    md5: Md5,
    size: u64,
    placed: bool,
}

/// A complete body that only needs its name.
pub(crate) struct Complete {
    temporary: Temporary,
    /// The hexadecimal MD5 of the body.
    pub(crate) etag: String,
    /// Bytes.
    pub(crate) size: u64,
    /// The MD5 itself, for `Content-MD5`.
    pub(crate) md5: [u8; 16],
}

impl Temporary {
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { path, file, md5: Md5::new(), size: 0, placed: false })
    }

    pub(crate) fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.md5.update(chunk);
        self.size += chunk.len() as u64;
        self.file.write_all(chunk)
    }

    /// Sets the attribute. No fsync: what is protected is a killed process, not a lost power supply.
    pub(crate) fn complete(self, headers: Headers) -> io::Result<Complete> {
        let md5: [u8; 16] = self.md5.clone().finalize().into();
        let etag = hex(&md5);
        attributes::set(&self.file, &etag, headers)?;
        Ok(Complete { etag, size: self.size, md5, temporary: self })
    }
}

impl Complete {
    /// Gives the file its name, replacing what has it now. After a failure it may be tried again.
    pub(crate) fn place(&mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.temporary.path, target)?;
        self.temporary.placed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            // Whatever stays is removed when the lake is opened the next time.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Empties the directory of temporary files, creating it if need be: what is in it was left by a killed process.
pub(crate) fn sweep(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for entry in fs::read_dir(directory)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}
