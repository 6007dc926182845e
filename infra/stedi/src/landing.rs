//! Finds landing files and uploads what the lake does not hold yet.

use formats::receipt::Receipt;
use model::layout::{self, FileName, ObjectLocation, Source};
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

/// Why there is nothing to land.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LandingError {
    #[error("no such folder: {}", .0.display())]
    NoFolder(PathBuf),
    #[error("{} is not a folder; give the one that has customer/landing/ and its like in it", .0.display())]
    NotAFolder(PathBuf),
    #[error("{} is no regular file; only files can land", .0.display())]
    NotAFile(PathBuf),
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
    if files.is_empty() { Err(LandingError::Nothing { folder: folder.display().to_string() }) } else { Ok(files) }
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
            // What cannot be read is told before anything lands.
            std::fs::File::open(&path).map_err(unreadable)?;
            files.push(LandingFile { source, key, content: Content::OnDisk(path) });
        } else {
            return Err(LandingError::NotAFile(path));
        }
    }
    Ok(())
}

/// Sample data of the reference data's size.
pub(crate) fn sample() -> Vec<LandingFile> {
    let files = sample_data::generate(&sample_data::Options::default());
    let source = |path: &str| Source::ALL.into_iter().find(|source| path.starts_with(source.landing().prefix()));
    let file = |sample_data::File { path: key, bytes }| {
        Some(LandingFile { source: source(&key)?, key, content: Content::InMemory(bytes) })
    };
    files.filter_map(file).collect()
}

/// How many bytes of files being uploaded are in memory, unless a single file has more.
const UPLOAD_BYTES_MAX: u32 = 128 << 20;
/// How many files are uploaded at once, if memory allows: the embedded S3 hashes as many bodies in the time of one.
const UPLOADS_MAX: usize = 16;

/// To look at each of so few files is cheaper than to list what is there.
const LOOKED_AT_MAX: usize = 8;

/// Uploads files in whatever order, many at once and on all cores: to store a file is to hash it.
pub(crate) async fn upload_all(files: Vec<LandingFile>, lake: &Lake) -> Result<(), BoxError> {
    let memory = Arc::new(Semaphore::new(UPLOAD_BYTES_MAX as usize));
    let mut of_source: BTreeMap<Source, usize> = BTreeMap::new();
    files.iter().for_each(|file| *of_source.entry(file.source).or_default() += 1);
    let mut held: BTreeMap<Source, Listing> = BTreeMap::new();
    for (source, files) in of_source {
        if files > LOOKED_AT_MAX {
            held.insert(source, lake.store.list(lake.bucket(), source.landing().prefix(), false).await?);
        }
    }
    let uploads = files.into_iter().map(|file| {
        let (lake, memory) = (lake.clone(), memory.clone());
        let held = held.get(&file.source).and_then(|held| held.version(&file.key));
        async move {
            let bytes = u32::try_from(file.size()?).unwrap_or(u32::MAX).min(UPLOAD_BYTES_MAX);
            let _taken = memory.acquire_many(bytes).await?;
            file.upload(&lake, held).await
        }
    });
    store::join_at_most(UPLOADS_MAX, uploads).await.into_iter().collect()
}

impl LandingFile {
    /// Whether customers are in it.
    pub(crate) fn is_of_customers(&self) -> bool {
        self.source == Source::Customer
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

    /// Uploads the file, unless the lake holds it already in the same version and its receipt says so: a file that was
    /// copied into the lake by hand, or whose receipt was removed, is landed once more. `held` is the version that the lake
    /// holds, if that is known.
    pub(crate) async fn upload(self, lake: &Lake, mut held: Option<Version>) -> Result<(), BoxError> {
        let body = match self.content {
            Content::InMemory(bytes) => bytes,
            Content::OnDisk(path) => std::fs::read(&path).map_err(|error| LandingError::Unreadable(path, error))?,
        };
        let source = self.source;
        let location = lake.at(self.key);
        let body = bytes::Bytes::from(body);
        loop {
            let version = match held.take() {
                Some(held) => held,
                None => lake.store.version(&location).await?,
            };
            if let Version::Etag(held) = &version
                && *held == etag(&body)
                && receipted(lake, source, &location).await?.as_ref() == Some(held)
            {
                return Ok(());
            }
            if lake.store.put(&location, body.clone(), &version).await?.is_done() {
                return Ok(());
            }
        }
    }
}

/// The version of the landing file that its receipt is of.
async fn receipted(lake: &Lake, source: Source, location: &ObjectLocation) -> Result<Option<String>, BoxError> {
    let receipt = lake.at(layout::receipt(source, &FileName::of(location)));
    match lake.store.read(&receipt, None).await? {
        Read::Found { body, .. } => Ok(Some(Receipt::decode(&body)?.landing.etag)),
        Read::Absent | Read::Unchanged => Ok(None),
    }
}

/// The ETag that the embedded S3 gives this body.
fn etag(body: &[u8]) -> String {
    let hex: String = <md5::Md5 as md5::Digest>::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
