//! Which command holds a lake: a file beside the lake's lock, for those that find the lock taken.
//!
//! Only the process that holds the lock writes the file, so the file is right while the lock is held.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The process that holds a lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// The command, `stedi up`.
    pub command: String,
    pub pid: u32,
    /// Where it serves the lake, if it does.
    pub port: Option<u16>,
}

impl Holder {
    /// This process, which runs `command` and serves nothing.
    pub(crate) fn this(command: &str) -> Self {
        Self { command: command.to_owned(), pid: std::process::id(), port: None }
    }

    /// The URL at which it serves the lake, if it does.
    pub(crate) fn url(&self) -> Option<String> {
        Some(format!("http://127.0.0.1:{}", self.port?))
    }

    /// Records this process as the lake's holder.
    pub(crate) fn write(&self, lake: &Path) -> io::Result<()> {
        // A rename, so that a reader never sees half a file.
        let new = file(lake).with_extension("new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, file(lake))
    }

    /// Reads who holds the lake; none if the file is missing or is not one of this version.
    pub(crate) fn read(lake: &Path) -> io::Result<Option<Self>> {
        match fs::read(file(lake)) {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (pid {}", self.command, self.pid)?;
        self.port.map_or(Ok(()), |port| write!(f, ", port {port}"))?;
        f.write_str(")")
    }
}

fn file(lake: &Path) -> PathBuf {
    lake.join(".emulator").join("holder")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;

    #[test]
    fn reads_the_holder_that_was_written_last() {
        let lake = tempfile::tempdir().unwrap();
        fs::create_dir(lake.path().join(".emulator")).unwrap();
        assert_eq!(Holder::read(lake.path()).unwrap(), None);
        let holder = Holder { command: "stedi up".into(), pid: 123, port: Some(7833) };
        holder.write(lake.path()).unwrap();
        assert_eq!(Holder::read(lake.path()).unwrap(), Some(holder.clone()));
        assert_eq!(holder.to_string(), "`stedi up` (pid 123, port 7833)");
        assert_eq!(holder.url().as_deref(), Some("http://127.0.0.1:7833"));
        let stopping = Holder { port: None, ..holder };
        stopping.write(lake.path()).unwrap();
        assert_eq!(Holder::read(lake.path()).unwrap(), Some(stopping.clone()));
        assert_eq!((stopping.to_string(), stopping.url()), ("`stedi up` (pid 123)".into(), None));
    }

    #[test]
    fn ignores_a_file_of_another_version() {
        let lake = tempfile::tempdir().unwrap();
        fs::create_dir(lake.path().join(".emulator")).unwrap();
        fs::write(file(lake.path()), "http://127.0.0.1:1").unwrap();
        assert_eq!(Holder::read(lake.path()).unwrap(), None);
    }
}
