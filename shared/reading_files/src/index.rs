//! Finds the files that have a key, at a cost that follows the keys and not the files that ever landed.
//!
//! The usual upload of one phone has few keys: each gets an empty entry that names the file. An export has many: it
//! gets one bulk entry that lists them. An entry may say too much, never too little.

use crate::ReadingFiles;
use crate::Rule;
use aws::lake::Lake;
use aws::store::{Read, Version};
use bytes::Bytes;
use derivation::{ATTEMPTS_MAX, Cache, Error, Inputs};
use lake::announcement::Announcement;
use lake::hash::KeyHash;
use lake::key_set::KeySet;
use lake::layout::{self, FileName, Place, Source};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Enters a file's keys, before they are announced.
pub(crate) async fn enter(
    lake: &Lake,
    source: Source,
    file: &FileName,
    before: Option<&Announcement>,
    announcement: &Announcement,
) -> Result<(), Error> {
    if announcement.is_bulk() {
        return enter_bulk(lake, source, file, before.is_none(), announcement).await;
    }
    let known: BTreeSet<KeyHash> = before.iter().flat_map(|before| before.hashes()).collect();
    let new: Vec<KeyHash> = announcement.hashes().filter(|key| !known.contains(key)).collect();
    let puts = new.into_iter().map(async |key| {
        let entry = lake.at(layout::index_entry(source, key, file));
        // Lost: it is there already.
        lake.store.put(&entry, Bytes::new(), &Version::Absent).await
    });
    aws::all(puts).await?;
    Ok(())
}

async fn enter_bulk(
    lake: &Lake,
    source: Source,
    file: &FileName,
    mut is_first: bool,
    announcement: &Announcement,
) -> Result<(), Error> {
    let place = lake.at(layout::bulk_entry(source, file));
    for _ in 0..ATTEMPTS_MAX {
        // Where nothing was announced there is no entry yet, unless its writer was killed: the put will tell.
        let (version, known) = match is_first {
            true => (Version::Absent, KeySet::default()),
            false => stored_bulk(lake, &place).await?,
        };
        let keys = known.with(announcement.hashes());
        if keys == known {
            return Ok(());
        }
        if lake.store.put(&place, keys.encode(), &version).await?.is_done() {
            return Ok(());
        }
        is_first = false;
    }
    Err(Error::Contended { place })
}

async fn stored_bulk(lake: &Lake, place: &Place) -> Result<(Version, KeySet), Error> {
    Ok(match lake.store.read(place, None).await? {
        Read::Found { etag, body } => {
            (Version::Etag(etag), KeySet::decode(body).map_err(Error::corrupt(place.clone()))?)
        }
        Read::Absent | Read::Unchanged => (Version::Absent, KeySet::default()),
    })
}

impl<R: Rule> ReadingFiles<R> {
    /// The files that have, or once had, readings of any of `keys`.
    pub async fn files_with(&self, keys: &BTreeSet<KeyHash>) -> Result<BTreeSet<FileName>, Error> {
        let (lake, bucket) = (self.lake(), self.lake().bucket());
        // While the index is small, one look at all of it is cheaper than one for each key.
        let all = lake.store.list(bucket, &layout::index(Self::SOURCE), false).await?;
        let mut entries = BTreeSet::new();
        if all.complete {
            entries.extend(all.objects.into_keys());
        } else {
            let prefixes: Vec<String> = keys.iter().map(|key| layout::index_of_key(Self::SOURCE, *key)).collect();
            let lists = prefixes.iter().map(|prefix| lake.store.list(bucket, prefix, true));
            entries.extend(aws::all(lists).await?.into_iter().flat_map(|listing| listing.objects.into_keys()));
        }
        let entries = entries.iter().filter_map(|entry| layout::parse_index_entry(Self::SOURCE, entry));
        let mut files: BTreeSet<FileName> =
            entries.filter(|(key, _)| keys.contains(key)).map(|(_, file)| file).collect();

        let bulk = lake.store.list(bucket, &layout::bulk_index(Self::SOURCE), true).await?;
        let bulk: Vec<(Place, String)> = bulk.objects.into_iter().map(|(key, etag)| (lake.at(key), etag)).collect();
        let read = bulk.iter().map(|(place, etag)| bulk_entry(lake, &self.bulk, place, etag));
        for ((place, _), entry) in bulk.iter().zip(aws::all(read).await?) {
            if entry.has_any(keys) {
                files.extend(layout::parse_bulk_entry(Self::SOURCE, &place.key));
            }
        }
        Ok(files)
    }

    /// As [`Self::files_with`], with everything that was looked at among the `inputs`.
    pub async fn files_with_among(
        &self,
        keys: &BTreeSet<KeyHash>,
        inputs: &Inputs<'_>,
    ) -> Result<BTreeSet<FileName>, Error> {
        let prefixes: Vec<String> = keys.iter().map(|key| layout::index_of_key(Self::SOURCE, *key)).collect();
        let listings = aws::all(prefixes.iter().map(|prefix| inputs.list(prefix))).await?;
        let entries = listings.iter().flat_map(|listing| listing.objects.keys());
        let entries = entries.filter_map(|entry| layout::parse_index_entry(Self::SOURCE, entry));
        let mut files: BTreeSet<FileName> = entries.map(|(_, file)| file).collect();
        for (key, etag) in inputs.list(&layout::bulk_index(Self::SOURCE)).await?.objects {
            let place = self.lake().at(key);
            let entry = inputs.listed(&self.bulk, &place, &etag, KeySet::decode).await?;
            if entry.is_some_and(|entry| entry.has_any(keys)) {
                files.extend(layout::parse_bulk_entry(Self::SOURCE, &place.key));
            }
        }
        Ok(files)
    }
}

/// The bulk entry at `place`, whose current version a list gave as `etag`.
async fn bulk_entry(lake: &Lake, cache: &Cache<KeySet>, place: &Place, etag: &str) -> Result<Arc<KeySet>, Error> {
    if let Some((_, entry)) = cache.get(place).filter(|(known, _)| known == etag) {
        return Ok(entry);
    }
    Ok(cache.read(&lake.store, place, KeySet::decode).await?.map(|(_, entry)| entry).unwrap_or_default())
}
