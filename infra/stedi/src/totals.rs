//! What a lake holds, told at the end of a run at the cost of what the run changed.
//!
//! To count everything costs by the history. So the totals are kept in the stack's own folder when a run ends. The next
//! one takes them away before it changes anything; unless the directories show that somebody else changed the lake since,
//! it adds what it stores itself, and keeps them again. After a run that did not end there are none.
//!
//! An object that was not there before is read and added. Where one more file writes an object anew, of a shard or of a
//! partition of training data, the totals know the rows that it had. That any other counted object is replaced is a change
//! of consent or of ownership, which touches much of the lake: then everything is counted.

use crate::directories::Directories;
use crate::report::{LandingCount, TableCount};
use crate::stack::Stack;
use crate::tables::{self, Counter};
use aws::BoxError;
use aws::settings::DATABASE;
use lake::layout::{self, Source};
use lake::table::Table;
use local::StoredObject;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The tables and the landing files, counted.
pub(crate) type Counts = (BTreeMap<&'static str, TableCount>, BTreeMap<&'static str, LandingCount>);

/// The derived tables without their partitions, and the landing files by their receipts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    tables: BTreeMap<Table, (Rows, Objects)>,
    landing: BTreeMap<Source, LandingCount>,
    /// By key, the rows of the objects that one more file writes anew.
    rewritten: HashMap<String, Rows>,
}

type Rows = u64;
type Objects = u64;

impl Totals {
    /// Adds an object of a derived table; false if it took the place of one whose rows are not known.
    #[must_use]
    pub(crate) fn add_object(&mut self, table: Table, key: String, rows: Rows, is_new: bool) -> bool {
        let known = if is_new { Some(0) } else { self.rewritten.get(&key).copied() };
        let (sum, objects) = self.tables.entry(table).or_default();
        let Some(others) = known.and_then(|known| sum.checked_sub(known)) else { return false };
        (*sum, *objects) = (others + rows, *objects + u64::from(is_new));
        if is_rewritten(table) {
            self.rewritten.insert(key, rows);
        }
        true
    }

    /// Adds a receipt that was not there before.
    pub(crate) fn add_receipt(&mut self, source: Source, count: LandingCount) {
        *self.landing.entry(source).or_default() += count;
    }
}

/// Whether a table's objects are those of shards or partitions, not of landing files.
const fn is_rewritten(table: Table) -> bool {
    matches!(table, Table::CustomerTrusted | Table::CustomerCurated | Table::MachineLearningCurated)
}

/// The totals as a run left them.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    bucket: String,
    totals: Totals,
    /// All those that hold counted objects.
    directories: Directories,
}

impl Kept {
    /// Takes away what is kept for the lake in `directory`.
    fn take(directory: &Path) -> Option<Self> {
        let bytes = fs::read(file(directory)).ok()?;
        fs::remove_file(file(directory)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps it for the next run. That it cannot be kept costs no more than that run's time.
    fn keep(&self, directory: &Path) {
        let Ok(bytes) = serde_json::to_vec(self) else { return };
        let new = directory.join(".stedi/counts.new");
        let _ = fs::write(&new, bytes).and_then(|()| fs::rename(&new, file(directory)));
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join(".stedi/counts")
}

/// What a key is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Object(Table),
    Receipt(Source),
}

impl Counted {
    fn of(key: &str) -> Option<Self> {
        let table = Table::DERIVED.into_iter().find(|table| tables::is_of(*table, key));
        let source = || Source::ALL.into_iter().find(|source| tables::is_receipt_of(*source, key));
        table.map(Self::Object).or_else(|| source().map(Self::Receipt))
    }
}

/// The prefixes of all that is counted.
fn prefixes() -> impl Iterator<Item = &'static str> {
    Table::DERIVED.into_iter().map(Table::prefix).chain([layout::RECEIPTS])
}

/// An object that this run stored, in its latest version.
#[derive(Debug)]
struct Stored {
    /// Whether it was not there when the run began.
    is_new: bool,
    bytes: u64,
    etag: String,
}

/// By key.
type AllStored = HashMap<String, Stored>;

/// The count of a lake, from the beginning of a run to its end.
pub(crate) struct Counting<'a> {
    stack: &'a Stack,
    directory: &'a Path,
    /// The totals as they were when the run began, if they are known.
    kept: Option<Kept>,
    stored: Arc<Mutex<AllStored>>,
}

impl<'a> Counting<'a> {
    /// Begins before anything in the lake in `directory` is changed.
    pub(crate) fn begin(stack: &'a Stack, directory: &'a Path) -> Self {
        let bucket = stack.lake.bucket().to_owned();
        let kept = Kept::take(directory);
        let kept = kept.filter(|kept| kept.bucket == bucket && kept.directories.are_unchanged(directory));
        let stored = Arc::new(Mutex::new(AllStored::new()));
        if kept.is_some() {
            let stored = stored.clone();
            stack.cloud.on_stored(move |object| {
                if object.bucket == bucket && prefixes().any(|prefix| object.key.starts_with(prefix)) {
                    note(&mut stored.lock().unwrap_or_else(PoisonError::into_inner), object);
                }
            });
        }
        Self { stack, directory, kept, stored }
    }

