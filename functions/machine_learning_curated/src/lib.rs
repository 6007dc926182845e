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
use engine::{Cache, Error, Inputs, Materialize, Materialized, Stored, commit};
use formats::columnar::Decoder;
use formats::training;
use model::layout::{self, Object, ObjectLocation};
use model::slice::Slice;
use model::table::Table;
use runtime::function::{Failures, Function, Handling, Input};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Failure;
use store::lake::Lake;

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

    async fn commit(&self, slice: Slice) -> Result<(), Error> {
        let committed = commit(&self.lake, &Join { function: self, slice }).await?;
        if committed.report.has_object {
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
            // Both changed cells of one slice cause one commit.
            let mut slices: BTreeMap<Slice, Vec<ObjectLocation>> = BTreeMap::new();
            for (location, object) in inputs {
                if let Object::AccelerometerTrusted(slice) | Object::StepTrainerTrusted(slice) = object {
                    slices.entry(slice).or_default().push(location);
                }
            }
            let commits = slices.into_iter().map(|(slice, locations)| {
                let function = self.clone();
                async move { (locations, function.commit(slice).await) }
            });
            let mut failures = Failures::new();
            for (locations, committed) in store::join_bounded(commits).await {
                if let Err(error) = committed {
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

struct JoinReport {
    /// Whether the slice has an object, and so has, or once had, rows.
    has_object: bool,
}

impl Materialize for Join<'_> {
    type Report = JoinReport;

    fn outputs(&self) -> Vec<String> {
        vec![layout::cell(Table::MachineLearningCurated, self.slice)]
    }

    async fn materialize(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Materialized<JoinReport>, Error> {
        let (steps, motions) = tokio::try_join!(
            self.rows_of(Table::StepTrainerTrusted, inputs),
            self.rows_of(Table::AccelerometerTrusted, inputs)
        )?;
        let rows = training::join(&steps, &motions, self.function.lake.config().pairs);
        let mut bodies = Vec::new();
        let mut has_object = !rows.is_empty();
        for stored in stored {
            let corrupt = || Error::corrupt(stored.location.clone());
            has_object |= stored.body.is_some();
            let same = match stored.body.clone() {
                Some(body) => training::holds(body, &rows).map_err(corrupt())?,
                None => rows.is_empty(),
            };
            bodies.push(if same { None } else { Some(training::encode(&rows).map_err(corrupt())?) });
        }
        Ok(Materialized { bodies, report: JoinReport { has_object } })
    }
}

impl Join<'_> {
    /// Reads the rows of the slice in `table`.
    async fn rows_of(&self, table: Table, inputs: &Inputs<'_>) -> Result<Arc<Vec<RecordBatch>>, Error> {
        let MachineLearningCurated { lake, cells } = self.function;
        let decode = move |bytes| Decoder::new(bytes, table.name())?.batches(table)?.collect();
        let rows = inputs.read_cached(cells, &lake.at(layout::cell(table, self.slice)), decode).await?;
        Ok(rows.unwrap_or_default())
    }
}
