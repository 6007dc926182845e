//! `machine_learning_curated`: the training table, without personal columns.
//!
//! ```sql
//! SELECT sensorreadingtime, distancefromobject, x, y, z, same_customer
//! FROM (SELECT DISTINCT s.*, a.*, s.user = a.user AS same_customer
//!       FROM step_trainer_trusted s
//!       JOIN accelerometer_trusted a ON s.sensorreadingtime = a.timestamp)
//! WHERE pairs = 'same-instant' OR same_customer
//! ```
//!
//! *Distinct* is over all columns of both rows, before the personal ones are removed. Both tables are partitioned by the time
//! that joins them, so each partition is a function of the same partition of both. No row, footer or key identifies a
//! customer. The rule is [`training::join`] (`shared/formats/src/training.rs`).

use arrow_array::RecordBatch;
use bytes::Bytes;
use engine::{Cache, Error, Materialize, materialize};
use formats::columnar::Decoder;
use formats::training::{self, TrainingFrom};
use model::layout::{self, Object, ObjectLocation};
use model::slice::Slice;
use model::table::Table;
use runtime::function::{Failures, Function, Handling, Input};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::lake::Lake;
use store::{Change, Failure};

/// How many stored bytes of the cells of both tables are cached. Decoded, they take some ten times as much memory.
const CELLS_BYTES_MAX: usize = 4 << 20;

/// The function. Clones share the cache.
#[derive(Clone)]
pub struct MachineLearningCurated {
    lake: Lake,
    cells: Arc<Cache<Vec<RecordBatch>>>,
}

impl MachineLearningCurated {
    /// The function on `lake`.
    pub fn new(lake: Lake) -> Self {
        Self { lake, cells: Arc::new(Cache::new(CELLS_BYTES_MAX)) }
    }

    async fn update(&self, slice: Slice) -> Result<(), Error> {
        let had_rows = materialize(&self.lake, &Join { function: self, slice }).await?;
        if had_rows {
            self.lake.catalog.register(Table::MachineLearningCurated, &BTreeSet::from([slice.partition])).await?;
        }
        Ok(())
    }
}

impl Function for MachineLearningCurated {
    const TABLE: Table = Table::MachineLearningCurated;

    fn lake(&self) -> &Lake {
        &self.lake
    }

    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_> {
        Box::pin(async move {
            // Both changed cells of one slice cause one update.
            let mut slices: BTreeMap<Slice, Vec<ObjectLocation>> = BTreeMap::new();
            for (location, object) in inputs {
                if let Object::AccelerometerTrusted(slice) | Object::StepTrainerTrusted(slice) = object {
                    slices.entry(slice).or_default().push(location);
                }
            }
            let updates = slices.into_iter().map(|(slice, locations)| {
                let function = self.clone();
                async move { (locations, function.update(slice).await) }
            });
            let mut failures = Failures::new();
            for (locations, updated) in store::join_bounded(updates).await {
                if let Err(error) = updated {
                    let error: Arc<dyn Failure> = Arc::new(error);
                    failures.extend(locations.into_iter().map(|location| (location, error.clone())));
                }
            }
            failures
        })
    }
}

/// The output of one slice.
struct Join<'a> {
    function: &'a MachineLearningCurated,
    slice: Slice,
}

impl Materialize for Join<'_> {
    /// Whether the slice has, or ever had, training rows.
    type Report = bool;

    fn output(&self) -> String {
        layout::cell(Table::MachineLearningCurated, self.slice)
    }

    async fn compute(&self, stored: Option<Bytes>) -> Result<Change<bool>, Error> {
        let corrupt = || Error::corrupt(self.function.lake.at(self.output()));
        let (steps, motions) =
            tokio::try_join!(self.rows_of(Table::StepTrainerTrusted), self.rows_of(Table::AccelerometerTrusted))?;
        let was = stored.clone().map(TrainingFrom::of).transpose().map_err(corrupt())?;
        // An ETag may be a hash of the rows, and rows are personal. The table must hold no hash that anybody can compute.
        let version =
            |cell: &Option<Rows>| cell.as_ref().map(|(etag, _)| self.function.lake.hash_key().of(etag).to_string());
        let had_rows = was.as_ref().is_some_and(|was| was.had_rows);
        let from = TrainingFrom { step_trainer: version(&steps), accelerometer: version(&motions), had_rows };
        let is_one_absent = steps.is_none() || motions.is_none();
        if was.as_ref() == Some(&from) || was.is_none() && is_one_absent {
            return Ok(Change::Keep(had_rows));
        }
        let rows = |cell: Option<Rows>| cell.map(|(_, rows)| rows).unwrap_or_default();
        let rows = training::join(&rows(steps), &rows(motions), self.function.lake.config().pairs);
        let from = TrainingFrom { had_rows: had_rows || !rows.is_empty(), ..from };
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::SkipEqual) {
            let same = training::encode(&rows, &was.unwrap_or_default()).map_err(corrupt())?;
            if stored.map_or(rows.is_empty(), |stored| stored == same) {
                return Ok(Change::Keep(had_rows));
            }
        }
        Ok(Change::Put(training::encode(&rows, &from).map_err(corrupt())?, from.had_rows))
    }
}

/// The ETag of a cell, and its rows.
type Rows = (String, Arc<Vec<RecordBatch>>);

impl Join<'_> {
    /// Reads the cell of the slice in `table`.
    async fn rows_of(&self, table: Table) -> Result<Option<Rows>, Error> {
        let MachineLearningCurated { lake, cells } = self.function;
        let decode = move |bytes| Decoder::new(bytes, table.name())?.batches(table)?.collect();
        cells.read(&lake.store, &lake.at(layout::cell(table, self.slice)), decode).await
    }
}
