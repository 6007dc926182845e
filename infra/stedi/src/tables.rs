//! Counts what is in the lake.

use crate::args::Tables;
use crate::reach::reach;
use crate::report::{LandingCount, grouped, landing_text, print, text};
use emulator_client::{Clients, Object, ObjectLocation, RangeRead};
use engine::Error;
use formats::Corrupt;
use formats::columnar::{Tail, rows_by_tail};
use formats::receipt::Receipt;
use model::layout::Source;
use model::table::{Format, Table};
use model::time::Partition;
use serde::Serialize;
use std::collections::BTreeMap;
use store::BoxError;
use store::Read;
use store::lake::Lake;

/// The landing files of each source, counted by their receipts.
type Landing = BTreeMap<&'static str, LandingCount>;

/// More objects than this below one table are for a query engine to count.
const OBJECTS_MAX: usize = 10_000_000;
/// How often a file is looked at that changes meanwhile.
const READS_MAX: usize = 8;
/// What is read of a file first: the footers of ours are smaller.
pub(crate) const TAIL_BYTES: u64 = 16 << 10;

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
        return print(&serde_json::to_string(&shown(&reached.lake, &reached.clients).await?)?);
    }
    print_all(&reached.lake, &reached.clients).await
}

/// Prints the tables for people.
pub(crate) async fn print_all(lake: &Lake, clients: &Clients) -> Result<(), BoxError> {
    let Shown { tables, landing } = shown(lake, clients).await?;
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

async fn shown(lake: &Lake, clients: &Clients) -> Result<Shown, BoxError> {
    let landing = count_landing(lake).await?;
    let mut tables = BTreeMap::new();
    for table in Table::ALL {
        let objects = objects(lake, clients, table).await?;
        let source = Source::ALL.into_iter().find(|source| source.landing() == table);
        let mut by_partition = BTreeMap::new();
        let sum = match source {
            Some(source) => landing.get(source.name()).map_or(0, |count| count.rows),
            None => {
                let counts =
                    store::try_join_bounded(objects.iter().map(|object| rows(lake, clients, table, object))).await?;
                for partition in lake.catalog.partitions(table).await? {
                    let prefix = model::layout::partition_prefix(table, partition);
                    let counts = objects.iter().zip(&counts).filter(|(object, _)| object.key.starts_with(&prefix));
                    by_partition.insert(partition, counts.fold((0, 0), |(rows, n), (_, count)| (rows + count, n + 1)));
                }
                counts.iter().sum()
            }
        };
        let state = State {
            zone: zone(table),
            rows: sum,
            objects: objects.len() as u64,
            partitions: by_partition.len(),
            by_partition,
            bytes: objects.iter().map(|object| object.bytes).sum(),
            last_change: objects.iter().map(|object| object.modified_ms).max().map(model::time::iso8601),
        };
        tables.insert(table.name(), state);
    }
    Ok(Shown { tables, landing })
}

/// A table's zone is the second name of its prefix.
fn zone(table: Table) -> &'static str {
    table.prefix().trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

async fn count_landing(lake: &Lake) -> Result<Landing, BoxError> {
    let mut landing = Landing::new();
    for source in Source::ALL {
        let listed = lake.store.list(lake.bucket(), &model::layout::receipts(source), true).await?.objects;
        let keys = listed.into_keys().filter(|key| is_receipt_of(source, key));
        let sum = landing.entry(source.name()).or_default();
        for count in store::try_join_bounded(keys.map(|key| receipt(lake, key))).await?.into_iter().flatten() {
            *sum += count;
        }
    }
    Ok(landing)
}

/// What a receipt says; none if it is gone.
async fn receipt(lake: &Lake, key: String) -> Result<Option<LandingCount>, BoxError> {
    let location = lake.at(key);
    match lake.store.read(&location, None).await? {
        Read::Found { body, .. } => {
            Ok(Some(LandingCount::from(&Receipt::decode(&body).map_err(Error::corrupt(location))?)))
        }
        Read::Absent | Read::Unchanged => Ok(None),
    }
}

/// The rows of an object, by the footer of its Parquet file; none if it is gone.
async fn rows(lake: &Lake, clients: &Clients, table: Table, object: &Object) -> Result<u64, BoxError> {
    let location = lake.at(object.key.as_str());
    let at = ObjectLocation { bucket: location.bucket.clone(), key: location.key.clone() };
    let (mut size, mut etag, mut wanted) = (object.bytes, object.etag.clone(), TAIL_BYTES);
    for _ in 0..READS_MAX {
        let range = size.saturating_sub(wanted)..size;
        match clients.store.read_range(&at, Some(&etag), range).await? {
            RangeRead::Absent => return Ok(0),
            RangeRead::Changed => match clients.store.describe(&at).await? {
                Some(now) => (size, etag) = (now.bytes, now.etag),
                None => return Ok(0),
            },
            RangeRead::Found(tail) => {
                match rows_by_tail(&tail, size, table.name()).map_err(Error::corrupt(location.clone()))? {
                    Tail::Rows(rows) => return Ok(rows),
                    Tail::Needs(more) => wanted = more,
                }
            }
        }
    }
    Err(Error::corrupt(location)(Corrupt::new(table.name(), "it changes all the time, or its footer has no end"))
        .into())
}

/// Whether an object is a receipt of `source`.
pub(crate) fn is_receipt_of(source: Source, key: &str) -> bool {
    key.starts_with(&model::layout::receipts(source)) && key.ends_with(".json")
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
async fn objects(lake: &Lake, clients: &Clients, table: Table) -> Result<Vec<Object>, BoxError> {
    let mut objects = clients.store.objects(lake.bucket(), table.prefix(), OBJECTS_MAX).await?;
    objects.retain(|object| is_of(table, &object.key));
    Ok(objects)
}
