//! Finds the files that have a key, at a cost that follows the keys and not the files that ever landed.
//!
//! The usual upload of one phone has few keys: each gets an empty entry that names the file. An export has many: they are
//! listed in a segments entry, which exports that land together share. An entry may say too much, never too little.
//!
//! A key may be in any segments entry, and there are more of them every day. So when a change of trust had to
//! read many, they are [compacted](ReadingFiles::compact) by parts of the keys; what is compacted says which entries it has everything
//! of, and only the others are read.

use crate::ReadingFiles;
use crate::Rule;
use bytes::Bytes;
use engine::{Error, Inputs};
use formats::compacted_segment::CompactedSegment;
use formats::index_segment::IndexSegment;
use model::hash::{IndexPart, KeyHash, content_name};
use model::layout::{self, FileName, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Version;
use store::lake::Lake;

/// When the index takes which form. The files that are found are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files with more keys than this are in a segments entry instead of having an entry for each key.
    pub entries_max: usize,
    /// So many keys are looked for one by one. For more, one look at all entries is cheaper, as long as those are few.
    pub keys_max: usize,
    /// So many segments entries are read one by one; of more, it is worth to merge them.
    pub pending_max: usize,
}

/// Those of a lake that is not made for a test.
pub const LIMITS: Limits = Limits { entries_max: 16, keys_max: 8, pending_max: 16 };

/// So many entries are read at once to be compacted,
const READ_AT_ONCE: usize = 16;
/// and compacted together up to about so many bytes, so that they fit into memory.
const ROUND_BYTES: usize = 16 << 20;

/// The names of segments entries that were read since nothing compacted has them.
#[derive(Debug, Default)]
pub struct PendingCompaction(Vec<String>);

impl Limits {
    /// Whether so many keys are to be in a segments entry.
    pub(crate) fn needs_segment(self, keys: usize) -> bool {
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
    let (mut entries, mut segments) = (Vec::new(), Vec::new());
    for (file, keys) in files {
        match limits.needs_segment(keys.len()) {
            true => segments.push((file.clone(), keys.into_iter())),
            false => {
                entries.extend(keys.into_iter().map(|key| (layout::index_entry(source, key, file), Bytes::new())));
            }
        }
    }
    if !segments.is_empty() {
        let body = IndexSegment::encode(segments).map_err(Error::corrupt(lake.at(layout::index_segments(source))))?;
        entries.push((layout::index_segment(source, &content_name(&body)), body));
    }
    // Lost: it is there already.
    let puts = entries.into_iter().map(async |(key, body)| lake.store.put(&lake.at(key), body, &Version::Absent).await);
    store::try_join_bounded(puts).await?;
    Ok(())
}

impl<R: Rule> ReadingFiles<R> {
    /// The files that have, or once had, readings of any of `keys`, and what had to be read for that without being compacted.
    pub async fn files_with(&self, keys: &BTreeSet<KeyHash>) -> Result<(BTreeSet<FileName>, PendingCompaction), Error> {
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
                store::try_join_bounded(lists)
                    .await?
                    .into_iter()
                    .flat_map(|listing| listing.objects.into_keys())
                    .collect()
            }
        };
        let entries = entries.iter().filter_map(|entry| layout::parse_index_entry(Self::SOURCE, entry));
        let mut files: BTreeSet<FileName> =
            entries.filter(|(key, _)| keys.contains(key)).map(|(_, file)| file).collect();

