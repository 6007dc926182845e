//! Counts what is in the lake.

use crate::args::Tables;
use crate::report::{LandingCount, TableCount, grouped, print, tables_text};
use crate::stack::Stack;
use aws::BoxError;
use aws::lake::Lake;
use aws::store::Read;
use bytes::Bytes;
use derivation::Error;
use lake::columnar::Decoder;
use lake::layout::{Place, Source};
use lake::policy::Charter;
use lake::receipt::Receipt;
use lake::table::Table;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The tables and the landing files, counted.
pub(crate) type Counts = (BTreeMap<&'static str, TableCount>, BTreeMap<&'static str, LandingCount>);

/// There is no lake.
#[derive(Debug, thiserror::Error)]
#[error("no lake in {}: `stedi run` makes one", .0.display())]
struct NoLake(PathBuf);

/// Runs `stedi tables`.
pub(crate) async fn show(args: Tables) -> Result<(), BoxError> {
    if !args.lake.join(&args.bucket).is_dir() {
        return Err(NoLake(args.lake.join(&args.bucket)).into());
    }
    // What the lake was made with matters only to those who write.
    let stack = Stack::open(&args.lake, &args.bucket, Charter::default())?;
    let (tables, landing) = count_all(&stack.lake).await?;
    let mut text = tables_text(&tables, &landing);
    for table in Table::DERIVED {
        for partition in stack.lake.catalog.partitions(table).await? {
            let prefix = lake::layout::partition_prefix(table, partition);
            let count = count(&stack.lake, &prefix, table).await?;
            text += &format!("\n{table}/{partition}: {} rows, {} objects", grouped(count.rows), count.objects);
        }
    }
    print(&text)
}

/// Counts the five derived tables, and the landing files by their receipts.
pub(crate) async fn count_all(lake: &Lake) -> Result<Counts, BoxError> {
    let mut tables = BTreeMap::new();
    for table in Table::DERIVED {
        let mut counted = count(lake, table.prefix(), table).await?;
        counted.partitions = lake.catalog.partitions(table).await?.len() as u64;
        tables.insert(table.name(), counted);
    }
    let mut landing = BTreeMap::new();
    for source in Source::ALL {
        let mut counted = LandingCount::default();
        for (place, body) in objects(lake, &format!("receipts/{source}/"), ".json").await? {
            let receipt = Receipt::decode(&body).map_err(Error::corrupt(place))?;
            counted.files += 1;
            counted.rows += receipt.rows;
            counted.kept += receipt.kept;
            counted.excluded += receipt.excluded.values().sum::<u64>();
            counted.quarantined += receipt.quarantined;
        }
        landing.insert(source.name(), counted);
    }
    Ok((tables, landing))
}

async fn count(lake: &Lake, prefix: &str, table: Table) -> Result<TableCount, BoxError> {
    let mut count = TableCount::default();
    for (place, body) in objects(lake, prefix, ".parquet").await? {
        count.objects += 1;
        count.rows += Decoder::new(body, table.name()).map_err(Error::corrupt(place))?.rows();
    }
    Ok(count)
}

/// The objects below `prefix` whose keys end so; others are none of ours.
async fn objects(lake: &Lake, prefix: &str, end: &str) -> Result<Vec<(Place, Bytes)>, BoxError> {
    let keys = lake.store.list(lake.bucket(), prefix, true).await?.objects.into_keys();
    let places: Vec<Place> = keys.filter(|key| key.ends_with(end)).map(|key| lake.at(key)).collect();
    let reads = aws::all(places.iter().map(|place| lake.store.read(place, None))).await?;
    let found = places.into_iter().zip(reads).filter_map(|(place, read)| match read {
        Read::Found { body, .. } => Some((place, body)),
        Read::Absent | Read::Unchanged => None,
    });
    Ok(found.collect())
}
