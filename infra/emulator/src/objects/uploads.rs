//! Multipart uploads in progress, kept on disk so that a client can go on after a restart.
//!
//! `uploads/ID/about` describes the object, and `uploads/ID/NUMBER/MD5[.CHECKSUM]` is a part. The digests are in the name,
//! so one rename makes a part visible. Requests do not see an upload whose directory has another name: `ID.new` while it
//! is created, `ID.completing` while its parts are concatenated, so that no part can change meanwhile.

use super::attributes::Headers;
use super::checksum::Algorithm;
use super::key_file::is_absence;
use super::temporary::{Digests, TemporaryFile};
use hex::encode as hex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

const HEADER: &str = "about";
const NEW: &str = "new";
const COMPLETING: &str = "completing";
/// An upload id has twice as many hexadecimal digits.
const ID_BYTES: usize = 16;

/// The object that an upload creates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UploadHeader {
    pub(crate) bucket: String,
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) headers: Headers,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// The algorithm of the checksums of every part and of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) algorithm: Option<Algorithm>,
    /// Whether the object's checksum is one of the parts' checksums rather than of the body.
    #[serde(default)]
    pub(crate) composite: bool,
}

/// A stored part.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) number: u16,
    pub(crate) md5: [u8; 16],
    /// The checksum by the upload's algorithm.
    pub(crate) checksum: Option<Vec<u8>>,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    pub(crate) path: PathBuf,
}

/// The directory of all uploads.
pub(crate) struct Uploads {
    root: PathBuf,
    next: AtomicU64,
    /// Held while a part replaces another of its number, so that one of two concurrent ones stays.
    storing: Mutex<()>,
}

/// The exclusive right to complete an upload; other requests do not see it meanwhile. Dropping the claim without
/// [`Claim::finish`] puts the upload back.
pub(crate) struct Claim {
    open: PathBuf,
    completing: PathBuf,
    done: bool,
}

impl Uploads {
    /// Opens the directory, and repairs what a killed process left.
    pub(crate) fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        for entry in fs::read_dir(&root)? {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(NEW) => fs::remove_dir_all(&path)?,
                Some(COMPLETING) if path.join(HEADER).exists() => fs::rename(&path, path.with_extension(""))?,
                Some(COMPLETING) => fs::remove_dir_all(&path)?,
                _ => {}
            }
        }
        Ok(Self { root, next: AtomicU64::new(0), storing: Mutex::default() })
    }

    /// Creates an upload; returns its id. `now` makes the id differ from those of earlier processes.
    pub(crate) fn begin(&self, about: &UploadHeader, now: SystemTime) -> io::Result<String> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let digest = Algorithm::Sha256.digest(format!("{now} {number} {}", about.key).as_bytes());
            let id = hex(&digest[..ID_BYTES]);
            let (open, new) = (self.root.join(&id), self.root.join(&id).with_extension(NEW));
            match fs::create_dir(&new) {
                // The clock did not move since an earlier process, and the counter began again at 0.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                other => other?,
            }
            if open.exists() {
                fs::remove_dir(&new)?;
                continue;
            }
            fs::write(new.join(HEADER), serde_json::to_vec(about)?)?;
            fs::rename(&new, &open)?;
            return Ok(id);
        }
    }

    /// Returns an upload in progress, and when it began.
    pub(crate) fn find(&self, id: &str) -> io::Result<Option<(UploadHeader, SystemTime)>> {
        match self.directory(id) {
            Some(directory) => about(&directory),
            None => Ok(None),
        }
    }

    /// Whether another request is completing the upload.
    pub(crate) fn is_completing(&self, id: &str) -> bool {
        self.directory(id).is_some_and(|directory| directory.with_extension(COMPLETING).is_dir())
    }

    /// Stores a part, replacing one with the same number; returns false if the upload is not in progress.
    pub(crate) fn store(&self, id: &str, number: u16, mut body: TemporaryFile, digests: &Digests) -> io::Result<bool> {
        let Some(directory) = self.directory(id).filter(|directory| directory.is_dir()) else { return Ok(false) };
        let directory = directory.join(number.to_string());
        let mut name = hex(digests.md5);
        if let Some((_, checksum)) = &digests.checksum {
            name = format!("{name}.{}", hex(checksum));
        }
        let _guard = self.storing.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match fs::create_dir(&directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => body.rename_to(&directory.join(&name)),
        };
        match result {
            Err(error) if is_absence(&error) => return Ok(false),
            other => other?,
        }
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            // If an older file stays, `parts` takes the newest.
            if entry.file_name().to_str() != Some(&name) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(true)
    }

    /// The parts of an upload in progress, by number.
    pub(crate) fn parts(&self, id: &str) -> io::Result<Vec<Part>> {
        self.directory(id).map_or_else(|| Ok(Vec::new()), |directory| parts(&directory))
    }

    /// Hides the upload from other requests; returns `None` if it is not in progress.
    pub(crate) fn claim(&self, id: &str) -> io::Result<Option<Claim>> {
        let Some(open) = self.directory(id) else { return Ok(None) };
        let completing = open.with_extension(COMPLETING);
        match fs::rename(&open, &completing) {
            Err(error) if is_absence(&error) => Ok(None),
            other => other.map(|()| Some(Claim { open, completing, done: false })),
        }
    }

    /// Removes an upload and its parts; returns false if it is not in progress.
    pub(crate) fn remove(&self, id: &str) -> io::Result<bool> {
        let claim = self.claim(id)?;
        claim.map_or(Ok(false), |claim| claim.finish().map(|()| true))
    }

    /// The uploads in progress, ordered by bucket, key and time of creation.
    pub(crate) fn list(&self) -> io::Result<Vec<(String, UploadHeader, SystemTime)>> {
        let mut uploads = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let Ok(id) = entry?.file_name().into_string() else { continue };
            if let Some((about, begun)) = self.find(&id)? {
                uploads.push((id, about, begun));
            }
        }
        uploads.sort_by(|(a_id, a, a_begun), (b_id, b, b_begun)| {
            (&a.bucket, &a.key, a_begun, a_id).cmp(&(&b.bucket, &b.key, b_begun, b_id))
        });
        Ok(uploads)
    }

    /// The directory of an upload; `None` if `id` is not an upload id: it could be a path to elsewhere.
    fn directory(&self, id: &str) -> Option<PathBuf> {
        let is_id = id.len() == 2 * ID_BYTES && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then(|| self.root.join(id))
    }
}

