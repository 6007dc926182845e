//! Finds landing files and uploads what the lake does not hold yet.

use formats::receipt::Receipt;
use md5::{Digest, Md5};
use model::layout::{self, ObjectLocation, Source};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::BoxError;
use store::lake::Lake;
use store::{Listing, Read, Version};
use tokio::sync::Semaphore;

/// The key of a landing file and where its content is.
#[derive(Clone, Debug)]
pub(crate) struct LandingFile {
    source: Source,
    key: String,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    OnDisk(PathBuf),
    InMemory(Vec<u8>),
}

/// Why there is nothing to ingest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LandingError {
    #[error("no such folder: {}", .0.display())]
    NoFolder(PathBuf),
    #[error("{} is not a folder; give the one that has customer/landing/ in it", .0.display())]
    NotAFolder(PathBuf),
    #[error("{} is not a regular file; remove it, only files can be uploaded", .0.display())]
    NotAFile(PathBuf),
    #[error(
        "no landing files in {folder}: expected files below customer/landing/, accelerometer/landing/ or \
         step_trainer/landing/ in it; `stedi generate FOLDER` writes some"
    )]
    NoFiles { folder: String },
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("the name of {} is not UTF-8, which an object key must be; rename the file", .0.display())]
    BadName(PathBuf),
}

/// Finds the landing files in `folder`, in the order of their keys.
pub(crate) fn in_folder(folder: &Path) -> Result<Vec<LandingFile>, LandingError> {
    if !folder.exists() {
        return Err(LandingError::NoFolder(folder.to_owned()));
    }
    if !folder.is_dir() {
        return Err(LandingError::NotAFolder(folder.to_owned()));
    }
    let mut files = Vec::new();
    for source in Source::ALL {
        let prefix = source.landing().prefix();
        let path = folder.join(prefix);
        if path.is_dir() {
            walk(&path, source, prefix, &mut files)?;
        }
    }
    if files.is_empty() { Err(LandingError::NoFiles { folder: folder.display().to_string() }) } else { Ok(files) }
}

fn walk(folder: &Path, source: Source, prefix: &str, files: &mut Vec<LandingFile>) -> Result<(), LandingError> {
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
        let unreadable = |error| LandingError::Unreadable(path.clone(), error);
        let is_link = path.is_symlink();
        let kind = std::fs::metadata(&path).map_err(unreadable)?;
        if kind.is_dir() && !is_link {
            walk(&path, source, &format!("{key}/"), files)?;
        } else if kind.is_file() {
            // A file that cannot be read is reported before the first upload.
            std::fs::File::open(&path).map_err(unreadable)?;
            files.push(LandingFile { source, key, content: Content::OnDisk(path) });
        } else {
            return Err(LandingError::NotAFile(path));
        }
    }
    Ok(())
}

/// Generates sample data of the reference data's size.
pub(crate) fn sample() -> Vec<LandingFile> {
    let files = sample_data::generate(&sample_data::Options::default());
    let source = |path: &str| Source::ALL.into_iter().find(|source| path.starts_with(source.landing().prefix()));
    let file = |sample_data::File { path: key, bytes }| {
        Some(LandingFile { source: source(&key)?, key, content: Content::InMemory(bytes) })
    };
    files.filter_map(file).collect()
}

/// How many bytes of files are in memory at once, unless a single file has more.
const UPLOAD_BYTES_MAX: u32 = 128 << 20;
/// How many files are uploaded at once, if memory allows.
const UPLOADS_MAX: usize = 16;

/// With more files than this, one listing costs less than a request for each.
const HEADS_MAX: usize = 8;

/// Uploads files in any order, many at once and on all cores, since storing a file hashes it. Calls `skip` for each that
/// the lake holds already.
pub(crate) async fn upload_all(files: Vec<LandingFile>, lake: &Lake, skip: impl Fn()) -> Result<(), BoxError> {
    let memory = Arc::new(Semaphore::new(UPLOAD_BYTES_MAX as usize));
    let mut files_by_source: BTreeMap<Source, usize> = BTreeMap::new();
    files.iter().for_each(|file| *files_by_source.entry(file.source).or_default() += 1);
    let mut listings: BTreeMap<Source, Listing> = BTreeMap::new();
    for (source, files) in files_by_source {
        if files > HEADS_MAX {
            listings.insert(source, lake.store.list(lake.bucket(), source.landing().prefix(), false).await?);
        }
    }
    let uploads = files.into_iter().map(|file| {
        let (lake, memory) = (lake.clone(), memory.clone());
        let current = listings.get(&file.source).and_then(|listing| listing.version(&file.key));
        async move {
            let bytes = u32::try_from(file.size()?).unwrap_or(u32::MAX).min(UPLOAD_BYTES_MAX);
            let _permit = memory.acquire_many(bytes).await?;
            file.upload(&lake, current).await
        }
    });
    for upload in store::join_at_most(UPLOADS_MAX, uploads).await {
        if upload? == Upload::Unchanged {
            skip();
        }
    }
    Ok(())
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    /// It was uploaded.
    Stored,
    /// The lake holds it already, and has its receipt.
    Unchanged,
}

impl LandingFile {
    /// Whether it holds customer records.
    pub(crate) fn is_of_customers(&self) -> bool {
        self.source == Source::Customer
    }

    /// Returns the key of its receipt.
    pub(crate) fn receipt(&self, lake: &Lake) -> String {
        layout::receipt(self.source, lake.file_id(&lake.at(self.key.as_str())))
    }

    fn size(&self) -> Result<u64, LandingError> {
        match &self.content {
            Content::InMemory(bytes) => Ok(bytes.len() as u64),
            Content::OnDisk(path) => {
                let file = std::fs::metadata(path).map_err(|error| LandingError::Unreadable(path.clone(), error))?;
                Ok(file.len())
            }
        }
    }

    /// Uploads the file, unless the lake holds the same version and its receipt. A file that was copied into the lake by
    /// hand, or whose receipt was removed, is uploaded again. `current` is the lake's version, if known.
    pub(crate) async fn upload(self, lake: &Lake, mut current: Option<Version>) -> Result<Upload, BoxError> {
        let receipt = lake.at(self.receipt(lake));
        let body = match self.content {
            Content::InMemory(bytes) => bytes,
            Content::OnDisk(path) => std::fs::read(&path).map_err(|error| LandingError::Unreadable(path, error))?,
        };
        let location = lake.at(self.key);
        let body = bytes::Bytes::from(body);
        loop {
            let version = match current.take() {
                Some(version) => version,
                None => lake.store.version(&location).await?,
            };
            if let Version::Etag(stored) = &version
                && *stored == etag(&body)
                && etag_in_receipt(lake, &receipt).await?.as_ref() == Some(stored)
            {
                return Ok(Upload::Unchanged);
            }
            if lake.store.put(&location, body.clone(), &version).await?.is_done() {
                return Ok(Upload::Stored);
            }
        }
    }
}

/// Reads which version of a landing file its receipt counts.
async fn etag_in_receipt(lake: &Lake, receipt: &ObjectLocation) -> Result<Option<String>, BoxError> {
    match lake.store.read(receipt, None).await? {
        Read::Found { body, .. } => Ok(Some(Receipt::decode(&body)?.landing.etag)),
        Read::Absent | Read::Unchanged => Ok(None),
    }
}

/// Returns the ETag that S3 gives this body.
fn etag(body: &[u8]) -> String {
    let hex: String = Md5::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
