//! Counts what is in a lake, for `stedi tables` and for the report of a run.

use crate::args::{LakeArgs, Tables};
use crate::reader::LakeReader;
use crate::report::{LandingCount, LandingCounts, grouped, landing_text, text_table};
use crate::terminal::{print, print_table};
use emulator_client::{Clients, Object};
use engine::Error;
use formats::receipt::Receipt;
use formats::{Corrupt, columnar};
use model::layout::{self, ObjectLocation, Source};
use model::table::{Format, Table};
use model::time::Partition;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use store::BoxError;
use store::lake::Lake;

/// A table with more objects is for a query engine to count.
const OBJECTS_MAX: usize = 10_000_000;
/// The table of the kept rows of each source.
const TABLES: [(Source, Table); 3] = [
    (Source::Customer, Table::CustomerTrusted),
    (Source::Accelerometer, Table::AccelerometerTrusted),
    (Source::StepTrainer, Table::StepTrainerTrusted),
];
/// How many files a task reads.
const FILES_MAX: usize = 256;

/// What is in a lake. Its JSON is part of the command line's contract.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub tables: BTreeMap<&'static str, TableSummary>,
    pub landing: LandingCounts,
}

/// A table as it is now.
#[derive(Debug, Serialize)]
pub(crate) struct TableSummary {
    /// `landing`, `trusted` or `curated`.
    zone: &'static str,
    /// Its rows; of a landing table those that receipts count.
    pub rows: u64,
    pub objects: u64,
    /// How many partitions are registered.
    pub partitions: usize,
    #[serde(skip)]
    by_partition: BTreeMap<Partition, PartitionCount>,
    bytes: u64,
    /// When one of its objects was written last.
    last_change: Option<String>,
}

/// The rows and objects of a registered partition.
#[derive(Clone, Copy, Debug, Default)]
struct PartitionCount {
    rows: u64,
    objects: u64,
}

/// Runs `stedi tables`.
pub(crate) async fn show(args: Tables) -> Result<(), BoxError> {
    let LakeReader { lake, clients, .. } = &LakeReader::open(&args.lake, "stedi tables").await?;
    let summary = count(&args.lake, lake, clients, &Table::ALL).await?;
    if args.json {
        return print(&serde_json::to_string(&summary)?);
    }
    let text = summary.to_text();
    print_table(&if args.partitions { format!("{text}\n\n{}", summary.partitions_text()) } else { text })
}

/// Prints the tables of a lake for people.
pub(crate) async fn print_all(args: &LakeArgs, lake: &Lake, clients: &Clients) -> Result<(), BoxError> {
    print_table(&count(args, lake, clients, &Table::ALL).await?.to_text())
}

impl Summary {
    fn to_text(&self) -> String {
        let rows = self.tables().map(|(table, summary)| {
            let counts = [summary.rows, summary.objects, summary.partitions as u64].map(grouped);
            // `2022-06-18T15:00:44.103Z` without year and seconds, which a line of 80 columns has no room for.
            let last_change = summary.last_change.as_deref().and_then(|time| time.get(5..16)).unwrap_or_default();
            let last = [size(summary.bytes), last_change.replace('T', " ")];
            std::iter::once(table.name().to_owned()).chain(counts).chain(last)
        });
        let header = ["table", "rows", "objects", "partitions", "size", "last change"];
        format!("{}\n\n{}", landing_text(&self.landing), text_table(header, 1..5, rows))
    }

    fn partitions_text(&self) -> String {
        let rows = self.tables().flat_map(|(table, summary)| {
            summary.by_partition.iter().map(move |(partition, PartitionCount { rows, objects })| {
                let counts = [*rows, *objects].map(grouped);
                [table.name().to_owned(), partition.to_string()].into_iter().chain(counts)
            })
        });
        text_table(["table", "partition", "rows", "objects"], 2..4, rows).to_string()
    }

    /// The tables in the order in which data flows.
    fn tables(&self) -> impl Iterator<Item = (Table, &TableSummary)> {
        Table::ALL.into_iter().filter_map(|table| Some((table, self.tables.get(table.name())?)))
    }
}

/// 1,234,567 bytes → `1.2 MB`.
fn size(bytes: u64) -> String {
    let (mut size, mut units) = (bytes as f64, ["B", "kB", "MB", "GB", "TB", "PB"].into_iter());
    let mut unit = units.next();
    while size >= 999.5 {
        size /= 1000.0;
        unit = units.next();
    }
    let decimals = usize::from(bytes >= 1000 && size < 99.95);
    format!("{size:.decimals$} {}", unit.unwrap_or("EB"))
}

