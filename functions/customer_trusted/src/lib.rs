//! `customer_trusted`: the customers whose latest record has a consent to research.
//!
//! ```sql
//! SELECT *
//! FROM (SELECT * FROM customer_landing QUALIFY latest record per email)
//! WHERE sharewithresearchasofdate IS NOT NULL AND sharewithresearchasofdate <> 0
//! ```
//!
//! *Latest* is told by [`model::customer::Customer::cmp_latest`]. Customers are sharded by the hash of their email. A
//! landing file takes three steps: it is announced which shards it may touch; the shards are derived, all that a batch
//! of files touches at once; and the receipts of all files whose row_counts changed with them are written.

mod receipts;
mod shards;

use engine::{ATTEMPTS_MAX, CACHE_BYTES_MAX, Cache, Error, Start, commit};
use formats::customer_shard::row_counts::FileRowCounts;
use model::hash::Shard;
use model::layout::ObjectLocation;
use model::table::Table;
use runtime::function::{Failures, Function, Handling, Input};
use shards::{File, Shards};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::lake::Lake;

/// Files of a batch are landed together up to this many records, so that they fit into memory.
const ROWS_MAX: u64 = 200_000;
/// How many files are read before their records are counted.
const FILES_AT_ONCE: usize = 8;

/// The function.
pub struct CustomerTrusted {
    lake: Lake,
    row_counts: Cache<FileRowCounts>,
}

impl CustomerTrusted {
    /// The function on `lake`.
    pub fn new(lake: Lake) -> Self {
        let start = Start { bytes: FileRowCounts::START_BYTES, needed: FileRowCounts::needed };
        Self { lake, row_counts: Cache::of_starts(CACHE_BYTES_MAX, start) }
    }

    /// Lands one file.
    async fn land(&self, location: &ObjectLocation) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let Some(file) = File::announced(&self.lake, location).await? else { return Ok(()) };
            match self.materialize(&Arc::new(vec![file])).await {
                Err(Error::Outdated) => {}
                derived => return derived,
            }
        }
        Err(Error::Contended { location: location.clone() })
    }

    /// Derives everything that follows from files that were announced.
    async fn materialize(&self, files: &Arc<Vec<File>>) -> Result<(), Error> {
        let touched: BTreeSet<Shard> = files.iter().flat_map(|file| file.touches.iter().copied()).collect();
        commit(&self.lake, &Shards { lake: &self.lake, files, touched: &touched }).await?;
        receipts::bring_up_to_date(self, files, &touched).await
    }

    /// Lands files together; if that fails, each by itself, so that one bad file does not hold up the others.
    async fn land_together(&self, files: Vec<File>, failures: &mut Failures) {
        let locations: Vec<ObjectLocation> = files.iter().map(|file| file.location.clone()).collect();
        let Err(error) = self.materialize(&Arc::new(files)).await else { return };
        tracing::warn!(
            files = locations.len(),
            error = store::with_causes(&error),
            "landing files together failed; now one by one"
        );
        for location in locations {
            if let Err(error) = self.land(&location).await {
                failures.insert(location, error.into());
            }
        }
    }
}

impl Function for CustomerTrusted {
    const TABLE: Table = Table::CustomerTrusted;

    fn lake(&self) -> &Lake {
        &self.lake
    }

    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_> {
        Box::pin(async move {
            let mut failures = Failures::new();
            let mut files: Vec<File> = Vec::new();
            let locations: Vec<ObjectLocation> = inputs.into_iter().map(|(location, _)| location).collect();
            for some in locations.chunks(FILES_AT_ONCE) {
                let announced = some.iter().cloned().map(|location| {
                    let lake = self.lake.clone();
                    async move { (File::announced(&lake, &location).await, location) }
                });
                for (file, location) in store::join_bounded(announced).await {
                    match file {
                        Ok(file) => files.extend(file),
                        Err(error) => drop(failures.insert(location, error.into())),
                    }
                }
                if files.iter().map(|file| file.landed.records.rows()).sum::<u64>() > ROWS_MAX {
                    self.land_together(std::mem::take(&mut files), &mut failures).await;
                }
            }
            self.land_together(files, &mut failures).await;
            failures
        })
    }
}
