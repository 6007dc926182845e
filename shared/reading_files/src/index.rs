//! Finds the files that have a key, at a cost that follows the keys and not the files that ever landed.
//!
//! The usual upload of one phone has few keys: each gets an empty entry that names the file. An export has many: they are
//! listed in a bulk entry, which exports that land together share. An entry may say too much, never too little.
//!
//! A key may be in any bulk entry, and there are more of them every day. So when a change of trust had to
//! read many, they are [merged](ReadingFiles::merge) by parts of the keys; what is merged says which entries it has everything
//! of, and only the others are read.

use crate::ReadingFiles;
use crate::Rule;
use aws::lake::Lake;
use aws::store::Version;
use bytes::Bytes;
use derivation::{Error, Inputs};
use lake::bulk_entry::BulkEntry;
use lake::hash::{IndexPart, KeyHash, content_name};
use lake::layout::{self, FileName, Source};
use lake::merged_entries::MergedEntries;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// When the index takes which form. The files that are found are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files with more keys than this are in a bulk entry instead of having an entry for each key.
    pub entries_max: usize,
    /// So many keys are looked for one by one. For more, one look at all entries is cheaper, as long as those are few.
    pub keys_max: usize,
    /// So many bulk entries are read one by one; of more, it is worth to merge them.
    pub unmerged_max: usize,
}

/// Those of a lake that is not made for a test.
pub const LIMITS: Limits = Limits { entries_max: 16, keys_max: 8, unmerged_max: 16 };

/// So many entries are read at once to be merged,
const READ_AT_ONCE: usize = 16;
/// and merged together up to about so many bytes, so that they fit into memory.
const ROUND_BYTES: usize = 16 << 20;

/// The names of bulk entries that were read since nothing merged has them.
#[derive(Debug, Default)]
pub struct Unmerged(Vec<String>);

impl Limits {
    /// Whether so many keys are to be in a bulk entry.
    pub(crate) fn is_bulk(self, keys: usize) -> bool {
        keys > self.entries_max
    }
}