/// Counts the landing files, and `tables`.
pub(crate) async fn count(
    args: &LakeArgs,
    lake: &Lake,
    clients: &Clients,
    tables: &[Table],
) -> Result<Summary, BoxError> {
    let mut landing = count_landing(args, lake).await?;
    let mut summaries = BTreeMap::new();
    for &table in tables {
        let objects = objects(lake, clients, table).await?;
        let mut summary = TableSummary {
            zone: zone(table),
            rows: 0,
            objects: objects.len() as u64,
            partitions: 0,
            by_partition: BTreeMap::new(),
            bytes: objects.iter().map(|object| object.bytes).sum(),
            last_change: objects.iter().map(|object| object.modified_ms).max().map(model::time::iso8601),
        };
        match Source::ALL.into_iter().find(|source| source.landing() == table) {
            Some(source) => summary.rows = landing.get(source.name()).map_or(0, |count| count.rows),
            None => {
                let keys = objects.iter().map(|object| object.key.clone());
                let rows = read_files(args, keys, move |file| columnar::rows(file, table.name())).await?;
                // None of an object that was deleted meanwhile.
                let rows: Vec<u64> = rows.into_iter().map(Option::unwrap_or_default).collect();
                summary.rows = rows.iter().sum();
                summary.by_partition = by_partition(lake, table, objects.iter().zip(rows)).await?;
                summary.partitions = summary.by_partition.len();
            }
        }
        summaries.insert(table.name(), summary);
    }
    for (source, table) in TABLES {
        if let (Some(count), Some(summary)) = (landing.get_mut(source.name()), summaries.get(table.name())) {
            count.keep(summary.rows);
        }
    }
    Ok(Summary { tables: summaries, landing })
}

/// Counts the rows and objects of each registered partition.
async fn by_partition(
    lake: &Lake,
    table: Table,
    objects: impl Iterator<Item = (&Object, u64)>,
) -> Result<BTreeMap<Partition, PartitionCount>, BoxError> {
    let registered = lake.catalog.partitions(table).await?;
    let mut counts: BTreeMap<_, _> = registered.into_iter().map(|one| (one, PartitionCount::default())).collect();
    for (object, rows) in objects {
        let folders = object.key.strip_prefix(table.prefix()).and_then(|rest| rest.rsplit_once('/'));
        let partition = folders.and_then(|(folders, _)| Partition::parse(folders));
        if let Some(count) = partition.and_then(|partition| counts.get_mut(&partition)) {
            count.rows += rows;
            count.objects += 1;
        }
    }
    Ok(counts)
}

/// A table's zone is the second name of its prefix.
fn zone(table: Table) -> &'static str {
    table.prefix().trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Counts the landing files of each source by their receipts.
async fn count_landing(args: &LakeArgs, lake: &Lake) -> Result<LandingCounts, BoxError> {
    let mut landing = LandingCounts::new();
    for source in Source::ALL {
        let listed = lake.store.list(lake.bucket(), &layout::receipts(source), true).await?.objects;
        let keys = listed.into_keys().filter(|key| key.ends_with(".json"));
        let sum = landing.entry(source.name()).or_default();
        for count in read_files(args, keys, receipt).await?.into_iter().flatten() {
            *sum += count;
        }
    }
    Ok(landing)
}

/// Reads the counts of a receipt.
fn receipt(mut file: &File) -> Result<LandingCount, Corrupt> {
    let mut json = Vec::new();
    file.read_to_end(&mut json).map_err(|error| Corrupt::new("a receipt", error))?;
    Ok(LandingCount::from(&Receipt::decode(&json.into())?))
}

/// Reads the file of each key with `read`, on all cores; none if the object was deleted meanwhile.
///
/// A request for each takes several times as long.
async fn read_files<T: Send + 'static>(
    LakeArgs { lake, bucket }: &LakeArgs,
    keys: impl Iterator<Item = String>,
    read: impl Fn(&File) -> Result<T, Corrupt> + Copy + Send + 'static,
) -> Result<Vec<Option<T>>, BoxError> {
    let keys: Vec<String> = keys.collect();
    let tasks = keys.chunks(FILES_MAX).map(|keys| {
        let (lake, bucket, keys) = (lake.clone(), bucket.clone(), keys.to_vec());
        async move {
            let count = |key: String| match emulator::object_file(&lake, &bucket, &key)? {
                Some(file) => {
                    let location = ObjectLocation { bucket: bucket.clone(), key };
                    Ok(Some(read(&file).map_err(Error::corrupt(location))?))
                }
                None => Ok(None),
            };
            keys.into_iter().map(count).collect::<Result<Vec<_>, BoxError>>()
        }
    });
    let read = store::join_bounded(tasks).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(read.into_iter().flatten().collect())
}

/// Lists the objects of a table, without those of other formats below a derived table, and without the empty objects that
/// a console makes for folders.
async fn objects(lake: &Lake, clients: &Clients, table: Table) -> Result<Vec<Object>, BoxError> {
    let mut objects = clients.store.objects(lake.bucket(), table.prefix(), OBJECTS_MAX).await?;
    objects.retain(|object| match table.format() {
        Format::Parquet => object.key.ends_with(".parquet"),
        Format::Json => !object.key.ends_with('/'),
    });
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_at_most() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (12_345, "12.3 kB"),
            (99_960, "100 kB"),
            (999_700, "1.0 MB"),
            (1_234_567, "1.2 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_line_of_a_table_fits_80_columns() {
        let summary = TableSummary {
            zone: "curated",
            rows: 12_345_678,
            objects: 123_456,
            partitions: 12_345,
            by_partition: BTreeMap::new(),
            bytes: 123_456_789,
            last_change: Some("2022-06-18T15:00:44.103Z".into()),
        };
        let tables = [(Table::MachineLearningCurated.name(), summary)].into();
        let text = Summary { tables, landing: LandingCounts::new() }.to_text();
        assert!(text.contains("06-18 15:00"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