impl Claim {
    pub(crate) fn about(&self) -> io::Result<UploadHeader> {
        Ok(about(&self.completing)?.ok_or(ErrorKind::NotFound)?.0)
    }

    pub(crate) fn parts(&self) -> io::Result<Vec<Part>> {
        parts(&self.completing)
    }

    /// Removes the upload.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.done = true;
        // The header goes first: after a kill in between, `open` removes a directory without it.
        fs::remove_file(self.completing.join(HEADER))?;
        fs::remove_dir_all(&self.completing)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.done {
            // If this fails, the next `open` puts the upload back.
            let _ = fs::rename(&self.completing, &self.open);
        }
    }
}

fn about(directory: &Path) -> io::Result<Option<(UploadHeader, SystemTime)>> {
    let path = directory.join(HEADER);
    match fs::read(&path) {
        Err(error) if is_absence(&error) => Ok(None),
        other => Ok(Some((serde_json::from_slice(&other?)?, fs::metadata(&path)?.modified()?))),
    }
}

fn parts(directory: &Path) -> io::Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let entries = match fs::read_dir(directory) {
        Err(error) if is_absence(&error) => return Ok(parts),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let mut newest: Option<Part> = None;
        for file in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            let (name, Ok(metadata)) = (file.file_name(), file.metadata()) else { continue };
            let mut digests = name.to_str().unwrap_or_default().split('.').map(|digits| hex::decode(digits).ok());
            let Some(Ok(md5)) = digests.next().flatten().map(<[u8; 16]>::try_from) else { continue };
            let (checksum, modified) = (digests.next().flatten(), metadata.modified()?);
            if newest.as_ref().is_none_or(|part| part.modified < modified) {
                newest = Some(Part { number, md5, checksum, size: metadata.len(), modified, path: file.path() });
            }
        }
        parts.extend(newest);
    }
    parts.sort_by_key(|part| part.number);
    Ok(parts)
}
