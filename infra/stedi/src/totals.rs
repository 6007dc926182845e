//! What a lake holds, told at the end of a run at the cost of what the run changed.
//!
//! To count everything costs by the history. So the totals are kept in the stack's own folder when a run ends. The next
//! one takes them away before it changes anything; unless the directories show that somebody else changed the lake since,
//! it adds what it stores itself, takes off what that took the location of, and keeps them again. After a run that did not end
//! there are none.

use crate::counted::{Count, Counted};
use crate::directories::Directories;
use crate::report::{LandingCount, TableCount};
use crate::stack::Stack;
use engine::Error;
use model::layout::{self, Source};
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use store::BoxError;
use store::lake::DATABASE;

/// The tables and the landing files, counted.
pub(crate) type Counts = (BTreeMap<&'static str, TableCount>, BTreeMap<&'static str, LandingCount>);

/// So many files are read in one task.
const FILES_AT_ONCE: usize = 512;

/// The derived tables without their partitions, and the landing files by their receipts.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    tables: BTreeMap<Table, (Rows, Objects)>,
    landing: BTreeMap<Source, LandingCount>,
}

type Rows = u64;
type Objects = u64;

impl Totals {
    fn add(&mut self, count: Count) {
        match count {
            Count::Object(table, rows) => {
                let (sum, objects) = self.tables.entry(table).or_default();
                (*sum, *objects) = (*sum + rows, *objects + 1);
            }
            Count::Receipt(source, count) => *self.landing.entry(source).or_default() += count,
        }
    }

    /// Takes off what was added; none if it never was.
    fn less(mut self, count: Count) -> Option<Self> {
        match count {
            Count::Object(table, rows) => {
                let (sum, objects) = self.tables.entry(table).or_default();
                (*sum, *objects) = (sum.checked_sub(rows)?, objects.checked_sub(1)?);
            }
            Count::Receipt(source, count) => {
                let sum = self.landing.entry(source).or_default();
                *sum = sum.checked_sub(count)?;
            }
        }
        Some(self)
    }
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

    /// The totals of a lake that holds nothing; none if it does hold something.
    fn of_nothing(bucket: &str, directory: &Path) -> Option<Self> {
        let directories = Directories::below(directory, roots(bucket));
        directories.are_absent().then(|| Self { bucket: bucket.to_owned(), totals: Totals::default(), directories })
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

/// The prefixes of all that is counted.
fn prefixes() -> impl Iterator<Item = &'static str> {
    Table::DERIVED.into_iter().map(Table::prefix).chain([layout::RECEIPTS])
}

fn roots(bucket: &str) -> impl Iterator<Item = PathBuf> {
    prefixes().map(move |prefix| emulator::directory_of(bucket, prefix))
}

/// What was at a location where this run stored something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Former {
    Nothing,
    Something(Count),
    /// It could not be read.
    Unknown,
}

impl Former {
    fn of(key: &str, file: Option<&File>) -> Self {
        match Counted::of(key).zip(file).map(|(counted, file)| counted.read(file)) {
            None => Self::Nothing,
            Some(Ok(Ok(count))) => Self::Something(count),
            Some(_) => Self::Unknown,
        }
    }
}

/// By the keys where this run stored something.
type AllFormer = HashMap<String, Former>;

/// The count of a lake, from the beginning of a run to its end.
pub(crate) struct Counting<'a> {
    stack: &'a Stack,
    directory: &'a Path,
    /// The totals as they were when the run began, if they are known.
    kept: Option<Kept>,
    former: Arc<Mutex<AllFormer>>,
}

