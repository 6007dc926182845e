//! Uploads in parts that are under way: kept on disk, so that a client may go on after a restart.
//!
//! `uploads/ID/about` says what is uploaded, and `uploads/ID/NUMBER/MD5[.CHECKSUM]` is a part: its name says all that
//! has to be known of its bytes, so that a part is there, or not, by one rename. While its directory has another name an
//! upload is not there: `ID.new` before it is complete, `ID.completing` while its parts are put together, so that no
//! part can change meanwhile.

use super::attributes::{Headers, hex};
use super::checksum::Algorithm;
use super::place::is_absence;
use super::temporary::{Digests, Temporary};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

const ABOUT: &str = "about";
const NEW: &str = "new";
const COMPLETING: &str = "completing";
/// Twice as many hexadecimal digits name an upload.
const ID_BYTES: usize = 16;

/// What is uploaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) bucket: String,
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) headers: Headers,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// Of every part, and of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) algorithm: Option<Algorithm>,
    /// The object's checksum is one of the parts' checksums, not of the body.
    #[serde(default)]
    pub(crate) composite: bool,
}

/// A part that was uploaded.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) number: u16,
    pub(crate) md5: [u8; 16],
    /// By the upload's algorithm.
    pub(crate) checksum: Option<Vec<u8>>,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    pub(crate) path: PathBuf,
}

/// The directory of all uploads.
pub(crate) struct Uploads {
    root: PathBuf,
    next: AtomicU64,
    /// Of two parts of one number that come at the same time, one takes the other's place.
    storing: Mutex<()>,
}

/// The right to complete an upload, which nobody else sees meanwhile. Dropped before it is done, the upload is as it was.
pub(crate) struct Claim {
    open: PathBuf,
    claimed: PathBuf,
    done: bool,
}

impl Uploads {
    /// Opens the directory, and puts right what a killed process left.
    pub(crate) fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        for entry in fs::read_dir(&root)? {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(NEW) => fs::remove_dir_all(&path)?,
                Some(COMPLETING) if path.join(ABOUT).exists() => fs::rename(&path, path.with_extension(""))?,
                Some(COMPLETING) => fs::remove_dir_all(&path)?,
                _ => {}
            }
        }
        Ok(Self { root, next: AtomicU64::new(0), storing: Mutex::default() })
    }

    /// Begins an upload; its name. `now` keeps that from being one of an earlier process.
    pub(crate) fn begin(&self, about: &About, now: SystemTime) -> io::Result<String> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let digest = Algorithm::Sha256.digest(format!("{now} {number} {}", about.key).as_bytes());
            let id = hex(&digest[..ID_BYTES]);
            let (open, new) = (self.root.join(&id), self.root.join(&id).with_extension(NEW));
            match fs::create_dir(&new) {
                // Of a clock that stands still, and a process that counts from the beginning again.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                other => other?,
            }
            if open.exists() {
                fs::remove_dir(&new)?;
                continue;
            }
            fs::write(new.join(ABOUT), serde_json::to_vec(about)?)?;
            fs::rename(&new, &open)?;
            return Ok(id);
        }
    }

    /// An upload that is under way, and when it began.
    pub(crate) fn find(&self, id: &str) -> io::Result<Option<(About, SystemTime)>> {
        match self.directory(id) {
            Some(directory) => about(&directory),
            None => Ok(None),
        }
    }

    /// Whether the upload is being completed just now.
    pub(crate) fn is_completing(&self, id: &str) -> bool {
        self.directory(id).is_some_and(|directory| directory.with_extension(COMPLETING).is_dir())
    }

    /// Stores a part in place of the one with its number; false if the upload is not under way.
    pub(crate) fn store(&self, id: &str, number: u16, mut body: Temporary, digests: &Digests) -> io::Result<bool> {
        let Some(directory) = self.directory(id).filter(|directory| directory.is_dir()) else { return Ok(false) };
        let directory = directory.join(number.to_string());
        let mut name = hex(&digests.md5);
        if let Some((_, checksum)) = &digests.checksum {
            name = format!("{name}.{}", hex(checksum));
        }
        let _guard = self.storing.lock().unwrap_or_else(PoisonError::into_inner);
        let placed = match fs::create_dir(&directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => body.place(&directory.join(&name)),
        };
        match placed {
            Err(error) if is_absence(&error) => return Ok(false),
            other => other?,
        }
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            // If an earlier one stays, the younger counts.
            if entry.file_name().to_str() != Some(&name) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(true)
    }

    /// The parts of an upload that is under way, in order.
    pub(crate) fn parts(&self, id: &str) -> io::Result<Vec<Part>> {
        self.directory(id).map_or_else(|| Ok(Vec::new()), |directory| parts(&directory))
    }

    /// Takes the upload out of everybody's sight; none if it is not under way.
    pub(crate) fn claim(&self, id: &str) -> io::Result<Option<Claim>> {
        let Some(open) = self.directory(id) else { return Ok(None) };
        let claimed = open.with_extension(COMPLETING);
        match fs::rename(&open, &claimed) {
            Err(error) if is_absence(&error) => Ok(None),
            other => other.map(|()| Some(Claim { open, claimed, done: false })),
        }
    }

    /// Removes an upload and its parts; false if it is not under way.
    pub(crate) fn remove(&self, id: &str) -> io::Result<bool> {
        let claim = self.claim(id)?;
        claim.map_or(Ok(false), |claim| claim.done().map(|()| true))
    }

    /// The uploads under way, in the order of buckets, keys, beginnings.
    pub(crate) fn list(&self) -> io::Result<Vec<(String, About, SystemTime)>> {
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

    /// Where an upload of this name is; none if it is no name of an upload, and may lead elsewhere.
    fn directory(&self, id: &str) -> Option<PathBuf> {
        let is_id = id.len() == 2 * ID_BYTES && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then(|| self.root.join(id))
    }
}

impl Claim {
    pub(crate) fn about(&self) -> io::Result<About> {
        Ok(about(&self.claimed)?.ok_or(ErrorKind::NotFound)?.0)
    }

    pub(crate) fn parts(&self) -> io::Result<Vec<Part>> {
        parts(&self.claimed)
    }

    /// Removes the upload.
    pub(crate) fn done(mut self) -> io::Result<()> {
        self.done = true;
        // First what says that it is an upload: a process may be killed in here.
        fs::remove_file(self.claimed.join(ABOUT))?;
        fs::remove_dir_all(&self.claimed)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.done {
            // If that fails, it is done when the lake is opened the next time.
            let _ = fs::rename(&self.claimed, &self.open);
        }
    }
}

fn about(directory: &Path) -> io::Result<Option<(About, SystemTime)>> {
    let path = directory.join(ABOUT);
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
            let mut digests = name.to_str().unwrap_or_default().split('.').map(bytes_of);
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

/// The reverse of [`hex`].
fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}
