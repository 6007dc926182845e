//! Counts what is in the lake.

use crate::args::Tables;
use crate::reach::reach;
use crate::remembered::Remembered;
use crate::report::{LandingCount, grouped, landing_text, print, text};
use crate::totals::Totals;
use aws::BoxError;
use aws::lake::Lake;
use aws::store::{Object, RangeRead, Read};
use bytes::Bytes;
use derivation::Error;
use lake::Corrupt;
use lake::columnar::{Tail, rows_by_tail};
use lake::layout::Source;
use lake::receipt::Receipt;
use lake::table::{Format, Table};
use lake::time::Partition;
use local::Cloud;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// The landing files of each source, counted by their receipts.
type Landing = BTreeMap<&'static str, LandingCount>;

/// More objects than this below one table are for a query engine to count.
const OBJECTS_MAX: usize = 10_000_000;
/// How often a file is looked at that changes meanwhile.
const READS_MAX: usize = 8;
/// What is read of a file first: the footers of ours are smaller.
const TAIL_BYTES: u64 = 16 << 10;

/// What `stedi tables` tells. Its JSON is for scripts.
#[derive(Debug, Serialize)]
struct Shown {
    tables: BTreeMap<&'static str, State>,
    landing: Landing,
}

/// A table as it is now.
#[derive(Debug, Serialize)]
struct State {
    /// `landing`, `trusted` or `curated`.
    zone: &'static str,
    /// Its rows; of a landing table those that were accounted for.
    rows: u64,
    /// Its objects.
    objects: u64,
    /// Its registered partitions.
    partitions: usize,
    /// Of each of them, rows and objects.
    #[serde(skip)]
    by_partition: BTreeMap<Partition, (u64, u64)>,
    /// The size of its objects.
    bytes: u64,
    /// When one of them was written last.
    last_change: Option<String>,
}

/// Runs `stedi tables`.
pub(crate) async fn show(args: Tables) -> Result<(), BoxError> {
    let reached = reach(&args.at).await?;
    if args.json {
        return print(&serde_json::to_string(&shown(&reached.lake).await?)?);
    }
    print_all(&reached.lake).await
}

/// Prints the tables for people.
pub(crate) async fn print_all(lake: &Lake) -> Result<(), BoxError> {
    let Shown { tables, landing } = shown(lake).await?;
    let states = Table::ALL.into_iter().filter_map(|table| Some((table, tables.get(table.name())?)));
    let rows = states.clone().map(|(table, state)| {
        let counts = [state.rows, state.objects, state.partitions as u64, state.bytes].map(grouped);
        let last_change = state.last_change.clone().unwrap_or_default();
        [state.zone, table.name()].map(str::to_owned).into_iter().chain(counts).chain([last_change])
    });
    let header = ["zone", "table", "rows", "objects", "partitions", "bytes", "last change"];
    let mut shown = format!("{}\n{}", landing_text(&landing), text(header, 2..6, rows));
    for (table, state) in states {
        for (partition, (rows, objects)) in &state.by_partition {
            shown += &format!("\n{table}/{partition}: {} rows, {objects} objects", grouped(*rows));
        }
    }
    print(&shown)
}

async fn shown(lake: &Lake) -> Result<Shown, BoxError> {
    let counter = Counter { lake: lake.clone(), files: None };
    let landing = count_landing(&counter).await?;
    let mut tables = BTreeMap::new();
    for table in Table::ALL {
        let objects = objects(lake, table).await?;
        let source = Source::ALL.into_iter().find(|source| source.landing() == table);
        let mut by_partition = BTreeMap::new();
        let rows = match source {
            Some(source) => landing.get(source.name()).map_or(0, |count| count.rows),
            None => {
                let counts = aws::all(objects.iter().map(|object| counter.rows(table, object))).await?;
                for partition in lake.catalog.partitions(table).await? {
                    let prefix = lake::layout::partition_prefix(table, partition);
                    let counts = objects.iter().zip(&counts).filter(|(object, _)| object.key.starts_with(&prefix));
                    by_partition.insert(partition, counts.fold((0, 0), |(rows, n), (_, count)| (rows + count, n + 1)));
                }
                counts.iter().sum()
            }
        };
        let state = State {
            zone: zone(table),
            rows,
            objects: objects.len() as u64,
            partitions: by_partition.len(),
            by_partition,
            bytes: objects.iter().map(|object| object.bytes).sum(),
            last_change: objects.iter().map(|object| object.modified_ms).max().map(lake::time::iso8601),
        };
        tables.insert(table.name(), state);
    }
    Ok(Shown { tables, landing })
}

