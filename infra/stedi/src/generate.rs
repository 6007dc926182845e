//! Writes sample landing files.

use crate::args::Generate;
use crate::terminal::print;
use std::io;
use std::path::{Path, PathBuf};
use store::BoxError;

/// Why files could not be written.
#[derive(Debug, thiserror::Error)]
enum GenerateError {
    #[error("{} is not empty; give an empty folder or a new one", .0.display())]
    NotEmpty(PathBuf),
    #[error("cannot write {}", .0.display())]
    Unwritable(PathBuf, #[source] io::Error),
}

/// Runs `stedi generate`.
pub(crate) fn generate(args: Generate, quiet: bool) -> Result<(), BoxError> {
    let Generate { folder, customers, seed, dirty } = args;
    if std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(GenerateError::NotEmpty(folder).into());
    }
    let (mut files, mut bytes) = (0_u64, 0);
    for file in sample_data::generate(&sample_data::Options { customers: customers as usize, seed, dirty }) {
        let path = folder.join(&file.path);
        write(&path, &file.bytes).map_err(|error| GenerateError::Unwritable(path, error))?;
        files += 1;
        bytes += file.bytes.len();
    }
    if quiet {
        return Ok(());
    }
    print(&format!("{files} files, {bytes} bytes in {0}; ingest them with `stedi run {0}`", folder.display()))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, bytes)
}