/// Enters keys of files, before they are announced.
pub(crate) async fn enter(
    lake: &Lake,
    limits: Limits,
    source: Source,
    files: impl IntoIterator<Item = (&FileName, Vec<KeyHash>)>,
) -> Result<(), Error> {
    let (mut entries, mut bulk) = (Vec::new(), Vec::new());
    for (file, keys) in files {
        match limits.is_bulk(keys.len()) {
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
    /// The files that have, or once had, readings of any of `keys`, and what had to be read for that without being merged.
    pub async fn files_with(&self, keys: &BTreeSet<KeyHash>) -> Result<(BTreeSet<FileName>, Unmerged), Error> {
        let (lake, bucket) = (self.lake(), self.lake().bucket());
        let all = match keys.len() > self.limits.keys_max {
            true => Some(lake.store.list(bucket, &layout::index(Self::SOURCE), false).await?),
            false => None,
        };
        let entries: BTreeSet<String> = match all.filter(|all| all.complete) {
            Some(all) => all.objects.into_keys().collect(),
            None => {
                let prefixes: Vec<String> = keys.iter().map(|key| layout::index_of_key(Self::SOURCE, *key)).collect();
                let lists = prefixes.iter().map(|prefix| lake.store.list(bucket, prefix, true));
                aws::all(lists).await?.into_iter().flat_map(|listing| listing.objects.into_keys()).collect()
            }
        };
        let entries = entries.iter().filter_map(|entry| layout::parse_index_entry(Self::SOURCE, entry));
        let mut files: BTreeSet<FileName> =
            entries.filter(|(key, _)| keys.contains(key)).map(|(_, file)| file).collect();

        let bulk = lake.store.list(bucket, &layout::bulk_index(Self::SOURCE), true).await?;
        let (in_bulk, unmerged) = self.in_bulk(keys, bulk.objects.keys()).await?;
        files.extend(in_bulk);
        Ok((files, unmerged))
    }

    /// As [`Self::files_with`], with what may change of that among the `inputs`.
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
        // The list is what is checked again: entries never change, and what is merged of them is never wrong.
        let bulk = inputs.list(&layout::bulk_index(Self::SOURCE)).await?;
        files.extend(self.in_bulk(keys, bulk.objects.keys()).await?.0);
        Ok(files)
    }

    /// The files that have any of `keys` by these bulk entries, and those of the entries that are not merged.
    async fn in_bulk(
        &self,
        keys: &BTreeSet<KeyHash>,
        entries: impl ExactSizeIterator<Item = &String>,
    ) -> Result<(BTreeSet<FileName>, Unmerged), Error> {
        let names = entries.filter_map(|key| key.strip_prefix(&layout::bulk_index(Self::SOURCE)).map(str::to_owned));
        let mut unmerged: Vec<String> = names.collect();
        let mut files = BTreeSet::new();
        if unmerged.len() > self.limits.unmerged_max {
            let mut parts: BTreeMap<IndexPart, BTreeSet<KeyHash>> = BTreeMap::new();
            for key in keys {
                parts.entry(key.index_part()).or_default().insert(*key);
            }
            let names = Arc::new(std::mem::take(&mut unmerged));
            // All parts together may be more than fits into memory, too.
            let searched = parts.into_iter().map(|(part, keys)| {
                let (files, names) = (self.clone(), names.clone());
                async move {
                    let (_, merged) = files.merged_entries(part).await?;
                    let found: Vec<FileName> = merged.files_with(&keys).into_iter().cloned().collect();
                    #[cfg(feature = "broken")]
                    if derivation::broken::is(derivation::broken::Broken::ReadsOnlyMerged) {
                        return Ok((found, Vec::new()));
                    }
                    let others = names.iter().filter(|name| !merged.has(name)).cloned();
                    Ok::<_, Error>((found, others.collect::<Vec<String>>()))
                }
            });
            let mut others = BTreeSet::new();
            for searched in aws::spread(searched).await {
                let (found, not_merged) = searched?;
                files.extend(found);
                others.extend(not_merged);
            }
            unmerged.extend(others);
        }
        // All entries together may be more than fits into memory.
        let read = unmerged.iter().map(async |name| {
            let entry = self.bulk_entry(name).await?;
            Ok::<_, Error>(entry.iter().flat_map(|entry| entry.files_with(keys)).cloned().collect::<Vec<FileName>>())
        });
        files.extend(aws::all(read).await?.into_iter().flatten());
        Ok((files, Unmerged(unmerged)))
    }

    /// Merges entries, if they are so many that it is worth it; perhaps not all at once. Nothing but the cost of the next
    /// search depends on it, so it comes last.
    ///
    /// If another function changes a part meanwhile, that part is left as it is.
    pub async fn merge(&self, Unmerged(entries): Unmerged) -> Result<(), Error> {
        if entries.len() <= self.limits.unmerged_max {
            return Ok(());
        }
        let (mut round, mut bytes) = (Vec::new(), 0);
        for names in entries.chunks(READ_AT_ONCE) {
            let read = names.iter().map(async |name| Ok::<_, Error>((name.clone(), self.bulk_entry(name).await?)));
            for (name, entry) in aws::all(read).await? {
                let Some(entry) = entry else { continue };
                bytes += entry.size();
                round.push((name, entry));
            }
            // What is left is merged after the next search.
            if bytes > ROUND_BYTES {
                break;
            }
        }
        self.merge_all(round).await
    }

    async fn merge_all(&self, entries: Vec<(String, Arc<BulkEntry>)>) -> Result<(), Error> {
        let entries = Arc::new(entries);
        let parts = IndexPart::all().map(|part| {
            let (files, entries) = (self.clone(), entries.clone());
            async move {
                let (version, merged) = files.merged_entries(part).await?;
                let entries: Vec<_> = entries.iter().map(|(name, entry)| (name.as_str(), entry.as_ref())).collect();
                let Some(merged) = merged.with(part, &entries) else { return Ok(()) };
                let at = files.lake().at(layout::merged_entries(Self::SOURCE, part));
                let body = merged.encode().map_err(Error::corrupt(at.clone()))?;
                files.lake().store.put(&at, body, &version).await?;
                Ok::<(), Error>(())
            }
        });
        aws::spread(parts).await.into_iter().collect()
    }

    /// What is merged of one part of the keys. If that cannot be read, it is as if nothing were: the entries are all there.
    async fn merged_entries(&self, part: IndexPart) -> Result<(Version, Arc<MergedEntries>), Error> {
        let at = self.lake().at(layout::merged_entries(Self::SOURCE, part));
        match self.merged.read(&self.lake().store, &at, MergedEntries::decode).await {
            Ok(Some((etag, merged))) => Ok((Version::Etag(etag), merged)),
            Ok(None) => Ok((Version::Absent, Arc::default())),
            Err(error @ Error::Corrupt { .. }) => {
                let error = aws::with_causes(&error);
                tracing::warn!(error, "what is merged of the index cannot be read, and will be merged again");
                Ok((self.lake().store.version(&at).await?, Arc::default()))
            }
            Err(error) => Err(error),
        }
    }

    /// A bulk entry, which is never changed.
    async fn bulk_entry(&self, name: &str) -> Result<Option<Arc<BulkEntry>>, Error> {
        let at = self.lake().at(layout::bulk_entry(Self::SOURCE, name));
        if let Some((_, entry)) = self.bulk.get(&at) {
            return Ok(Some(entry));
        }
        Ok(self.bulk.read(&self.lake().store, &at, BulkEntry::decode).await?.map(|(_, entry)| entry))
    }
}
