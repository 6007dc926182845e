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
use formats::reading_rows::Output;
use formats::training;
use model::layout::{self, Object, ObjectLocation};
use model::table::Table;
use model::time::Partition;
use runtime::function::{Failures, Function, Handling, Input};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::lake::Lake;
use store::{Failure, Listing};

/// How many stored bytes of the files of both tables are cached. Decoded, they take some ten times as much memory.
const FILES_BYTES_MAX: usize = 4 << 20;

/// The function. Clones share the cache.
#[derive(Clone)]
pub struct MachineLearningCurated {
    lake: Lake,
    files: Arc<Cache<Vec<RecordBatch>>>,
}

impl MachineLearningCurated {
    /// The function on `lake`.
    pub fn new(lake: Lake) -> Self {
        Self { lake, files: Arc::new(Cache::new(FILES_BYTES_MAX)) }
    }

    async fn commit(&self, partition: Partition) -> Result<(), Error> {
        let committed = commit(&self.lake, &Join { function: self, partition }).await?;
        if committed.report.has_object {
            self.lake.catalog.register(Table::MachineLearningCurated, &BTreeSet::from([partition])).await?;
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
            // Several changed files of one partition cause one commit.
            let mut partitions: BTreeMap<Partition, Vec<ObjectLocation>> = BTreeMap::new();
            for (location, object) in inputs {
                if let Object::AccelerometerTrusted(partition) | Object::StepTrainerTrusted(partition) = object {
                    partitions.entry(partition).or_default().push(location);
                }
            }
            let commits = partitions.into_iter().map(|(partition, locations)| {
                let function = self.clone();
                async move { (locations, function.commit(partition).await) }
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

/// The output of one partition.
struct Join<'a> {
    function: &'a MachineLearningCurated,
    partition: Partition,
}

struct JoinReport {
    /// Whether the partition has an object, and so has, or once had, rows.
    has_object: bool,
}

impl Materialize for Join<'_> {
    type Report = JoinReport;

    fn outputs(&self) -> Vec<String> {
        vec![layout::training(self.partition)]
    }

    async fn materialize(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Materialized<JoinReport>, Error> {
        let tables = [Table::StepTrainerTrusted, Table::AccelerometerTrusted];
        let files = store::try_join_bounded(tables.map(async |table| {
            let listing = inputs.list(&layout::partition_prefix(table, self.partition)).await?;
            Ok::<_, Error>((table, listing))
        }));
        let files = files.await?;
        // One kind of file often arrives long before the other. Without both, no file is read.
        let rows = match files.iter().any(|(_, listing)| listing.objects.is_empty()) {
            true => Vec::new(),
            false => {
                let [steps, motions] = self.rows_of(tables, files, inputs).await?;
                training::join(&steps, &motions, self.function.lake.config().pairs)
            }
        };
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
    /// Reads the rows of the files, by table.
    async fn rows_of(
        &self,
        tables: [Table; 2],
        files: Vec<(Table, Listing)>,
        inputs: &Inputs<'_>,
    ) -> Result<[Vec<RecordBatch>; 2], Error> {
        let MachineLearningCurated { lake, files: cache } = self.function;
        let of_table = |(table, listing): (Table, Listing)| {
            listing.objects.into_iter().map(move |(key, etag)| (table, key, etag)).collect::<Vec<_>>()
        };
        let read = files.into_iter().flat_map(of_table).map(async |(table, key, etag)| {
            let decode = move |bytes| Output::decode(table, bytes)?.batches();
            Ok::<_, Error>((table, inputs.read_listed(cache, &lake.at(key), &etag, decode).await?))
        });
        let read = store::try_join_bounded(read).await?;
        Ok(tables.map(|table| {
            let of_table = read.iter().filter(|(of, _)| *of == table);
            of_table.filter_map(|(_, batches)| batches.as_deref()).flatten().cloned().collect()
        }))
    }
}
