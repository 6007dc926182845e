//! Writes cells: merges landing files into them, and filters them by changed consents.

use crate::customers::Customers;
use crate::work::Rework;
use crate::{Ingestion, ReadingFiles, Rule};
use engine::{ATTEMPTS_MAX, Error};
use foldhash::fast::FixedState;
use formats::cell::{self, Cell, Entry, ShardVersions};
use formats::customer_shard::Owner;
use formats::reading::{EligibleReading, Key, Reading, Row};
use model::hash::{HashKey, KeyHash};
use model::layout::{self, FileId, ObjectLocation};
use model::slice::Slice;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use store::{Change, Snapshot, compare_and_swap};

/// What became of the readings of a landing file in one cell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowCounts {
    pub(crate) kept: u64,
    /// They belong to no eligible customer.
    pub(crate) not_eligible: u64,
    /// They are earlier than the consent.
    pub(crate) before_consent: u64,
}

/// What became of a landing file in one cell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// Its entry is what its generation says.
    Merged(RowCounts),
    /// The cell has an entry of this later generation.
    Superseded(u64),
}

/// A cell after files were merged into it.
pub(crate) struct Merged {
    /// The cell's key.
    pub(crate) key: String,
    pub(crate) slice: Slice,
    /// What became of each file, by its position.
    pub(crate) files: Vec<(usize, Outcome)>,
    /// The versions of the shards that decided.
    pub(crate) consents: ShardVersions,
    pub(crate) had_rows: bool,
    pub(crate) is_written: bool,
}

/// The keys of a landing file, and its readings in one cell.
type FileReadings<'a, R> = (&'a [Key], &'a [Row<<R as Reading>::Value>]);

/// What to do after an attempt to change a cell.
enum Step<T> {
    Done(T),
    /// The cell was filtered by newer consents.
    Behind,
}

impl<R: Rule> ReadingFiles<R> {
    /// Gives each of `files`, which are positions in `batch`, its entry in one cell.
    pub(crate) async fn merge(
        &self,
        slice: Slice,
        files: Vec<usize>,
        batch: Arc<Vec<Ingestion<R>>>,
        mut customers: Arc<Customers<R>>,
    ) -> Result<Merged, Error> {
        let key = layout::cell(R::Reading::TRUSTED, slice);
        let at = self.lake().at(key.as_str());
        for _ in 0..ATTEMPTS_MAX {
            let mut entries = Vec::new();
            for position in &files {
                let item = &batch[*position];
                entries.push((*position, item, self.entry(item, slice, &customers)?));
            }
            let (_, step) = compare_and_swap(&self.lake().store, &at, None, |snapshot| {
                let stored = decode::<R>(&at, &snapshot)?;
                if customers.are_behind(&stored) {
                    return Ok::<_, Error>(Change::Keep(Step::Behind));
                }
                let mut cell = stored.clone();
                let outcomes = entries
                    .iter()
                    .map(|(position, item, (entry, counts))| (*position, set_entry(&mut cell, item, entry, *counts)));
                let files = outcomes.collect();
                let is_written = cell.entries != stored.entries;
                let merged = Merged {
                    key: key.clone(),
                    slice,
                    files,
                    consents: customers.versions(),
                    had_rows: stored.had_rows || cell.has_rows(),
                    is_written,
                };
                match is_written {
                    true => Ok(Change::Put(cell.encode().map_err(Error::corrupt(at.clone()))?, Step::Done(merged))),
                    false => Ok(Change::Keep(Step::Done(merged))),
                }
            })
            .await?;
            match step {
                Step::Done(merged) => return Ok(merged),
                Step::Behind => {
                    customers = self.customers(Self::keys_of(files.iter().map(|file| &batch[*file]))).await?
                }
            }
        }
        Err(Error::Contended { location: at })
    }

    fn times_of(&self, slice: Slice) -> Range<i64> {
        self.lake().config().slices_per_hour.times_of(slice)
    }

