//! Finds the files that have a key, at a cost that follows the keys and not the files that ever landed.
//!
//! The usual upload of one phone has few keys: each gets an empty entry that names the file. An export has many: they are
//! listed in a bulk entry, which exports that land together share. An entry may say too much, never too little.

use crate::ReadingFiles;
use crate::Rule;
use aws::lake::Lake;
use aws::store::Version;
use bytes::Bytes;
use derivation::{Cache, Error, Inputs};
use lake::bulk_entry::BulkEntry;
use lake::hash::{KeyHash, content_name};
use lake::layout::{self, FileName, Place, Source};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Files with more keys than this are in a bulk entry instead of having an entry for each key.
pub const ENTRIES_MAX: usize = 16;

/// Whether so many keys are to be in a bulk entry.
pub(crate) fn is_bulk(keys: usize) -> bool {
    keys > ENTRIES_MAX
}

/// Enters keys of files, before they are announced.
pub(crate) async fn enter(
    lake: &Lake,
    source: Source,
    files: impl IntoIterator<Item = (&FileName, Vec<KeyHash>)>,
) -> Result<(), Error> {
    let (mut entries, mut bulk) = (Vec::new(), Vec::new());
    for (file, keys) in files {
        match is_bulk(keys.len()) {
            true => bulk.push((file.clone(), keys.into_iter())),
            false => {
                entries.extend(keys.into_iter().map(|key| (layout::index_entry(source, key, file), Bytes::new())));
            }
        }
    }
    if !bulk.is_empty() {
        let body = BulkEntry::encode(bulk).map_err(Error::corrupt(lake.at(layout::bulk_index(source))))?;
        entries.push((layout::bulk_entry(source, &content_name(&body)), body));
    }
    // Lost: it is there already.
    let puts = entries.into_iter().map(async |(key, body)| lake.store.put(&lake.at(key), body, &Version::Absent).await);
    aws::all(puts).await?;
    Ok(())
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
        // All entries together may be more than fits into memory.
        let read = bulk.objects.into_keys().map(async |key| {
            let entry = bulk_entry(lake, &self.bulk, lake.at(key)).await?;
            Ok::<_, Error>(entry.iter().flat_map(|entry| entry.files_with(keys)).cloned().collect::<Vec<FileName>>())
        });
        files.extend(aws::all(read).await?.into_iter().flatten());
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
            let entry = inputs.listed(&self.bulk, &place, &etag, BulkEntry::decode).await?;
            files.extend(entry.iter().flat_map(|entry| entry.files_with(keys).cloned()));
        }
        Ok(files)
    }
}

/// The bulk entry at `place`, which is never changed.
async fn bulk_entry(lake: &Lake, cache: &Cache<BulkEntry>, place: Place) -> Result<Option<Arc<BulkEntry>>, Error> {
    if let Some((_, entry)) = cache.get(&place) {
        return Ok(Some(entry));
    }
    Ok(cache.read(&lake.store, &place, BulkEntry::decode).await?.map(|(_, entry)| entry))
}