        let segments = lake.store.list(bucket, &layout::index_segments(Self::SOURCE), true).await?;
        let (in_segments, pending) = self.in_segments(keys, segments.objects.keys()).await?;
        files.extend(in_segments);
        Ok((files, pending))
    }

    /// As [`Self::files_with`], with what may change of that among the `inputs`.
    pub async fn files_with_among(
        &self,
        keys: &BTreeSet<KeyHash>,
        inputs: &Inputs<'_>,
    ) -> Result<BTreeSet<FileName>, Error> {
        let prefixes: Vec<String> = keys.iter().map(|key| layout::index_of_key(Self::SOURCE, *key)).collect();
        let listings = store::try_join_bounded(prefixes.iter().map(|prefix| inputs.list(prefix))).await?;
        let entries = listings.iter().flat_map(|listing| listing.objects.keys());
        let entries = entries.filter_map(|entry| layout::parse_index_entry(Self::SOURCE, entry));
        let mut files: BTreeSet<FileName> = entries.map(|(_, file)| file).collect();
        // The list is what is checked again: entries never change, and what is compacted of them is never wrong.
        let segments = inputs.list(&layout::index_segments(Self::SOURCE)).await?;
        files.extend(self.in_segments(keys, segments.objects.keys()).await?.0);
        Ok(files)
    }

    /// The files that have any of `keys` by these segments entries, and those of the entries that are not compacted.
    async fn in_segments(
        &self,
        keys: &BTreeSet<KeyHash>,
        entries: impl ExactSizeIterator<Item = &String>,
    ) -> Result<(BTreeSet<FileName>, PendingCompaction), Error> {
        let names =
            entries.filter_map(|key| key.strip_prefix(&layout::index_segments(Self::SOURCE)).map(str::to_owned));
        let mut pending: Vec<String> = names.collect();
        let mut files = BTreeSet::new();
        if pending.len() > self.limits.pending_max {
            let mut parts: BTreeMap<IndexPart, BTreeSet<KeyHash>> = BTreeMap::new();
            for key in keys {
                parts.entry(key.index_part()).or_default().insert(*key);
            }
            let names = Arc::new(std::mem::take(&mut pending));
            // All parts together may be more than fits into memory, too.
            let searched = parts.into_iter().map(|(part, keys)| {
                let (files, names) = (self.clone(), names.clone());
                async move {
                    let (_, compacted) = files.compacted_segment(part).await?;
                    let found: Vec<FileName> = compacted.files_with(&keys).into_iter().cloned().collect();
                    #[cfg(feature = "broken")]
                    if engine::broken::is(engine::broken::Broken::ReadsOnlyCompacted) {
                        return Ok((found, Vec::new()));
                    }
                    let others = names.iter().filter(|name| !compacted.has(name)).cloned();
                    Ok::<_, Error>((found, others.collect::<Vec<String>>()))
                }
            });
            let mut others = BTreeSet::new();
            for searched in store::join_bounded(searched).await {
                let (found, not_merged) = searched?;
                files.extend(found);
                others.extend(not_merged);
            }
            pending.extend(others);
        }
        // All entries together may be more than fits into memory.
        let read = pending.iter().map(async |name| {
            let entry = self.index_segment(name).await?;
            Ok::<_, Error>(entry.iter().flat_map(|entry| entry.files_with(keys)).cloned().collect::<Vec<FileName>>())
        });
        files.extend(store::try_join_bounded(read).await?.into_iter().flatten());
        Ok((files, PendingCompaction(pending)))
    }

    /// Merges entries, if they are so many that it is worth it; perhaps not all at once. Nothing but the cost of the next
    /// search depends on it, so it comes last.
    ///
    /// If another function changes a part meanwhile, that part is left as it is.
    pub async fn compact(&self, PendingCompaction(entries): PendingCompaction) -> Result<(), Error> {
        if entries.len() <= self.limits.pending_max {
            return Ok(());
        }
        let (mut round, mut bytes) = (Vec::new(), 0);
        for names in entries.chunks(READ_AT_ONCE) {
            let read = names.iter().map(async |name| Ok::<_, Error>((name.clone(), self.index_segment(name).await?)));
            for (name, entry) in store::try_join_bounded(read).await? {
                let Some(entry) = entry else { continue };
                bytes += entry.size();
                round.push((name, entry));
            }
            // What is left is compacted after the next search.
            if bytes > ROUND_BYTES {
                break;
            }
        }
        self.compact_all(round).await
    }

    async fn compact_all(&self, entries: Vec<(String, Arc<IndexSegment>)>) -> Result<(), Error> {
        let entries = Arc::new(entries);
        let parts = IndexPart::all().map(|part| {
            let (files, entries) = (self.clone(), entries.clone());
            async move {
                let (version, compacted) = files.compacted_segment(part).await?;
                let entries: Vec<_> = entries.iter().map(|(name, entry)| (name.as_str(), entry.as_ref())).collect();
                let Some(compacted) = compacted.with(part, &entries) else { return Ok(()) };
                let at = files.lake().at(layout::compacted_segment(Self::SOURCE, part));
                let body = compacted.encode().map_err(Error::corrupt(at.clone()))?;
                files.lake().store.put(&at, body, &version).await?;
                Ok::<(), Error>(())
            }
        });
        store::join_bounded(parts).await.into_iter().collect()
    }

    /// What is compacted of one part of the keys. If that cannot be read, it is as if nothing were: the entries are all there.
    async fn compacted_segment(&self, part: IndexPart) -> Result<(Version, Arc<CompactedSegment>), Error> {
        let at = self.lake().at(layout::compacted_segment(Self::SOURCE, part));
        match self.compacted.read(&self.lake().store, &at, CompactedSegment::decode).await {
            Ok(Some((etag, compacted))) => Ok((Version::Etag(etag), compacted)),
            Ok(None) => Ok((Version::Absent, Arc::default())),
            Err(error @ Error::Corrupt { .. }) => {
                let error = store::with_causes(&error);
                tracing::warn!(error, "what is compacted of the index cannot be read, and will be compacted again");
                Ok((self.lake().store.version(&at).await?, Arc::default()))
            }
            Err(error) => Err(error),
        }
    }

    /// A segments entry, which is never changed.
    async fn index_segment(&self, name: &str) -> Result<Option<Arc<IndexSegment>>, Error> {
        let at = self.lake().at(layout::index_segment(Self::SOURCE, name));
        if let Some((_, entry)) = self.segments.get(&at) {
            return Ok(Some(entry));
        }
        Ok(self.segments.read(&self.lake().store, &at, IndexSegment::decode).await?.map(|(_, entry)| entry))
    }
}
