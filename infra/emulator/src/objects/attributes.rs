//! ETag, headers and other properties of an object, kept in an extended attribute of its file.
//!
//! The attribute is set on the temporary file, so the rename replaces bytes and attribute at once. It repeats the
//! file's size and modification time. A file that a user copied into the directory has no attribute, and that of a file
//! that a user edited no longer matches: for both the ETag is computed again.

use super::checksum::Checksum;
use hex::encode as hex;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;
use xattr::FileExt;

const ATTRIBUTE: &str = "user.emulator";
/// The piece of a file that is in memory while its MD5 is computed.
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
    /// The value of the request; nothing expires in this emulator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
    /// `None` for STANDARD. A class is stored and shown, and has no other effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
    /// User metadata: `x-amz-meta-` headers without that prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What a client stores with an object besides its bytes.
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
    /// The parts' sizes in order, run-length encoded: (parts, bytes of each). `None` if there are too many runs to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sizes: Option<Vec<(u32, u64)>>,
}

/// An attribute must fit into some 4 KB on common file systems. Most uploads have two runs: the last part is shorter.
const SIZES_MAX: usize = 32;

impl Upload {
    pub(crate) fn new(id: &str, parts: impl IntoIterator<Item = u64>) -> Self {
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

    /// The parts' byte ranges in the body, in order; `None` if they are unknown.
    pub(crate) fn part_ranges(&self) -> Option<impl Iterator<Item = Range<u64>>> {
        let mut start = 0;
        let sizes = self.sizes.as_ref()?.iter().flat_map(|(number, size)| (0..*number).map(|_| *size));
        Some(sizes.map(move |size| {
            let range = start..start + size;
            start = range.end;
            range
        }))
    }
}

/// The description of one object.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    /// Without quotes: the hexadecimal MD5 of the body, or for a multipart upload S3's ETag of the parts.
    pub(crate) etag: String,
    /// The body's length in bytes.
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    pub(crate) properties: Properties,
}

/// The attribute: a [`Stamp`], followed by the [`Rest`] as JSON unless it is empty.
struct Attribute {
    stamp: Stamp,
    rest: Rest,
}

/// What every object has, in some 30 bytes. They fit into the inode on a file system such as ext4; a larger attribute
/// takes a block of its own, 4 KiB for each file.
#[derive(Serialize, Deserialize)]
struct Stamp {
    /// The ETag, if it is an MD5.
    md5: [u8; 16],
    size: u64,
    /// Seconds and nanoseconds of the modification time.
    modified: (i64, i64),
    /// Whether the content type is [`OCTETS`].
    is_octets: bool,
}

/// The content type that SDKs send by default.
const OCTETS: &str = "application/octet-stream";

/// What few objects have.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Rest {
    /// The ETag, if it is not an MD5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(flatten)]
    properties: Properties,
}

impl Attribute {
    fn new(file: &Metadata, etag: &str, mut properties: Properties) -> Self {
        let mut md5 = [0; 16];
        let is_md5 = hex::decode_to_slice(etag, &mut md5).is_ok() && hex(md5) == etag;
        let is_octets = properties.headers.content_type.as_deref() == Some(OCTETS);
        if is_octets {
            properties.headers.content_type = None;
        }
        let modified = (file.mtime(), file.mtime_nsec());
        let stamp = Stamp { md5, size: file.len(), modified, is_octets };
        Self { stamp, rest: Rest { etag: (!is_md5).then(|| etag.to_owned()), properties } }
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        let mut bytes = postcard::to_allocvec(&self.stamp).map_err(io::Error::other)?;
        if self.rest != Rest::default() {
            serde_json::to_writer(&mut bytes, &self.rest)?;
        }
        Ok(bytes)
    }

    /// Returns `None` for an attribute that cannot be read; the ETag is then computed from the body.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (stamp, rest) = postcard::take_from_bytes(bytes).ok()?;
        let rest = if rest.is_empty() { Rest::default() } else { serde_json::from_slice(rest).ok()? };
        Some(Self { stamp, rest })
    }

    fn matches(&self, file: &Metadata) -> bool {
        self.stamp.size == file.len() && self.stamp.modified == (file.mtime(), file.mtime_nsec())
    }

    fn describe(self, file: &Metadata) -> io::Result<Description> {
        let Self { stamp: Stamp { md5, size, is_octets, .. }, rest: Rest { etag, mut properties } } = self;
        if is_octets {
            properties.headers.content_type = Some(OCTETS.into());
        }
        Ok(Description { etag: etag.unwrap_or_else(|| hex(md5)), size, modified: file.modified()?, properties })
    }
}

