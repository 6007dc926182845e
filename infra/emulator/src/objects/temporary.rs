//! Files being written: complete and unseen, or gone.

use super::attributes::{self, Properties};
use super::checksum::{Algorithm, Hasher};
use super::hashing::Hashing;
use bytes::Bytes;
use md5_many::Md5State;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A body on its way into the lake. Dropped before it is placed, it leaves nothing behind.
pub(crate) struct Temporary {
    path: PathBuf,
    file: File,
    md5: Md5State,
    checksum: Option<(Algorithm, Hasher)>,
    size: u64,
    placed: bool,
}

/// What the bytes of a body say.
#[derive(Debug, Clone)]
pub(crate) struct Digests {
    pub(crate) md5: [u8; 16],
    /// By the algorithm that was asked for.
    pub(crate) checksum: Option<(Algorithm, Vec<u8>)>,
}

/// A complete body that only needs its name.
pub(crate) struct Complete {
    temporary: Temporary,
    pub(crate) etag: String,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

impl Temporary {
    pub(crate) fn create(path: PathBuf, algorithm: Option<Algorithm>) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        let checksum = algorithm.map(|algorithm| (algorithm, algorithm.hasher()));
        Ok(Self { path, file, md5: Md5State::new(), checksum, size: 0, placed: false })
    }

    /// Bytes so far.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Appends bytes, which are hashed with those of other bodies.
    pub(crate) async fn write(&mut self, chunk: &Bytes, hashing: &Hashing) -> io::Result<()> {
        hashing.update(&mut self.md5, chunk).await;
        self.write_hashed(chunk)
    }

    /// As [`Temporary::write`], where nobody can wait.
    #[cfg(test)]
    pub(crate) fn write_alone(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.md5.update(chunk);
        self.write_hashed(chunk)
    }

    fn write_hashed(&mut self, chunk: &[u8]) -> io::Result<()> {
        if let Some((_, hasher)) = &mut self.checksum {
            hasher.update(chunk);
        }
        self.size += chunk.len() as u64;
        self.file.write_all(chunk)
    }

    /// Appends up to `bytes_max` of what `file` has from its position on, without looking at it: the kernel copies, or
    /// lets both files share the blocks. How many bytes that were.
    pub(crate) fn append(&mut self, file: &File, bytes_max: u64) -> io::Result<u64> {
        let copied = io::copy(&mut file.take(bytes_max), &mut &self.file)?;
        self.size += copied;
        Ok(copied)
    }

    /// What the bytes so far say, if none of them were appended.
    pub(crate) fn digests(&mut self) -> Digests {
        let checksum = self.checksum.take().map(|(algorithm, hasher)| (algorithm, hasher.finish()));
        Digests { md5: self.md5.finalize(), checksum }
    }

    /// Sets the attribute. No fsync: what is protected is a killed process, not a lost power supply.
    pub(crate) fn complete(self, etag: String, properties: Properties) -> io::Result<Complete> {
        attributes::set(&self.file, &etag, properties)?;
        let modified = self.file.metadata()?.modified()?;
        Ok(Complete { etag, size: self.size, modified, temporary: self })
    }

    /// Gives the file a name, replacing what has it now.
    pub(crate) fn place(&mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.placed = true;
        Ok(())
    }
}

impl Complete {
    /// Gives the file its name, replacing what has it now. After a failure it may be tried again.
    pub(crate) fn place(&mut self, target: &Path) -> io::Result<()> {
        self.temporary.place(target)
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
