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
//! may touch, the files of a batch are merged into their shards together, and then each gets its receipt.

mod file;
mod shards;

use engine::{ATTEMPTS_MAX, Error, landing_file};
use file::File;
use model::hash::Shard;
use model::layout::ObjectLocation;
use model::table::Table;
use runtime::function::{Failures, Function, Handling, Input};
use shards::{Merged, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::lake::Lake;

/// Files of a batch are merged together up to so many records, so that they fit into memory.
const ROWS_MAX: u64 = 200_000;

/// The function.
pub struct CustomerTrusted {
    lake: Lake,
}

impl CustomerTrusted {
    /// The function on `lake`.
    pub fn new(lake: Lake) -> Self {
        Self { lake }
    }

    /// Ingests one file, whose manifest must have at least `generation_min`.
    async fn ingest_alone(&self, location: &ObjectLocation, mut generation_min: u64) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let file = match File::read(&self.lake, location, generation_min).await {
                Err(Error::Outdated) => continue,
                file => file?,
            };
            let Some(file) = file else { return Ok(()) };
            match self.merge(Arc::new(vec![file])).await?.values().next() {
                None => return Ok(()),
                Some(generation) => generation_min = *generation,
            }
        }
        Err(Error::Contended { location: location.clone() })
    }

    /// Merges files into their shards, and writes their receipts. Returns the files that another function has overtaken, by
    /// position, each with the generation that it found.
    async fn merge(&self, files: Arc<Vec<File>>) -> Result<BTreeMap<usize, u64>, Error> {
        let touched: BTreeSet<Shard> = files.iter().flat_map(|file| file.shards.iter().copied()).collect();
        let merges = touched.into_iter().map(|shard| shards::merge(self.lake.clone(), shard, files.clone()));
        let merged: Vec<Merged> = store::join_bounded(merges).await.into_iter().collect::<Result<_, _>>()?;
        let mut superseded = BTreeMap::new();
        for (position, outcome) in merged.iter().flat_map(|merged| &merged.files) {
            if let Outcome::Superseded(generation) = outcome {
                superseded.insert(*position, *generation);
            }
        }
        let due = files.iter().enumerate().filter(|(position, _)| !superseded.contains_key(position));
        let (lake, merged) = (&self.lake, &merged);
        let receipts = due.map(async |(position, file)| {
            Ok::<_, Error>((position, file.write_receipt(lake, position, merged).await?))
        });
        let later: Vec<_> = store::try_join_bounded(receipts).await?;
        superseded.extend(later.into_iter().filter_map(|(position, later)| Some((position, later?))));
        Ok(superseded)
    }

    /// Ingests files together, and those that another function has overtaken alone. If that fails, it ingests each alone, so
    /// that one bad file does not stop the others.
    async fn ingest_together(&self, files: Vec<File>, failures: &mut Failures) {
        let locations: Vec<ObjectLocation> = files.iter().map(|file| file.location.clone()).collect();
        let alone = match self.merge(Arc::new(files)).await {
            Ok(superseded) => superseded,
            Err(error) => {
                let (files, error) = (locations.len(), store::with_causes(&error));
                tracing::warn!(files, error, "cannot ingest files together; trying each alone");
                (0..locations.len()).map(|position| (position, 0)).collect()
            }
        };
        for (position, generation_min) in alone {
            self.ingest_or_fail(&locations[position], generation_min, failures).await;
        }
    }

    async fn ingest_or_fail(&self, location: &ObjectLocation, generation_min: u64, failures: &mut Failures) {
        if let Err(error) = self.ingest_alone(location, generation_min).await {
            failures.insert(location.clone(), Arc::new(error));
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
            for chunk in locations.chunks(landing_file::FILES_AT_ONCE) {
                let reads = chunk.iter().cloned().map(|location| {
                    let lake = self.lake.clone();
                    async move { (File::read(&lake, &location, 0).await, location) }
                });
                for (file, location) in store::join_bounded(reads).await {
                    match file {
                        Ok(file) => files.extend(file),
                        Err(Error::Outdated) => self.ingest_or_fail(&location, 0, &mut failures).await,
                        Err(error) => drop(failures.insert(location, Arc::new(error))),
                    }
                }
                if files.iter().map(|file| file.held).sum::<u64>() > ROWS_MAX {
                    self.ingest_together(std::mem::take(&mut files), &mut failures).await;
                }
            }
            self.ingest_together(files, &mut failures).await;
            failures
        })
    }
}
