//! The hash key of a local lake: the file `hash_key` in its folder, which only its owner can read. On AWS the functions get the
//! key as a setting.

use crate::args::LakeArgs;
use model::hash::{HashKey, NoHashKey};
use model::layout::LAKE_CONFIG;
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why a lake has no hash key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashKeyError {
    /// The lake was made with a key, which is lost.
    #[error("{} is missing: the lake was made with the key in it, and cannot be used without that; put the file back", .0.display())]
    Missing(PathBuf),
    /// The file holds something else.
    #[error("cannot read {}; put the file back that the lake was made with", path.display())]
    Wrong { path: PathBuf, source: NoHashKey },
    /// The file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Failed { path: PathBuf, source: io::Error },
}

/// Returns the file of a lake's hash key.
pub(crate) fn file(args: &LakeArgs) -> PathBuf {
    args.lake.join("hash_key")
}

/// Returns the hash key of a lake. A new lake gets a random one. The caller holds the lake's lock.
pub(crate) fn of(args: &LakeArgs) -> Result<HashKey, HashKeyError> {
    let path = file(args);
    let failed = |source| HashKeyError::Failed { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(text) => return text.trim().parse().map_err(|source| HashKeyError::Wrong { path, source }),
        Err(error) if !is_absence(&error) => return Err(failed(error)),
        Err(_) => {}
    }
    match fs::read(args.folder().join(LAKE_CONFIG)) {
        Ok(config) => {
            // A lake of an older format has no key, and no function works on it.
            let has_key = serde_json::from_slice::<Value>(&config).is_ok_and(|config| config["hash_key"].is_string());
            return if has_key { Err(HashKeyError::Missing(path)) } else { Ok(HashKey::public()) };
        }
        Err(error) if is_absence(&error) => {}
        Err(error) => return Err(failed(error)),
    }
    let mut secret = [0; HashKey::BYTES];
    getrandom::fill(&mut secret).map_err(|error| failed(io::Error::other(error)))?;
    write_private(&path, &format!("{}\n", hex::encode(secret))).map_err(failed)?;
    Ok(HashKey::new(&secret))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Writes a new file that only its owner can read. A rename, so that a reader never sees half of it.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if !is_absence(&error) => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}