    /// Returns the keys of files.
    pub(crate) fn keys_of<'a>(files: impl Iterator<Item = &'a Ingestion<R>>) -> Vec<KeyHash> {
        let contents = files.filter_map(|item| item.content.as_ref());
        contents.flat_map(|content| content.readings.keys()).map(|key| key.hash).collect()
    }

    /// Returns the entry of a file in one cell, by the file's content; an empty one for a deleted file.
    fn entry(&self, item: &Ingestion<R>, slice: Slice, customers: &Customers<R>) -> Result<(Entry, RowCounts), Error> {
        let (keys, rows): (&[Key], &[Row<_>]) = match &item.content {
            Some(content) => (content.readings.keys(), content.readings.at(self.times_of(slice))),
            None => (&[], &[]),
        };
        let (mut counts, mut eligible) = (RowCounts::default(), Vec::with_capacity(rows.len()));
        let mut owners: HashMap<u32, Option<Owner<'_>>, FixedState> = HashMap::default();
        let policy = self.lake().config().consent_policy;
        for row in rows {
            let key = &keys[row.key as usize];
            let owner = match owners.get(&row.key) {
                Some(owner) => *owner,
                None => {
                    let owner = customers.owner(key);
                    owners.insert(row.key, owner);
                    owner
                }
            };
            match owner {
                None => counts.not_eligible += 1,
                Some(owner) if !policy.admits(row.time_ms, owner.since_ms) => counts.before_consent += 1,
                Some(owner) => eligible.push(EligibleReading {
                    key: key.text.as_str(),
                    owner: owner.email,
                    time_ms: row.time_ms,
                    value: row.value,
                }),
            }
        }
        counts.kept = eligible.len() as u64;
        let rows = cell::rows::<R::Reading>(&eligible).map_err(Error::corrupt(item.location.clone()))?;
        Ok((Entry { generation: item.generation, rows }, counts))
    }

    /// Filters one cell by changed consents, and restores the rows that they admit again. Returns whether it has, or had, rows.
    pub(crate) async fn rework(&self, slice: Slice, work: Arc<Rework<R>>) -> Result<bool, Error> {
        let at = self.lake().at(layout::cell(R::Reading::TRUSTED, slice));
        let mut customers = work.customers.clone();
        for _ in 0..ATTEMPTS_MAX {
            let (_, step) = compare_and_swap(&self.lake().store, &at, None, |snapshot| {
                let stored = decode::<R>(&at, &snapshot)?;
                if customers.are_behind(&stored) {
                    return Ok::<_, Error>(Change::Keep(Step::Behind));
                }
                let mut cell = stored.clone();
                self.rework_entries(&mut cell, slice, &work, &customers)?;
                // The fence: a slow function that holds older consents must not find the cell as it read it.
                let needs_fence = work.changed.iter().any(|(shard, changed)| stored.consent(*shard) < *changed);
                #[cfg(feature = "broken")]
                let needs_fence = needs_fence && !engine::broken::is(engine::broken::Broken::NoFence);
                let had_rows = stored.had_rows || cell.has_rows();
                if !needs_fence && cell.entries == stored.entries {
                    return Ok(Change::Keep(Step::Done(had_rows)));
                }
                for (shard, version) in customers.versions() {
                    if work.changed.contains_key(&shard) {
                        cell.consents.insert(shard, version);
                    }
                }
                Ok(Change::Put(cell.encode().map_err(Error::corrupt(at.clone()))?, Step::Done(had_rows)))
            })
            .await?;
            match step {
                Step::Done(had_rows) => return Ok(had_rows),
                Step::Behind => {
                    customers =
                        self.customers(work.cells.values().flat_map(|keys| keys.keys()).copied().collect()).await?
                }
            }
        }
        Err(Error::Contended { location: at })
    }

    fn rework_entries(
        &self,
        cell: &mut Cell,
        slice: Slice,
        work: &Rework<R>,
        customers: &Customers<R>,
    ) -> Result<(), Error> {
        let Some(changed) = work.cells.get(&slice) else { return Ok(()) };
        let (mut known, scope) =
            (KnownKeys::new(self.lake().hash_key()), Scope { changed, eligible: &work.eligible, customers });
        for (file, entry) in &mut cell.entries {
            let fresh = work.files.get(file).filter(|fresh| entry.generation <= fresh.generation);
            let fresh = fresh.map(|fresh| (fresh.readings.keys(), fresh.readings.at(self.times_of(slice))));
            if let Some(rows) = self.rework_rows(entry, fresh, &scope, &mut known)? {
                entry.rows = rows;
            }
        }
        for (file, fresh) in work.files.iter().filter(|(file, _)| !cell.entries.contains_key(file)).collect::<Vec<_>>()
        {
            let rows = fresh.readings.at(self.times_of(slice));
            if rows.is_empty() {
                continue;
            }
            let none = cell::rows::<R::Reading>(&[]).map_err(Error::corrupt(self.lake().at("")))?;
            let mut entry = Entry { generation: fresh.generation, rows: none };
            let rows = self.rework_rows(&entry, Some((fresh.readings.keys(), rows)), &scope, &mut known)?;
            if let Some(rows) = rows.filter(|rows| rows.num_rows() > 0) {
                entry.rows = rows;
                cell.entries.insert(*file, entry);
            }
        }
        Ok(())
    }

    /// Computes the rows of an entry whose consents changed: of a file that could be read from the file, and else from the
    /// entry's own rows, of which it can only remove some. None if no row is concerned.
    fn rework_rows(
        &self,
        entry: &Entry,
        fresh: Option<FileReadings<'_, R::Reading>>,
        Scope { changed, eligible, customers }: &Scope<'_, R>,
        known: &mut KnownKeys<'_>,
    ) -> Result<Option<arrow_array::RecordBatch>, Error> {
        let policy = self.lake().config().consent_policy;
        let stored: Vec<_> = (0..entry.rows.num_rows()).map(|row| R::Reading::stored(&entry.rows, row)).collect();
        let keys: Vec<Arc<Key>> = stored.iter().map(|stored| known.key_of::<R::Reading>(stored.key)).collect();
        let concerned: Vec<bool> = keys.iter().map(|key| changed.contains_key(&key.hash)).collect();
        if !concerned.contains(&true) && fresh.is_none_or(|(_, rows)| rows.is_empty()) {
            return Ok(None);
        }
        let mut rows = Vec::with_capacity(stored.len());
        for ((stored, key), concerned) in stored.iter().zip(&keys).zip(concerned) {
            // Rows of the other keys were not read from the file.
            let keeps_own = fresh.is_none() || !eligible.contains(&key.hash);
            #[cfg(feature = "broken")]
            if keeps_own && engine::broken::is(engine::broken::Broken::NoFilterOfOwnRows) {
                rows.push(EligibleReading { key: key.text.as_str(), ..*stored });
                continue;
            }
            match concerned {
                false => rows.push(EligibleReading { key: key.text.as_str(), ..*stored }),
                true if keeps_own => {
                    let owner = customers.owner(key).filter(|owner| policy.admits(stored.time_ms, owner.since_ms));
                    rows.extend(owner.map(|owner| EligibleReading {
                        key: key.text.as_str(),
                        owner: owner.email,
                        ..*stored
                    }));
                }
                true => {}
            }
        }
        if let Some((keys, fresh)) = fresh {
            for row in fresh {
                let key = &keys[row.key as usize];
                if !changed.contains_key(&key.hash) {
                    continue;
                }
                let owner = customers.owner(key).filter(|owner| policy.admits(row.time_ms, owner.since_ms));
                rows.extend(owner.map(|owner| EligibleReading {
                    key: key.text.as_str(),
                    owner: owner.email,
                    time_ms: row.time_ms,
                    value: row.value,
                }));
            }
        }
        // The order of a landing file's readings.
        rows.sort_by(|a, b| {
            let order = a.time_ms.cmp(&b.time_ms).then_with(|| a.key.cmp(b.key));
            order.then_with(|| R::Reading::cmp_values(&a.value, &b.value))
        });
        cell::rows::<R::Reading>(&rows).map(Some).map_err(Error::corrupt(self.lake().at("")))
    }
}