impl<'a> Counting<'a> {
    /// Begins before anything in the lake in `directory` is changed.
    pub(crate) fn begin(stack: &'a Stack, directory: &'a Path) -> Self {
        let bucket = stack.lake.bucket().to_owned();
        let kept = Kept::take(directory);
        let kept = kept.filter(|kept| kept.bucket == bucket && kept.directories.are_unchanged(directory));
        let kept = kept.or_else(|| Kept::of_nothing(&bucket, directory));
        let former = Arc::new(Mutex::new(AllFormer::new()));
        if kept.is_some() {
            let former = former.clone();
            stack.cloud.on_stored(move |object, file| {
                if object.bucket == bucket && prefixes().any(|prefix| object.key.starts_with(prefix)) {
                    // What the run's own first version of it took the location of is what counts.
                    let mut former = former.lock().unwrap_or_else(PoisonError::into_inner);
                    former.entry(object.key.clone()).or_insert_with(|| Former::of(&object.key, file));
                }
            });
        }
        Self { stack, directory, kept, former }
    }

    /// Counts when nothing is changed any more.
    pub(crate) async fn end(mut self) -> Result<Counts, BoxError> {
        let former = std::mem::take(&mut *self.former.lock().unwrap_or_else(PoisonError::into_inner));
        let added = match self.kept.take() {
            Some(kept) => self.add(kept, former).await?,
            None => None,
        };
        let kept = match added {
            Some(kept) => kept,
            None => self.count_all().await?,
        };
        kept.keep(self.directory);
        let Totals { tables, landing } = kept.totals;
        let mut counts = BTreeMap::new();
        for table in Table::DERIVED {
            let (rows, objects) = tables.get(&table).copied().unwrap_or_default();
            let partitions = self.stack.cloud.partitions(DATABASE, table.name())? as u64;
            counts.insert(table.name(), TableCount { rows, objects, partitions });
        }
        let landing = Source::ALL.map(|source| (source.name(), landing.get(&source).copied().unwrap_or_default()));
        Ok((counts, landing.into()))
    }

    async fn count_all(&self) -> Result<Kept, BoxError> {
        let lake = &self.stack.lake;
        let bucket = lake.bucket().to_owned();
        // Before anything is counted: what somebody changes by hand meanwhile is then noticed by the next run.
        let directories = Directories::below(self.directory, roots(&bucket));
        let listings = store::try_join_bounded(prefixes().map(|prefix| lake.store.list(&bucket, prefix, true))).await?;
        let keys = listings.into_iter().flat_map(|listing| listing.objects.into_keys());
        let mut totals = Totals::default();
        for count in self.counts(keys).await? {
            count.into_iter().for_each(|count| totals.add(count));
        }
        Ok(Kept { bucket, totals, directories })
    }

    /// The totals with what was stored; none if only a count of everything can tell.
    async fn add(&self, mut kept: Kept, former: AllFormer) -> Result<Option<Kept>, BoxError> {
        // Of the others the former times stay, so that a change by hand meanwhile is noticed by the next run.
        for directory in former.keys().flat_map(|key| directories_of(&kept.bucket, key)).collect::<BTreeSet<_>>() {
            kept.directories.look_at(self.directory, directory);
        }
        for former in former.values() {
            let rest = match former {
                Former::Nothing => continue,
                Former::Something(count) => std::mem::take(&mut kept.totals).less(*count),
                Former::Unknown => None,
            };
            match rest {
                Some(rest) => kept.totals = rest,
                None => return Ok(None),
            }
        }
        for count in self.counts(former.into_keys()).await? {
            match count {
                Some(count) => kept.totals.add(count),
                // Somebody removed it by hand.
                None => return Ok(None),
            }
        }
        Ok(Some(kept))
    }

    /// What each of the objects counts for, if it is one that counts; none of one that is not there.
    async fn counts(&self, keys: impl Iterator<Item = String>) -> Result<Vec<Option<Count>>, BoxError> {
        let keys: Vec<_> = keys.filter_map(|key| Some((Counted::of(&key)?, key))).collect();
        let read = keys.chunks(FILES_AT_ONCE).map(|keys| {
            let (cloud, lake, keys) = (self.stack.cloud.clone(), self.stack.lake.clone(), keys.to_vec());
            async move {
                let count = |(counted, key): &(Counted, String)| match cloud.file(lake.bucket(), key)? {
                    Some(file) => Ok(Some(counted.read(&file)?.map_err(Error::corrupt(lake.at(key.as_str())))?)),
                    None => Ok(None),
                };
                keys.iter().map(count).collect::<Result<Vec<_>, BoxError>>()
            }
        });
        let read = store::join_bounded(read).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(read.into_iter().flatten().collect())
    }
}

