//! Append-only files of JSON lines that survive a killed process.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// An open file of JSON lines.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Lines {
    /// Opens or creates the file and reads its lines. A last line without an end is cut off: the process was killed
    /// while it wrote the line, before it reported success.
    pub(crate) fn open<T: DeserializeOwned>(path: &Path) -> io::Result<(Self, Vec<T>)> {
        let (file, lines) = Self::open_raw(path)?;
        let lines = lines.iter().map(|line| serde_json::from_slice(line)).collect::<Result<_, _>>()?;
        Ok((file, lines))
    }

    /// Like [`Self::open`], without parsing the lines.
    pub(crate) fn open_raw(path: &Path) -> io::Result<(Self, Vec<Bytes>)> {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
        }
        bytes.truncate(whole);
        let bytes = Bytes::from(bytes);
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let lines = lines.map(|line| bytes.slice_ref(line)).collect();
        Ok((Self { path: path.into(), file, length: whole as u64 }, lines))
    }

    /// Appends lines in one write.
    pub(crate) fn append<T: Serialize>(&mut self, lines: &[T]) -> io::Result<()> {
        self.append_bytes(&serialize(lines)?)
    }

    /// Like [`Self::append`], with serialized lines without line ends.
    pub(crate) fn append_raw(&mut self, lines: &[Bytes]) -> io::Result<()> {
        let parts = lines.iter().flat_map(|line| [line.as_ref(), b"\n"]);
        self.append_bytes(&parts.collect::<Vec<_>>().concat())
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // Cuts off what was written of the lines, so that the next append starts a new line.
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Replaces all lines by these in one rename.
    pub(crate) fn replace<T: Serialize>(&mut self, lines: &[T]) -> io::Result<()> {
        let bytes = serialize(lines)?;
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        std::fs::write(&new, &bytes)?;
        std::fs::rename(&new, &self.path)?;
        self.file = File::options().append(true).open(&self.path)?;
        self.length = bytes.len() as u64;
        Ok(())
    }

    /// The file's length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

fn serialize<T: Serialize>(lines: &[T]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        std::fs::write(&path, b"1\n2\n34").unwrap();
        let (mut lines, read) = Lines::open::<u32>(&path).unwrap();
        assert_eq!(read, [1, 2]);
        lines.append(&[5]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"1\n2\n5\n");
        assert_eq!(lines.length(), 6);
    }

    #[test]
    fn append_continues_after_replace() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        let (mut lines, _) = Lines::open::<u32>(&path).unwrap();
        lines.append(&[1, 2, 3]).unwrap();
        lines.replace(&[3]).unwrap();
        lines.append(&[4]).unwrap();
        assert_eq!(Lines::open::<u32>(&path).unwrap().1, [3, 4]);
    }
}