/// What of a cell is reworked.
struct Scope<'a, R: Rule> {
    /// The keys whose consent changed, and that the cell has.
    changed: &'a BTreeMap<KeyHash, BTreeSet<FileId>>,
    /// The keys whose files were read.
    eligible: &'a BTreeSet<KeyHash>,
    customers: &'a Customers<R>,
}

/// Gives a file its entry, unless the cell has one of a later generation.
fn set_entry<R: Rule>(cell: &mut Cell, item: &Ingestion<R>, entry: &Entry, counts: RowCounts) -> Outcome {
    let stored = cell.entries.get(&item.file).map(|stored| stored.generation);
    let is_empty = entry.rows.num_rows() == 0;
    match stored {
        #[cfg(feature = "broken")]
        Some(later) if later > item.generation && engine::broken::is(engine::broken::Broken::NoGeneration) => {}
        // A deleted file keeps its rows; only rows of a version that was replaced before it was deleted go.
        Some(same) if item.content.is_none() && same >= item.generation => return Outcome::Merged(counts),
        Some(later) if later > item.generation => return Outcome::Superseded(later),
        // The first version needs no entry without rows. A later one does: a slow function may still hold rows of the first.
        None if is_empty && item.generation == 1 => return Outcome::Merged(counts),
        _ => {}
    }
    cell.entries.insert(item.file, entry.clone());
    Outcome::Merged(counts)
}

fn decode<R: Rule>(at: &ObjectLocation, snapshot: &Snapshot) -> Result<Cell, Error> {
    let table = R::Reading::TRUSTED;
    match snapshot.body.clone() {
        Some(body) => Cell::decode(table, body).map_err(Error::corrupt(at.clone())),
        None => Ok(Cell::empty(table)),
    }
}

/// The identities of the keys of stored rows. A cell has few keys and many rows.
struct KnownKeys<'a> {
    hash_key: &'a HashKey,
    keys: HashMap<String, Arc<Key>, FixedState>,
}

impl<'a> KnownKeys<'a> {
    fn new(hash_key: &'a HashKey) -> Self {
        Self { hash_key, keys: HashMap::default() }
    }

    fn key_of<R: Reading>(&mut self, spelled: &str) -> Arc<Key> {
        if let Some(key) = self.keys.get(spelled) {
            return key.clone();
        }
        let text = R::identity(spelled).into_owned();
        let key = Arc::new(Key { hash: self.hash_key.of(&text), text });
        self.keys.insert(spelled.to_owned(), key.clone());
        key
    }
}