/// A table's zone is the second name of its prefix.
fn zone(table: Table) -> &'static str {
    table.prefix().trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Counts objects by what is in them.
#[derive(Clone)]
pub(crate) struct Counter {
    pub(crate) lake: Lake,
    /// If they are at hand: where their files are. To open one costs far less than a request.
    pub(crate) files: Option<Cloud>,
}

/// Counts the five derived tables, and the landing files by their receipts; reads only what changed since it last did so
/// for the lake in `directory`.
pub(crate) async fn count_all(counter: &Counter, directory: &Path) -> Result<Totals, BoxError> {
    let known = Arc::new(Remembered::of(directory));
    let counted = Table::DERIVED.map(|table| {
        let (counter, known) = (counter.clone(), known.clone());
        async move {
            let objects = objects(&counter.lake, table).await?;
            let rows = aws::all(objects.iter().map(async |object| match known.rows.of(&object.key, &object.etag) {
                Some(rows) => Ok(rows),
                None => counter.rows(table, object).await,
            }));
            let rows = rows.await?;
            Ok::<_, BoxError>((table, objects.into_iter().zip(rows).collect::<Vec<_>>()))
        }
    });
    let (tables, landing) = tokio::join!(aws::spread(counted), receipts_of_all(counter, known.clone()));
    let (mut now, mut totals) = (Remembered::default(), Totals::default());
    for table in tables {
        let (table, objects) = table?;
        for (object, rows) in objects {
            // A new one replaces nothing that would have to be known.
            let _ = totals.add_object(table, object.key.clone(), rows, true);
            now.rows.note(object.key, object.etag, rows);
        }
    }
    for source in landing {
        let (source, receipts) = source?;
        for (key, etag, count) in receipts {
            totals.add_receipt(source, count);
            now.receipts.note(key, etag, count);
        }
    }
    now.keep(directory);
    Ok(totals)
}

async fn count_landing(counter: &Counter) -> Result<Landing, BoxError> {
    let mut landing = Landing::new();
    for source in receipts_of_all(counter, Arc::default()).await {
        let (source, receipts) = source?;
        let sum = landing.entry(source.name()).or_default();
        receipts.into_iter().for_each(|(.., count)| *sum += count);
    }
    Ok(landing)
}

/// The receipts of a source: key, ETag and what each says.
type Receipts = (Source, Vec<(String, String, LandingCount)>);

async fn receipts_of_all(counter: &Counter, known: Arc<Remembered>) -> Vec<Result<Receipts, BoxError>> {
    aws::spread(Source::ALL.map(|source| {
        let (counter, known) = (counter.clone(), known.clone());
        async move {
            let lake = &counter.lake;
            let listed = lake.store.list(lake.bucket(), &lake::layout::receipts(source), true).await?.objects;
            let found = listed.into_iter().filter(|(key, _)| is_receipt_of(source, key)).map(async |(key, etag)| {
                let count = match known.receipts.of(&key, &etag) {
                    Some(count) => Some(count),
                    None => counter.receipt(&key).await?,
                };
                Ok::<_, BoxError>(count.map(|count| (key, etag, count)))
            });
            Ok((source, aws::all(found).await?.into_iter().flatten().collect()))
        }
    }))
    .await
}