    /// Counts when nothing is changed any more.
    pub(crate) async fn end(mut self) -> Result<Counts, BoxError> {
        let stored = std::mem::take(&mut *self.stored.lock().unwrap_or_else(PoisonError::into_inner));
        let added = match self.kept.take() {
            Some(kept) => self.add(kept, stored).await?,
            None => None,
        };
        let kept = match added {
            Some(kept) => kept,
            None => self.count_all().await?,
        };
        kept.keep(self.directory);
        let Totals { tables, landing, .. } = kept.totals;
        let mut counts = BTreeMap::new();
        for table in Table::DERIVED {
            let (rows, objects) = tables.get(&table).copied().unwrap_or_default();
            let partitions = self.stack.cloud.partitions(DATABASE, table.name())? as u64;
            counts.insert(table.name(), TableCount { rows, objects, partitions });
        }
        let landing = Source::ALL.map(|source| (source.name(), landing.get(&source).copied().unwrap_or_default()));
        Ok((counts, landing.into()))
    }

    fn counter(&self) -> Counter {
        Counter { lake: self.stack.lake.clone(), files: Some(self.stack.cloud.clone()) }
    }

    async fn count_all(&self) -> Result<Kept, BoxError> {
        let bucket = self.stack.lake.bucket().to_owned();
        let roots = prefixes().map(|prefix| local::directory_of(&bucket, prefix));
        // Before anything is counted: what somebody changes by hand meanwhile is then noticed by the next run.
        let directories = Directories::below(self.directory, roots);
        let totals = tables::count_all(&self.counter(), self.directory).await?;
        Ok(Kept { bucket, totals, directories })
    }

    /// The totals with what was stored; none if only a count of everything can tell.
    async fn add(&self, mut kept: Kept, stored: AllStored) -> Result<Option<Kept>, BoxError> {
        let counter = self.counter();
        // Of the others the former times stay, so that a change by hand meanwhile is noticed by the next run.
        for directory in stored.keys().flat_map(|key| directories_of(&kept.bucket, key)).collect::<BTreeSet<_>>() {
            kept.directories.look_at(self.directory, directory);
        }
        let counted = stored.into_iter().filter_map(|(key, stored)| Some((Counted::of(&key)?, key, stored)));
        let counted: Vec<_> = counted.collect();
        if counted.iter().any(|(_, key, stored)| !stored.is_new && !kept.totals.rewritten.contains_key(key)) {
            return Ok(None);
        }
        let read = aws::all(counted.into_iter().map(async |(counted, key, stored)| match counted {
            Counted::Object(table) => {
                let rows = counter.rows_now(table, &key, stored.bytes, stored.etag).await?;
                Ok::<_, BoxError>(rows.map(|rows| Read::Object(table, key, rows, stored.is_new)))
            }
            Counted::Receipt(source) => Ok(counter.receipt(&key).await?.map(|count| Read::Receipt(source, count))),
        }));
        for read in read.await? {
            let is_added = match read {
                Some(Read::Object(table, key, rows, is_new)) => kept.totals.add_object(table, key, rows, is_new),
                Some(Read::Receipt(source, count)) => {
                    kept.totals.add_receipt(source, count);
                    true
                }
                // Somebody removed it by hand.
                None => false,
            };
            if !is_added {
                return Ok(None);
            }
        }
        Ok(Some(kept))
    }
}

/// What was read of a stored object.
enum Read {
    Object(Table, String, Rows, bool),
    Receipt(Source, LandingCount),
}

fn note(stored: &mut AllStored, object: &StoredObject) {
    // What the run's own first version of it replaced or did not is what counts.
    let is_new = stored.get(&object.key).map_or(!object.replaced, |earlier| earlier.is_new);
    let etag = format!("\"{}\"", object.etag);
    stored.insert(object.key.clone(), Stored { is_new, bytes: object.size, etag });
}

