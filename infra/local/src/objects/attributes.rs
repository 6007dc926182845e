//! What S3 knows of an object besides its bytes: ETag, headers and the like, kept in an extended attribute of its file.
//!
//! The attribute is set on the temporary file, so the rename replaces bytes and attribute at once. It repeats the
//! file's size and modification time: a file that was dropped in by hand has no attribute, one that was edited in
//! place has one that no longer fits, and for both the ETag is computed anew.

use super::checksum::Checksum;
use md5_many::Md5State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;
use xattr::FileExt;

const ATTRIBUTE: &str = "user.stedi.object";
/// How much of a file is in memory while its MD5 is computed.
const BUFFER_BYTES: usize = 64 * 1024;

/// The headers that a put may store with an object, and a get returns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Headers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// As it was given: nothing here expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
    /// None for the usual one. It is kept and shown, and changes nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
    /// User metadata: `x-amz-meta-` headers without that prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What is stored with an object, besides what its bytes say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Properties {
    #[serde(flatten)]
    pub(crate) headers: Headers,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Checksum>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upload: Option<Upload>,
}

/// How an object was uploaded in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) parts: u32,
    /// The parts' sizes in order, as (how many, bytes of each); none if they are too irregular to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sizes: Option<Vec<(u32, u64)>>,
}

/// An attribute must fit into some 4 KB on common file systems; uploads have one size, and another for the last part.
const SIZES_MAX: usize = 32;

impl Upload {
    pub(crate) fn of(id: &str, parts: impl IntoIterator<Item = u64>) -> Self {
        let (mut count, mut runs) = (0, Vec::<(u32, u64)>::new());
        for size in parts {
            count += 1;
            match runs.last_mut() {
                Some((number, last)) if *last == size => *number += 1,
                _ => runs.push((1, size)),
            }
        }
        Self { id: id.into(), parts: count, sizes: (runs.len() <= SIZES_MAX).then_some(runs) }
    }

    /// The parts' places in the body, in order; none if they are not known.
    pub(crate) fn places(&self) -> Option<impl Iterator<Item = Range<u64>>> {
        let mut start = 0;
        let sizes = self.sizes.as_ref()?.iter().flat_map(|(number, size)| (0..*number).map(|_| *size));
        Some(sizes.map(move |size| {
            let place = start..start + size;
            start = place.end;
            place
        }))
    }
}

/// The description of one object.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    /// Without quotes: the hexadecimal MD5 of the body, or for an upload in parts what S3 makes of theirs.
    pub(crate) etag: String,
    /// The body's length in bytes.
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    pub(crate) properties: Properties,
}

#[derive(Serialize, Deserialize)]
struct Attribute {
    etag: String,
    size: u64,
    /// Seconds and nanoseconds of the modification time.
    modified: (i64, i64),
    #[serde(flatten)]
    properties: Properties,
}

impl Attribute {
    fn fits(&self, file: &Metadata) -> bool {
        self.size == file.len() && self.modified == (file.mtime(), file.mtime_nsec())
    }

    fn describe(self, file: &Metadata) -> io::Result<Description> {
        Ok(Description { etag: self.etag, size: self.size, modified: file.modified()?, properties: self.properties })
    }
}

/// Writes ETag and properties to a file that is complete.
pub(crate) fn set(file: &File, etag: &str, properties: Properties) -> io::Result<()> {
    set_as_of(file, &file.metadata()?, etag, properties)
}

fn set_as_of(file: &File, seen: &Metadata, etag: &str, properties: Properties) -> io::Result<()> {
    let modified = (seen.mtime(), seen.mtime_nsec());
    let attribute = Attribute { etag: etag.into(), size: seen.len(), modified, properties };
    match file.set_xattr(ATTRIBUTE, &serde_json::to_vec(&attribute)?) {
        // No extended attributes here: the ETag is computed when somebody asks, the properties are lost.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        other => other,
    }
}

/// Describes an open file; computes the ETag where no attribute holds it.
pub(crate) fn describe(file: &File) -> io::Result<Description> {
    let metadata = file.metadata()?;
    match parse(file.get_xattr(ATTRIBUTE)) {
        Some(attribute) if attribute.fits(&metadata) => attribute.describe(&metadata),
        _ => {
            let etag = hash(file)?;
            // Remember it for the next time; who may only read the file computes again. It is the ETag of what was
            // there before the hashing began: somebody may still be writing the file.
            let properties = Properties::default();
            let _ = set_as_of(file, &metadata, &etag, properties.clone());
            Ok(Description { etag, size: metadata.len(), modified: metadata.modified()?, properties })
        }
    }
}

/// As [`describe`], by path and with fewer system calls: for listings.
pub(crate) fn describe_path(path: &Path) -> io::Result<Description> {
    let metadata = std::fs::metadata(path)?;
    match parse(xattr::get(path, ATTRIBUTE)) {
        Some(attribute) if attribute.fits(&metadata) => attribute.describe(&metadata),
        _ => describe(&File::open(path)?),
    }
}

/// An attribute that cannot be read counts as absent: the body alone decides the ETag.
fn parse(value: io::Result<Option<Vec<u8>>>) -> Option<Attribute> {
    serde_json::from_slice(&value.ok().flatten()?).ok()
}

fn hash(mut file: &File) -> io::Result<String> {
    let mut md5 = Md5State::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&md5.finalize())),
            n => md5.update(&buffer[..n]),
        }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