impl Counter {
    /// What a receipt says; none if it is gone.
    pub(crate) async fn receipt(&self, key: &str) -> Result<Option<LandingCount>, BoxError> {
        let place = self.lake.at(key);
        let body = match &self.files {
            Some(files) => files.file(&place.bucket, key)?.map(|mut file| whole(&mut file)).transpose()?,
            None => match self.lake.store.read(&place, None).await? {
                Read::Found { body, .. } => Some(body),
                Read::Absent | Read::Unchanged => None,
            },
        };
        let receipt = body.as_ref().map(Receipt::decode).transpose().map_err(Error::corrupt(place))?;
        Ok(receipt.map(|receipt| LandingCount {
            files: 1,
            rows: receipt.rows,
            kept: receipt.kept,
            excluded: receipt.excluded.values().sum(),
            quarantined: receipt.quarantined,
        }))
    }

    /// The rows of an object; none, if it is gone.
    async fn rows(&self, table: Table, object: &Object) -> Result<u64, BoxError> {
        let rows = self.rows_now(table, &object.key, object.bytes, object.etag.clone()).await?;
        Ok(rows.unwrap_or_default())
    }

    /// The rows of a Parquet file, by its footer. `size` and `etag` are those of the version that is looked at first; of a
    /// file that is gone there is no answer.
    pub(crate) async fn rows_now(
        &self,
        table: Table,
        key: &str,
        mut size: u64,
        mut etag: String,
    ) -> Result<Option<u64>, BoxError> {
        let place = self.lake.at(key);
        if let Some(files) = &self.files {
            let Some(mut file) = files.file(&place.bucket, key)? else { return Ok(None) };
            return Ok(Some(rows_in(&mut file, table)?.map_err(Error::corrupt(place))?));
        }
        let mut wanted = TAIL_BYTES;
        for _ in 0..READS_MAX {
            let range = size.saturating_sub(wanted)..size;
            match self.lake.store.read_range(&place, Some(&etag), range).await? {
                RangeRead::Absent => return Ok(None),
                RangeRead::Changed => match self.lake.store.describe(&place).await? {
                    Some(now) => (size, etag) = (now.bytes, now.etag),
                    None => return Ok(None),
                },
                RangeRead::Found(tail) => {
                    match rows_by_tail(&tail, size, table.name()).map_err(Error::corrupt(place.clone()))? {
                        Tail::Rows(rows) => return Ok(Some(rows)),
                        Tail::Needs(more) => wanted = more,
                    }
                }
            }
        }
        Err(Error::corrupt(place)(Corrupt::new(table.name(), NO_END)).into())
    }
}

const NO_END: &str = "it changes all the time, or its footer has no end";

fn whole(file: &mut File) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn rows_in(file: &mut File, table: Table) -> io::Result<Result<u64, Corrupt>> {
    let size = file.metadata()?.len();
    let mut wanted = TAIL_BYTES;
    for _ in 0..READS_MAX {
        file.seek(SeekFrom::Start(size.saturating_sub(wanted)))?;
        match rows_by_tail(&whole(file)?, size, table.name()) {
            Ok(Tail::Rows(rows)) => return Ok(Ok(rows)),
            Ok(Tail::Needs(more)) => wanted = more,
            Err(corrupt) => return Ok(Err(corrupt)),
        }
    }
    Ok(Err(Corrupt::new(table.name(), NO_END)))
}

/// Whether an object is a receipt of `source`.
pub(crate) fn is_receipt_of(source: Source, key: &str) -> bool {
    key.starts_with(&lake::layout::receipts(source)) && key.ends_with(".json")
}

/// Whether an object is one of a table's. Below a derived table's location others than ours are none of it; nor is what a
/// console makes for an empty folder.
pub(crate) fn is_of(table: Table, key: &str) -> bool {
    key.starts_with(table.prefix())
        && match table.format() {
            Format::Parquet => key.ends_with(".parquet"),
            Format::Json => !key.ends_with('/'),
        }
}

/// The objects of a table.
async fn objects(lake: &Lake, table: Table) -> Result<Vec<Object>, BoxError> {
    let mut objects = lake.store.objects(lake.bucket(), table.prefix(), OBJECTS_MAX).await?;
    objects.retain(|object| is_of(table, &object.key));
    Ok(objects)
}