/// Writes ETag and properties to a file that is complete.
pub(crate) fn set(file: &File, etag: &str, properties: Properties) -> io::Result<()> {
    set_for(file, &file.metadata()?, etag, properties)
}

fn set_for(file: &File, metadata: &Metadata, etag: &str, properties: Properties) -> io::Result<()> {
    match file.set_xattr(ATTRIBUTE, &Attribute::new(metadata, etag, properties).encode()?) {
        // This file system has no extended attributes: the ETag is computed when it is needed, properties are not kept.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        other => other,
    }
}

/// Describes an open file; computes the ETag where no attribute holds it.
pub(crate) fn describe(file: &File) -> io::Result<Description> {
    let metadata = file.metadata()?;
    match parse(file.get_xattr(ATTRIBUTE)) {
        Some(attribute) if attribute.matches(&metadata) => attribute.describe(&metadata),
        _ => {
            let etag = hash(file)?;
            // Kept for the next read; without write permission it is computed again. The metadata are from before the
            // hashing: if another process is still writing the file, they no longer match and the ETag is not used.
            let properties = Properties::default();
            let _ = set_for(file, &metadata, &etag, properties.clone());
            Ok(Description { etag, size: metadata.len(), modified: metadata.modified()?, properties })
        }
    }
}

/// Describes a file by its path, with fewer system calls than [`describe`]: for listings.
pub(crate) fn describe_path(path: &Path) -> io::Result<Description> {
    let metadata = std::fs::metadata(path)?;
    match parse(xattr::get(path, ATTRIBUTE)) {
        Some(attribute) if attribute.matches(&metadata) => attribute.describe(&metadata),
        _ => describe(&File::open(path)?),
    }
}

fn parse(value: io::Result<Option<Vec<u8>>>) -> Option<Attribute> {
    Attribute::decode(&value.ok().flatten()?)
}

fn hash(mut file: &File) -> io::Result<String> {
    let mut md5 = Md5::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(md5.finalize())),
            n => md5.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "0bce989a03eec36686ee30bdbcd8fa03";

    /// Encodes and decodes an attribute; returns the description and the length in bytes.
    fn round_trip(etag: &str, properties: &Properties) -> (Description, usize) {
        let file = tempfile::tempfile().unwrap();
        let metadata = file.metadata().unwrap();
        let bytes = Attribute::new(&metadata, etag, properties.clone()).encode().unwrap();
        let attribute = Attribute::decode(&bytes).unwrap();
        assert!(attribute.matches(&metadata));
        (attribute.describe(&metadata).unwrap(), bytes.len())
    }

    #[test]
    fn attributes_round_trip() {
        let plain = Properties::default();
        let octets = Headers { content_type: Some(OCTETS.into()), ..Headers::default() };
        let text = Headers { content_type: Some("text/plain".into()), ..Headers::default() };
        let tagged = Properties { tags: BTreeMap::from([("a".into(), "b".into())]), ..plain.clone() };
        let of_headers = [octets, text].map(|headers| Properties { headers, ..plain.clone() });
        for etag in [MD5, "0bce989a03eec36686ee30bdbcd8fa03-7", "0BCE989A03EEC36686EE30BDBCD8FA03", "+1", ""] {
            for properties in of_headers.iter().chain([&plain, &tagged]) {
                let (description, _) = round_trip(etag, properties);
                assert_eq!((description.etag.as_str(), &description.properties), (etag, properties));
            }
        }
    }

    #[test]
    fn the_attribute_of_a_plain_object_fits_into_an_inode() {
        // Of ext4's 256 bytes 92 are for attributes; a name takes 16 bytes and its own, the end of the list 4.
        let room = 92 - 16 - ATTRIBUTE.trim_start_matches("user.").len().next_multiple_of(4) - 4;
        let headers = Headers { content_type: Some(OCTETS.into()), ..Headers::default() };
        let (_, bytes) = round_trip(MD5, &Properties { headers, ..Properties::default() });
        // The file is empty and new; the largest size and the latest time take 9 bytes more.
        assert!(bytes + 9 <= room, "{bytes} of {room} bytes");
    }
}
