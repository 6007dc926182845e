//! `customer_trusted`: the customers with a grant in force.
//!
//! ```sql
//! SELECT g.*
//! FROM (SELECT * FROM customer_landing              -- grants: valid in every field, with a consent and a date
//!       WHERE sharewithresearchasofdate <> 0
//!       QUALIFY row_number() OVER (PARTITION BY nfc(lower(trim(email)))
//!                                  ORDER BY coalesce(lastupdatedate, registrationdate) DESC,
//!                                           canonical_json) = 1   -- the record as sorted JSON
//!      ) g
//! LEFT JOIN consent_history h USING (identity)      -- of all records that were ever processed
//! WHERE (h.withdrawn_at IS NULL OR coalesce(lastupdatedate, registrationdate) > h.withdrawn_at)
//!   AND (h.suspended_at IS NULL OR h.valid_seen_at > h.suspended_at)
//! ```
//!
//! [`model::consent`] states what a record says of the consent, and what holds after many records
//! (`shared/model/src/consent.rs`). [`formats::customer_file`] reads records, malformed ones included.
//!
//! Customers are sharded by the hash of their email. A landing file takes three steps: its manifest names the shards that it
//! may touch, the shards of a batch of files are committed together, and then the receipts of all files whose row counts
//! changed.

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

/// Up to so many records, files of a batch are materialized together, so that they fit into memory.
const ROWS_MAX: u64 = 200_000;
/// How many files are read before their records are compared with [`ROWS_MAX`].
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

    /// Ingests one file.
    async fn ingest(&self, location: &ObjectLocation) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let Some(file) = File::read(&self.lake, location).await? else { return Ok(()) };
            match self.materialize(&Arc::new(vec![file])).await {
                Err(Error::Outdated) => {}
                result => return result,
            }
        }
        Err(Error::Contended { location: location.clone() })
    }

    /// Commits the shards and the receipts of files that have manifests.
    async fn materialize(&self, files: &Arc<Vec<File>>) -> Result<(), Error> {
        let touched: BTreeSet<Shard> = files.iter().flat_map(|file| file.shards.iter().copied()).collect();
        commit(&self.lake, &Shards { lake: &self.lake, files, touched: &touched }).await?;
        receipts::commit_all(self, files, &touched).await
    }

    /// Materializes files together. If that fails, it ingests each alone, so that one bad file does not stop the others.
    async fn materialize_batch(&self, files: Vec<File>, failures: &mut Failures) {
        let locations: Vec<ObjectLocation> = files.iter().map(|file| file.location.clone()).collect();
        let Err(error) = self.materialize(&Arc::new(files)).await else { return };
        tracing::warn!(
            files = locations.len(),
            error = store::with_causes(&error),
            "cannot materialize files together; trying each alone"
        );
        for location in locations {
            if let Err(error) = self.ingest(&location).await {
                failures.insert(location, Arc::new(error));
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
            for chunk in locations.chunks(FILES_AT_ONCE) {
                let reads = chunk.iter().cloned().map(|location| {
                    let lake = self.lake.clone();
                    async move { (File::read(&lake, &location).await, location) }
                });
                for (file, location) in store::join_bounded(reads).await {
                    match file {
                        Ok(file) => files.extend(file),
                        Err(error) => drop(failures.insert(location, Arc::new(error))),
                    }
                }
                if files.iter().map(|file| file.content.records.held()).sum::<u64>() > ROWS_MAX {
                    self.materialize_batch(std::mem::take(&mut files), &mut failures).await;
                }
            }
            self.materialize_batch(files, &mut failures).await;
            failures
        })
    }
}
