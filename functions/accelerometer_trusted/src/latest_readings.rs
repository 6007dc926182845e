//! Updates the latest-reading index in `lookup/readings/`: which customers have readings, and until when.

use crate::OfTrustedCustomers;
use engine::{Error, Inputs, Materialize, Materialized, Stored, commit};
use foldhash::fast::FixedState;
use formats::latest_readings::LatestReadings;
use formats::manifest::FileManifest;
use ingest::ReadingFiles;
use ingest::manifest::CurrentManifest;
use model::hash::{KeyHash, Shard};
use model::lake_config::LakeConfig;
use model::layout::{self, FileName, Source};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

type Files = ReadingFiles<OfTrustedCustomers>;

/// Updates the index with the manifests of ingested files.
pub(crate) async fn update(files: &Files, manifests: &BTreeMap<FileName, CurrentManifest>) -> Result<(), Error> {
    let count = files.lake().config().customer_shards;
    let keys = manifests.values().flat_map(|current| current.manifest.hashes());
    let shards: BTreeSet<Shard> = keys.map(|key| key.shard(count)).collect();
    if !shards.is_empty() {
        commit(files.lake(), &IndexUpdate { files, manifests, shards, is_retry: AtomicBool::new(false) }).await?;
    }
    Ok(())
}

struct IndexUpdate<'a> {
    files: &'a Files,
    manifests: &'a BTreeMap<FileName, CurrentManifest>,
    shards: BTreeSet<Shard>,
    /// Whether an attempt was made before. The first attempt takes the manifests as they were written: without a put, they do
    /// not matter, and after a put the engine checks them. Further attempts read their versions first.
    is_retry: AtomicBool,
}

impl Materialize for IndexUpdate<'_> {
    type Report = ();

    fn outputs(&self) -> Vec<String> {
        self.shards.iter().map(|shard| layout::latest_readings(*shard)).collect()
    }

    /// The index is a function of the manifests: for each customer, the latest reading of all files. A new file only raises
    /// it, so the cost depends on the file's own keys. If a new version of a file lowers the latest reading of a key, the key
    /// is counted again from all its files. This repeats at each later event of that file, since a killed function leaves
    /// only the file's name in its event.
    async fn materialize(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Materialized<()>, Error> {
        let LakeConfig { customer_shards: count, consent_policy: policy, .. } = self.files.lake().config();
        // Several files of a batch may have the same keys.
        let mut latest_ms: HashMap<KeyHash, i64, FixedState> = HashMap::default();
        let mut lowered = BTreeSet::new();
        let is_retry = self.is_retry.swap(true, Ordering::Relaxed);
        let current = self.manifests.iter().map(|(file, known)| self.current(file, known, is_retry, inputs));
        for key in store::try_join_bounded(current).await?.iter().flat_map(|manifest| manifest.keys()) {
            match key.latest_ms {
                _ if key.lowered => drop(lowered.insert(key.hash)),
                Some(time_ms) => {
                    latest_ms.entry(key.hash).and_modify(|latest| *latest = time_ms.max(*latest)).or_insert(time_ms);
                }
                None => {}
            }
        }
        let mut of_shard: BTreeMap<Shard, Vec<(KeyHash, i64)>> = BTreeMap::new();
        latest_ms.into_iter().for_each(|(key, ms)| of_shard.entry(key.shard(count)).or_default().push((key, ms)));
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::NeverRecounts) {
            lowered.clear();
        }
        let mut recounted: BTreeMap<Shard, BTreeMap<KeyHash, Option<i64>>> = BTreeMap::new();
        if !lowered.is_empty() {
            for (key, latest_ms) in self.latest_ms(lowered, inputs).await? {
                recounted.entry(key.shard(count)).or_default().insert(key, latest_ms);
            }
        }
        // A newer manifest may have keys in a shard that is not among the outputs. The event of that version updates it.
        let bodies = self.shards.iter().zip(stored).map(|(shard, stored)| {
            let was = stored.body.as_ref().map(LatestReadings::decode).transpose();
            let was = was.map_err(Error::corrupt(stored.location.clone()))?.unwrap_or_default();
            let raised = of_shard.remove(shard).and_then(|latest_ms| was.raised(latest_ms, policy));
            let is = raised.as_ref().unwrap_or(&was);
            let recounted = recounted.get(shard).and_then(|latest_ms| is.recounted(latest_ms, policy));
            let changed = recounted.or(raised).filter(|changed| *changed != was);
            Ok::<_, Error>(changed.map(|changed| changed.encode()))
        });
        Ok(Materialized { bodies: bodies.collect::<Result<_, _>>()?, report: () })
    }
}

impl IndexUpdate<'_> {
    /// Computes the latest reading of each of these customers from all files.
    async fn latest_ms(
        &self,
        keys: BTreeSet<KeyHash>,
        inputs: &Inputs<'_>,
    ) -> Result<BTreeMap<KeyHash, Option<i64>>, Error> {
        let files = self.files.files_with_as_input(&keys, inputs).await?;
        let mut latest_ms: BTreeMap<KeyHash, Option<i64>> = keys.into_iter().map(|key| (key, None)).collect();
        for manifest in store::try_join_bounded(files.iter().map(|file| self.manifest(file, inputs))).await? {
            for key in manifest.keys() {
                if let Some(latest_ms) = latest_ms.get_mut(&key.hash) {
                    *latest_ms = key.latest_ms.max(*latest_ms);
                }
            }
        }
        Ok(latest_ms)
    }

    /// Returns the manifest of a file: the known one, or on a retry perhaps a newer one.
    async fn current<'b>(
        &self,
        file: &FileName,
        known: &'b CurrentManifest,
        is_retry: bool,
        inputs: &Inputs<'_>,
    ) -> Result<Cow<'b, FileManifest>, Error> {
        let location = self.files.lake().at(layout::manifest(Source::Accelerometer, file));
        if !is_retry {
            inputs.record(&location, known.version.clone());
        }
        if !is_retry || inputs.version(&location).await? == known.version {
            return Ok(Cow::Borrowed(&known.manifest));
        }
        Ok(Cow::Owned(self.manifest(file, inputs).await?))
    }

    async fn manifest(&self, file: &FileName, inputs: &Inputs<'_>) -> Result<FileManifest, Error> {
        let location = self.files.lake().at(layout::manifest(Source::Accelerometer, file));
        match inputs.read(&location).await? {
            Some(body) => FileManifest::decode(&body).map_err(Error::corrupt(location)),
            // Without a manifest, the file has no outputs yet. Its own event updates the index.
            None => Ok(FileManifest::nothing(location)),
        }
    }
}