/// The directories whose times a put of `key` may have changed, down from that of its counted prefix.
fn directories_of(bucket: &str, key: &str) -> Vec<PathBuf> {
    let root = prefixes().find(|prefix| key.starts_with(prefix)).map(|prefix| emulator::directory_of(bucket, prefix));
    let directory = emulator::directory_of(bucket, key);
    let below = |path: &&Path| root.as_ref().is_some_and(|root| path.starts_with(root));
    directory.ancestors().take_while(below).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: LandingCount = LandingCount { files: 1, rows: 4, kept: 3, excluded: 1, quarantined: 0 };

    #[test]
    fn what_is_taken_off_leaves_the_rest() {
        let rows = |rows| Count::Object(Table::AccelerometerTrusted, rows);
        let mut totals = Totals::default();
        [rows(3), rows(4), Count::Receipt(Source::Customer, ACCOUNT)].into_iter().for_each(|count| totals.add(count));
        assert_eq!(totals.tables, BTreeMap::from([(Table::AccelerometerTrusted, (7, 2))]));
        let totals = totals.less(rows(3)).unwrap();
        assert_eq!(totals.tables, BTreeMap::from([(Table::AccelerometerTrusted, (4, 1))]));
        let totals = totals.less(Count::Receipt(Source::Customer, ACCOUNT)).unwrap();
        assert_eq!(totals.landing[&Source::Customer], LandingCount::default());
    }

    #[test]
    fn what_was_never_added_is_not_taken_off() {
        let mut totals = Totals::default();
        totals.add(Count::Object(Table::StepTrainerTrusted, 3));
        totals.add(Count::Receipt(Source::Customer, ACCOUNT));
        let totals = || Totals { tables: totals.tables.clone(), landing: totals.landing.clone() };
        assert_eq!(totals().less(Count::Object(Table::StepTrainerTrusted, 4)), None);
        assert_eq!(totals().less(Count::Object(Table::CustomerTrusted, 0)), None);
        assert_eq!(totals().less(Count::Receipt(Source::Accelerometer, ACCOUNT)), None);
        assert_eq!(totals().less(Count::Receipt(Source::Customer, LandingCount { quarantined: 1, ..ACCOUNT })), None);
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
        totals.add(Count::Object(Table::CustomerCurated, 3));
        totals.add(Count::Receipt(Source::Customer, ACCOUNT));
        let directories = Directories::below(lake.path(), [PathBuf::from("none")]);
        Kept { bucket: "stedi".into(), totals, directories }.keep(lake.path());
        let kept = Kept::take(lake.path()).unwrap();
        assert!(kept.directories.are_unchanged(lake.path()));
        assert_eq!(kept.totals.tables[&Table::CustomerCurated], (3, 1));
        assert_eq!(kept.totals.landing[&Source::Customer], ACCOUNT);
        assert!(Kept::take(lake.path()).is_none());
        // What an earlier version left there is no such thing.
        fs::write(file(lake.path()), r#"{"rows":{},"receipts":{}}"#).unwrap();
        assert!(Kept::take(lake.path()).is_none());
    }

    #[test]
    fn only_a_lake_without_counted_folders_holds_nothing() {
        let lake = tempfile::tempdir().unwrap();
        fs::create_dir_all(lake.path().join("stedi/customer/landing")).unwrap();
        assert_eq!(Kept::of_nothing("stedi", lake.path()).unwrap().totals, Totals::default());
        for folder in ["customer/trusted", "receipts"] {
            fs::create_dir(lake.path().join("stedi").join(folder)).unwrap();
            assert!(Kept::of_nothing("stedi", lake.path()).is_none(), "{folder}");
            fs::remove_dir(lake.path().join("stedi").join(folder)).unwrap();
        }
    }
}
