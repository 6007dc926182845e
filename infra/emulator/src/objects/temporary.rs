//! Temporary files: the bodies of uploads until they get their names.

use super::attributes::{self, Properties};
use super::checksum::{Algorithm, Hasher};
use md5::{Digest, Md5};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The file of a body that is being received. Dropping it before it is renamed removes it.
pub(crate) struct TemporaryFile {
    path: PathBuf,
    file: File,
    md5: Md5,
    checksum: Option<(Algorithm, Hasher)>,
    size: u64,
    renamed: bool,
}

/// The digests of a body.
#[derive(Debug, Clone)]
pub(crate) struct Digests {
    pub(crate) md5: [u8; 16],
    /// The checksum by the requested algorithm.
    pub(crate) checksum: Option<(Algorithm, Vec<u8>)>,
}

/// A complete body, ready to be renamed.
pub(crate) struct CompleteFile {
    pub(crate) temporary: TemporaryFile,
    pub(crate) etag: String,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

impl TemporaryFile {
    pub(crate) fn create(path: PathBuf, algorithm: Option<Algorithm>) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        let checksum = algorithm.map(|algorithm| (algorithm, algorithm.hasher()));
        Ok(Self { path, file, md5: Md5::new(), checksum, size: 0, renamed: false })
    }

    /// Bytes so far.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Appends bytes and adds them to the digests.
    pub(crate) fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.md5.update(chunk);
        if let Some((_, hasher)) = &mut self.checksum {
            hasher.update(chunk);
        }
        self.size += chunk.len() as u64;
        self.file.write_all(chunk)
    }

    /// Appends up to `bytes_max` bytes of `file` from its position on; returns their number. The kernel copies them, or
    /// lets both files share the blocks, so they are not part of the digests.
    pub(crate) fn append(&mut self, file: &File, bytes_max: u64) -> io::Result<u64> {
        let copied = io::copy(&mut file.take(bytes_max), &mut &self.file)?;
        self.size += copied;
        Ok(copied)
    }

    /// Returns the digests of the bytes written so far.
    pub(crate) fn digests(&mut self) -> Digests {
        let checksum = self.checksum.take().map(|(algorithm, hasher)| (algorithm, hasher.finish()));
        Digests { md5: self.md5.finalize_reset().into(), checksum }
    }

    /// Sets the attribute. There is no fsync: this protects against a killed process, not against a power failure.
    pub(crate) fn complete(self, etag: String, properties: Properties) -> io::Result<CompleteFile> {
        attributes::set(&self.file, &etag, properties)?;
        let modified = self.file.metadata()?.modified()?;
        Ok(CompleteFile { etag, size: self.size, modified, temporary: self })
    }

    /// Renames the file, replacing a file at `target`. After a failure the caller may try again.
    pub(crate) fn rename_to(&mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.renamed {
            // If this fails, the next `Objects::open` removes the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates the directory of temporary files, or empties it of what a killed process left.
pub(crate) fn clear(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for entry in fs::read_dir(directory)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}
