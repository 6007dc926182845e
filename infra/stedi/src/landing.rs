//! Finds landing files and uploads what the lake does not hold yet.

use aws::BoxError;
use aws::lake::Lake;
use aws::store::{Put, Version};
use lake::layout::Source;
use md5::{Digest, Md5};
use std::io;
use std::path::{Path, PathBuf};

/// The key of a landing file and where its content is.
#[derive(Clone, Debug)]
pub(crate) struct LandingFile {
    key: String,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    OnDisk(PathBuf),
    InMemory(Vec<u8>),
}

/// Why there is nothing to land.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LandingError {
    #[error("no such folder: {}", .0.display())]
    NoFolder(PathBuf),
    #[error(
        "nothing to land in {folder}: expected files below customer/landing/, accelerometer/landing/ or \
         step_trainer/landing/ in it; `stedi generate FOLDER` writes some"
    )]
    Nothing { folder: String },
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("{} has a name that is no UTF-8, so it can be no object key; rename it", .0.display())]
    BadName(PathBuf),
}

/// The landing files in `folder`, in the order of their keys.
pub(crate) fn in_folder(folder: &Path) -> Result<Vec<LandingFile>, LandingError> {
    if !folder.is_dir() {
        return Err(LandingError::NoFolder(folder.to_owned()));
    }
    let mut files = Vec::new();
    for source in Source::ALL {
        let prefix = source.landing().prefix();
        let path = folder.join(prefix);
        if path.is_dir() {
            walk(&path, prefix, &mut files)?;
        }
    }
    if files.is_empty() { Err(LandingError::Nothing { folder: folder.display().to_string() }) } else { Ok(files) }
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<LandingFile>) -> Result<(), LandingError> {
    let unreadable = |error| LandingError::Unreadable(folder.to_owned(), error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for path in entries {
        let name =
            path.file_name().and_then(|name| name.to_str()).ok_or_else(|| LandingError::BadName(path.clone()))?;
        if name.starts_with('.') {
            continue;
        }
        let key = format!("{prefix}{name}");
        if path.is_dir() {
            walk(&path, &format!("{key}/"), files)?;
        } else {
            files.push(LandingFile { key, content: Content::OnDisk(path) });
        }
    }
    Ok(())
}

/// Sample data of the reference data's size.
pub(crate) fn sample() -> Vec<LandingFile> {
    let files = sample_data::generate(&sample_data::Options::default());
    files.map(|file| LandingFile { key: file.path, content: Content::InMemory(file.bytes) }).collect()
}

impl LandingFile {
    /// Uploads the file, unless the lake holds it already in the same version; whether it did.
    pub(crate) async fn upload(self, lake: &Lake) -> Result<bool, BoxError> {
        let body = match self.content {
            Content::InMemory(bytes) => bytes,
            Content::OnDisk(path) => std::fs::read(&path).map_err(|error| LandingError::Unreadable(path, error))?,
        };
        let place = lake.at(self.key);
        let body = bytes::Bytes::from(body);
        loop {
            let version = lake.store.version(&place).await?;
            if matches!(&version, Version::Etag(held) if *held == etag(&body)) {
                return Ok(false);
            }
            if lake.store.put(&place, body.clone(), &version).await? == Put::Done {
                return Ok(true);
            }
        }
    }
}

/// The ETag that the embedded S3 gives this body.
fn etag(body: &[u8]) -> String {
    let hex: String = Md5::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