/// The directories whose times a put of `key` may have changed, down from that of its counted prefix.
fn directories_of(bucket: &str, key: &str) -> Vec<PathBuf> {
    let root = prefixes().find(|prefix| key.starts_with(prefix)).map(|prefix| local::directory_of(bucket, prefix));
    let directory = local::directory_of(bucket, key);
    let below = |path: &&Path| root.as_ref().is_some_and(|root| path.starts_with(root));
    directory.ancestors().take_while(below).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_object_adds_its_rows_and_itself() {
        let mut totals = Totals::default();
        assert!(totals.add_object(Table::AccelerometerTrusted, "a".into(), 3, true));
        assert!(totals.add_object(Table::AccelerometerTrusted, "b".into(), 4, true));
        assert_eq!(totals.tables, BTreeMap::from([(Table::AccelerometerTrusted, (7, 2))]));
        // There are as many as landing files, and hours in each: the totals must stay small.
        assert!(totals.rewritten.is_empty());
    }

    #[test]
    fn an_object_that_is_written_anew_adds_the_difference() {
        let mut totals = Totals::default();
        for (rows, is_new, sum) in [(5, true, 7), (9, false, 11), (1, false, 3)] {
            if is_new {
                assert!(totals.add_object(Table::MachineLearningCurated, "other".into(), 2, true));
            }
            assert!(totals.add_object(Table::MachineLearningCurated, "part".into(), rows, is_new));
            assert_eq!(totals.tables[&Table::MachineLearningCurated], (sum, 2));
        }
    }

    #[test]
    fn what_took_the_place_of_an_unknown_object_is_not_added() {
        let mut totals = Totals::default();
        assert!(totals.add_object(Table::StepTrainerTrusted, "a".into(), 3, true));
        assert!(!totals.add_object(Table::StepTrainerTrusted, "a".into(), 4, false));
        assert!(!totals.add_object(Table::CustomerTrusted, "b".into(), 4, false));
    }

    #[test]
    fn the_first_version_of_a_run_decides_whether_an_object_is_new() {
        let mut stored = AllStored::new();
        for (key, replaced, size) in [("new", false, 1), ("new", true, 2), ("old", true, 3), ("old", true, 4)] {
            let (bucket, key, etag) = ("stedi".into(), key.into(), size.to_string());
            note(&mut stored, &StoredObject { bucket, key, size, etag, replaced });
        }
        let told = |key: &str| (stored[key].is_new, stored[key].bytes, stored[key].etag.as_str());
        assert_eq!(told("new"), (true, 2, "\"2\""));
        assert_eq!(told("old"), (false, 4, "\"4\""));
    }

    #[test]
    fn keys_are_counted_as_what_they_are() {
        for (key, counted) in [
            ("customer/trusted/07.parquet", Some(Counted::Object(Table::CustomerTrusted))),
            ("step_trainer/curated/dt=1/hour=2/part-0.parquet", Some(Counted::Object(Table::MachineLearningCurated))),
            ("receipts/step_trainer/a.json", Some(Counted::Receipt(Source::StepTrainer))),
            ("receipts/step_trainer/a.txt", None),
            ("customer/trusted/", None),
            ("customer/landing/a.json", None),
            ("quarantine/customer/a.jsonl", None),
        ] {
            assert_eq!(Counted::of(key), counted, "{key}");
        }
    }

    #[test]
    fn the_directories_of_a_key_end_with_that_of_its_prefix() {
        for (key, directories) in [
            ("customer/trusted/07.parquet", &["b/customer/trusted"][..]),
            ("receipts/customer/a.json", &["b/receipts/customer", "b/receipts"]),
            (
                "step_trainer/curated/dt=1/hour=2/part-0.parquet",
                &["b/step_trainer/curated/dt=1/hour=2", "b/step_trainer/curated/dt=1", "b/step_trainer/curated"],
            ),
            ("customer/landing/a.json", &[]),
        ] {
            let expected: Vec<_> = directories.iter().map(PathBuf::from).collect();
            assert_eq!(directories_of("b", key), expected, "{key}");
        }
    }

    #[test]
    fn totals_are_taken_once() {
        let lake = tempfile::tempdir().unwrap();
        fs::create_dir(lake.path().join(".stedi")).unwrap();
        let mut totals = Totals::default();
        assert!(totals.add_object(Table::CustomerCurated, "a".into(), 3, true));
        totals.add_receipt(Source::Customer, LandingCount { files: 1, rows: 4, kept: 3, excluded: 1, quarantined: 0 });
        let directories = Directories::below(lake.path(), [PathBuf::from("none")]);
        Kept { bucket: "stedi".into(), totals, directories }.keep(lake.path());
        let mut kept = Kept::take(lake.path()).unwrap();
        assert!(kept.directories.are_unchanged(lake.path()));
        assert!(kept.totals.add_object(Table::CustomerCurated, "a".into(), 5, false));
        assert_eq!(kept.totals.tables[&Table::CustomerCurated], (5, 1));
        assert_eq!(kept.totals.landing[&Source::Customer].rows, 4);
        assert!(Kept::take(lake.path()).is_none());
        // What an earlier version left there is no such thing.
        fs::write(file(lake.path()), r#"{"rows":{},"receipts":{}}"#).unwrap();
        assert!(Kept::take(lake.path()).is_none());
    }
}
