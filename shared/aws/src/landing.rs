//! Reads a landing file from S3, in bounded memory.

use crate::store::{Store, StoreError};
use lake::landing::{Collect, LandingReader, Undecodable};
use lake::layout::Place;
use lake::quarantine::{HEAD_BYTES_MAX, Quarantine};

/// A landing file in one version.
pub struct Landed<C> {
    /// The version.
    pub etag: String,
    /// Its records; none if it cannot be decoded as a whole.
    pub records: C,
    /// What was rejected of it.
    pub quarantine: Quarantine,
    /// Why it cannot be decoded as a whole, if so.
    pub undecodable: Option<Undecodable>,
}

/// Reads the file at `place`; none if there is none, or if it is archived.
pub async fn read<C: Collect + Default>(store: &Store, place: &Place) -> Result<Option<Landed<C>>, StoreError> {
    let Some((etag, mut body)) = store.open(place).await? else { return Ok(None) };
    let mut reader = Ok(LandingReader::new(C::default()));
    let mut head = Vec::new();
    let mut bytes = 0;
    while let Some(chunk) = body.chunk().await? {
        let room = HEAD_BYTES_MAX - head.len();
        head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        bytes += chunk.len() as u64;
        // Once it cannot be decoded, only its size still matters.
        if let Ok(Err(undecodable)) = reader.as_mut().map(|reader| reader.push(&chunk)) {
            reader = Err(undecodable);
        }
    }
    let landed = match reader.and_then(LandingReader::finish) {
        Ok((records, quarantine)) => Landed { etag, records, quarantine, undecodable: None },
        Err(undecodable) => Landed {
            etag,
            records: C::default(),
            quarantine: Quarantine::whole_file(undecodable.name(), undecodable.to_string(), place, &head, bytes),
            undecodable: Some(undecodable),
        },
    };
    Ok(Some(landed))
}
