//! `customer_curated`: the trusted customers who have accelerometer readings that count.
//!
//! ```sql
//! SELECT c.*
//! FROM customer_trusted c
//! JOIN readers r ON r.email = c.email  -- the latest reading of each customer, from `lookup/readers/`
//! WHERE consent_policy = 'ever' OR r.latest >= c.sharewithresearchasofdate
//! ```
//!
//! A trusted customer has a row in `accelerometer_trusted` exactly if the latest reading counts. So each shard is derived
//! from its `customer_trusted` shard and its readers register, and from nothing else.

use aws::function::{Failures, Function, Handling, Input};
use aws::lake::Lake;
use derivation::{CACHE_BYTES_MAX, Cache, Derivation, Derived, Error, Inputs, Stored, publish};
use lake::hash::Shard;
use lake::layout::{self, Object, Place};
use lake::readers::Readers;
use lake::table::Table;
use lake::trust::curated::CuratedShard;
use lake::trust::trusted::TrustedShard;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The function. A clone shares what is kept in memory.
#[derive(Clone)]
pub struct CustomerCurated {
    lake: Lake,
    trusted: Arc<Cache<TrustedShard>>,
}

impl CustomerCurated {
    /// The function on `lake`.
    pub fn new(lake: Lake) -> Self {
        Self { lake, trusted: Arc::new(Cache::new(CACHE_BYTES_MAX)) }
    }
}

impl Function for CustomerCurated {
    const TABLE: Table = Table::CustomerCurated;

    fn lake(&self) -> &Lake {
        &self.lake
    }

    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_> {
        Box::pin(async move {
            // However many events tell of a shard, it is derived once.
            let mut shards: BTreeMap<Shard, Vec<Place>> = BTreeMap::new();
            for (place, object) in inputs {
                if let Object::CustomerTrusted(shard) | Object::Readers(shard) = object {
                    shards.entry(shard).or_default().push(place);
                }
            }
            let derived = shards.into_iter().map(|(shard, places)| {
                let function = self.clone();
                async move { (places, publish(&function.lake, &Curation { function: &function, shard }).await) }
            });
            let mut failures = Failures::new();
            for (places, derived) in aws::spread(derived).await {
                if let Err(error) = derived {
                    let error = Arc::new(error);
                    failures.extend(places.into_iter().map(|place| (place, error.clone().into())));
                }
            }
            failures
        })
    }
}

/// One shard.
struct Curation<'a> {
    function: &'a CustomerCurated,
    shard: Shard,
}

impl Derivation for Curation<'_> {
    type Report = ();

    fn outputs(&self) -> Vec<String> {
        vec![layout::customers(Table::CustomerCurated, self.shard)]
    }

    async fn derive(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Derived<()>, Error> {
        let CustomerCurated { lake, trusted } = self.function;
        let trusted_at = lake.at(layout::customers(Table::CustomerTrusted, self.shard));
        let readers_at = lake.at(layout::readers(self.shard));
        let before = stored.iter().cloned().map(|stored| async move {
            let shard = stored.body.map(CuratedShard::decode).transpose();
            shard.map(Option::unwrap_or_default).map_err(Error::corrupt(stored.place))
        });
        // Both are decoded, on two cores if there are.
        let (trusted, before) =
            tokio::join!(inputs.decoded(trusted, &trusted_at, TrustedShard::decode), aws::spread(before));
        let trusted = trusted?.unwrap_or_default();
        let readers = inputs.read(&readers_at).await?.as_ref().map(Readers::decode).transpose();
        let readers = readers.map_err(Error::corrupt(readers_at))?.unwrap_or_default();
        let mut bodies = Vec::new();
        for (before, stored) in before.into_iter().zip(stored) {
            let after = before?.curate(&trusted, &readers, lake.charter().consent_policy);
            let body = after.and_then(|after| after.map(|after| after.encode()).transpose());
            bodies.push(body.map_err(Error::corrupt(stored.place.clone()))?);
        }
        Ok(Derived { bodies, report: () })
    }
}
