//! The key index: finds the landing files that have a key, and the slices in which they have it. Its cost grows with the keys
//! and not with all files. A [`FileSlice`] is a landing file in one of its slices.
//!
//! The upload of one phone has few keys. Each key gets an index entry: an empty object whose name has the key's hash, the
//! slice and the file. An export has many keys. They are listed in an index segment, which exports of one batch share. The
//! index may name a file without the key, but it never misses one with it.
//!
//! Any segment may have a key, and their number grows. So when a search has to read many, it
//! [compacts](ReadingFiles::compact) them by range of hashes. A compacted segment names the segments that it contains; a
//! search reads only the others.

use crate::{Limits, ReadingFiles, Rule};
use bytes::Bytes;
use engine::Error;
use formats::compacted_segment::CompactedSegment;
use formats::index_segment::IndexSegment;
use model::hash::{IndexPart, KeyHash, content_name};
use model::layout::{self, FileSlice, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Version;
use store::lake::Lake;

/// How many segments compaction reads at once.
const SEGMENTS_AT_ONCE: usize = 16;
/// About how many bytes one compaction takes, so that they fit into memory.
const COMPACTION_BYTES: usize = 16 << 20;

/// The file slices that a search found, each with a key that it has.
pub type Found = BTreeSet<(FileSlice, KeyHash)>;

/// The names of segments that a search had to read because no compacted segment has them.
#[derive(Debug, Default)]
pub struct PendingCompaction(Vec<String>);

impl Limits {
    /// Whether a file with these keys is in a segment.
    pub(crate) fn needs_segment(self, file_slices: &[(FileSlice, Vec<KeyHash>)]) -> bool {
        file_slices.iter().map(|(_, keys)| keys.len()).sum::<usize>() > self.entries_max
    }
}

/// Adds the keys of files, before their rows are written.
pub(crate) async fn add(
    lake: &Lake,
    limits: Limits,
    source: Source,
    files: &[Vec<(FileSlice, Vec<KeyHash>)>],
) -> Result<(), Error> {
    let (mut entries, mut segments) = (Vec::new(), Vec::new());
    for file_slices in files {
        match limits.needs_segment(file_slices) {
            true => segments.extend(file_slices.iter().map(|(file_slice, keys)| (*file_slice, keys.iter().copied()))),
            false => entries.extend(file_slices.iter().flat_map(|(file_slice, keys)| {
                keys.iter().map(|key| (layout::index_entry(source, *key, *file_slice), Bytes::new()))
            })),
        }
    }
    if !segments.is_empty() {
        let body = IndexSegment::encode(segments).map_err(Error::corrupt(lake.at(layout::index_segments(source))))?;
        entries.push((layout::index_segment(source, &content_name(&body)), body));
    }
    // A conflict: the entry exists.
    let puts = entries.into_iter().map(async |(key, body)| lake.store.put(&lake.at(key), body, &Version::Absent).await);
    store::try_join_bounded(puts).await?;
    Ok(())
}

impl<R: Rule> ReadingFiles<R> {
    /// Finds the file slices that have, or once had, readings of any of `keys`. Also returns the segments that it had to read.
    pub async fn file_slices_with(&self, keys: &BTreeSet<KeyHash>) -> Result<(Found, PendingCompaction), Error> {
        if keys.is_empty() {
            return Ok(Default::default());
        }
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
        let mut found: Found = entries.filter(|(key, _)| keys.contains(key)).map(|(key, at)| (at, key)).collect();

        let segments = lake.store.list(bucket, &layout::index_segments(Self::SOURCE), true).await?;
        let (in_segments, pending) = self.in_segments(keys, segments.objects.keys()).await?;
        found.extend(in_segments);
        Ok((found, pending))
    }

    /// Finds the file slices that have any of `keys` in these segments. Also returns the segments that are not compacted.
    async fn in_segments(
        &self,
        keys: &BTreeSet<KeyHash>,
        segments: impl ExactSizeIterator<Item = &String>,
    ) -> Result<(Found, PendingCompaction), Error> {
        let names =
            segments.filter_map(|key| key.strip_prefix(&layout::index_segments(Self::SOURCE)).map(str::to_owned));
        let mut pending: Vec<String> = names.collect();
        let mut found = Found::new();
        if pending.len() > self.limits.pending_max {
            let mut parts: BTreeMap<IndexPart, BTreeSet<KeyHash>> = BTreeMap::new();
            for key in keys {
                parts.entry(key.index_part()).or_default().insert(*key);
            }
            let names = Arc::new(std::mem::take(&mut pending));
            // A task for each part, since all compacted segments may not fit into memory together.
            let searches = parts.into_iter().map(|(part, keys)| {
                let (index, names) = (self.clone(), names.clone());
                async move {
                    let (_, compacted) = index.compacted_segment(part).await?;
                    let found: Vec<_> = compacted.file_slices_with(&keys).map(|(key, at)| (at, key)).collect();
                    #[cfg(feature = "broken")]
                    if engine::broken::is(engine::broken::Broken::ReadsOnlyCompacted) {
                        return Ok((found, Vec::new()));
                    }
                    let others = names.iter().filter(|name| !compacted.has(name)).cloned();
                    Ok::<_, Error>((found, others.collect::<Vec<String>>()))
                }
            });
            let mut others = BTreeSet::new();
            for search in store::join_bounded(searches).await {
                let (of_part, not_compacted) = search?;
                found.extend(of_part);
                others.extend(not_compacted);
            }
            pending.extend(others);
        }
        // Each segment is searched as soon as it is read, since all of them may not fit into memory together.
        let searches = pending.iter().map(async |name| {
            let segment = self.index_segment(name).await?;
            let found = segment.iter().flat_map(|segment| segment.file_slices_with(keys)).map(|(key, at)| (at, key));
            Ok::<_, Error>(found.collect::<Vec<_>>())
        });
        found.extend(store::try_join_bounded(searches).await?.into_iter().flatten());
        Ok((found, PendingCompaction(pending)))
    }

    /// Compacts segments if they are many; perhaps not all of them. Only the cost of the next search depends on this, so it
    /// comes last.
    ///
    /// Each compacted segment is put once. On a conflict, another function has compacted it, and the rest waits for the next
    /// search.
    pub async fn compact(&self, PendingCompaction(segments): PendingCompaction) -> Result<(), Error> {
        if segments.len() <= self.limits.pending_max {
            return Ok(());
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for names in segments.chunks(SEGMENTS_AT_ONCE) {
            let read = names.iter().map(async |name| Ok::<_, Error>((name.clone(), self.index_segment(name).await?)));
            for (name, segment) in store::try_join_bounded(read).await? {
                let Some(segment) = segment else { continue };
                bytes += segment.size();
                batch.push((name, segment));
            }
            // The rest waits for the next search.
            if bytes > COMPACTION_BYTES {
                break;
            }
        }
        self.compact_batch(batch).await
    }

    async fn compact_batch(&self, segments: Vec<(String, Arc<IndexSegment>)>) -> Result<(), Error> {
        let segments = Arc::new(segments);
        let parts = IndexPart::all().map(|part| {
            let (index, segments) = (self.clone(), segments.clone());
            async move {
                let (version, compacted) = index.compacted_segment(part).await?;
                let segments: Vec<_> =
                    segments.iter().map(|(name, segment)| (name.as_str(), segment.as_ref())).collect();
                let Some(compacted) = compacted.with(part, &segments) else { return Ok(()) };
                let at = index.lake().at(layout::compacted_segment(Self::SOURCE, part));
                let body = compacted.encode().map_err(Error::corrupt(at.clone()))?;
                index.lake().store.put(&at, body, &version).await?;
                Ok::<(), Error>(())
            }
        });
        store::join_bounded(parts).await.into_iter().collect()
    }

    /// Reads the compacted segment of one range of hashes. A damaged one counts as absent: all segments are still there.
    async fn compacted_segment(&self, part: IndexPart) -> Result<(Version, Arc<CompactedSegment>), Error> {
        let at = self.lake().at(layout::compacted_segment(Self::SOURCE, part));
        match self.compacted.read(&self.lake().store, &at, CompactedSegment::decode).await {
            Ok(Some((etag, compacted))) => Ok((Version::Etag(etag), compacted)),
            Ok(None) => Ok((Version::Absent, Arc::default())),
            Err(error @ Error::Corrupt { .. }) => {
                let error = store::with_causes(&error);
                tracing::warn!(error, "cannot read a compacted segment; compacting its segments again");
                Ok((self.lake().store.version(&at).await?, Arc::default()))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads an index segment, which never changes.
    async fn index_segment(&self, name: &str) -> Result<Option<Arc<IndexSegment>>, Error> {
        let at = self.lake().at(layout::index_segment(Self::SOURCE, name));
        if let Some((_, segment)) = self.segments.get(&at) {
            return Ok(Some(segment));
        }
        Ok(self.segments.read(&self.lake().store, &at, IndexSegment::decode).await?.map(|(_, segment)| segment))
    }
}
