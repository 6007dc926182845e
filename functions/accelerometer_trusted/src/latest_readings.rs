//! Notes in `lookup/readings/` who has readings, and until when.

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

/// Brings the registers up to date with files that were announced.
pub(crate) async fn note(files: &Files, landed: &BTreeMap<FileName, CurrentManifest>) -> Result<(), Error> {
    let count = files.lake().config().customer_shards;
    let keys = landed.values().flat_map(|announced| announced.manifest.hashes());
    let shards: BTreeSet<Shard> = keys.map(|key| key.shard(count)).collect();
    if !shards.is_empty() {
        commit(files.lake(), &Registers { files, landed, shards, looked: AtomicBool::new(false) }).await?;
    }
    Ok(())
}

struct Registers<'a> {
    files: &'a Files,
    landed: &'a BTreeMap<FileName, CurrentManifest>,
    shards: BTreeSet<Shard>,
    /// Whether it was derived before. At first what was announced is taken as it was then: if nothing is put, nothing
    /// follows from it, and the look after a put tells whether that still stood. Only then is it worth a look before.
    looked: AtomicBool,
}

impl Materialize for Registers<'_> {
    type Report = ();

    fn outputs(&self) -> Vec<String> {
        self.shards.iter().map(|shard| layout::latest_readings(*shard)).collect()
    }

    /// A register is a function of the manifests alone: per customer the latest reading of any file. It is kept by
    /// raising it, so that a new file costs by its own keys. Only for a key that a replaced file has lowered, or lost,
    /// are all files of the key looked at; and always again for such a file, since a function that was killed in the
    /// middle comes back with nothing but the file's name.
    async fn materialize(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Materialized<()>, Error> {
        let LakeConfig { customer_shards: count, consent_policy: policy } = self.files.lake().config();
        // Many files of a batch have the same keys.
        let mut latest_ms: HashMap<KeyHash, i64, FixedState> = HashMap::default();
        let mut lowered = BTreeSet::new();
        let look = self.looked.swap(true, Ordering::Relaxed);
        let current = self.landed.iter().map(|(file, known)| self.current(file, known, look, inputs));
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
        // A shard that is not among the outputs: the file was announced anew since; its event will come.
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

impl Registers<'_> {
    /// The latest reading of each of these customers in all files.
    async fn latest_ms(
        &self,
        keys: BTreeSet<KeyHash>,
        inputs: &Inputs<'_>,
    ) -> Result<BTreeMap<KeyHash, Option<i64>>, Error> {
        let files = self.files.files_with_among(&keys, inputs).await?;
        let mut latest_ms: BTreeMap<KeyHash, Option<i64>> = keys.into_iter().map(|key| (key, None)).collect();
        for announced in store::try_join_bounded(files.iter().map(|file| self.manifest(file, inputs))).await? {
            for key in announced.keys() {
                if let Some(latest_ms) = latest_ms.get_mut(&key.hash) {
                    *latest_ms = key.latest_ms.max(*latest_ms);
                }
            }
        }
        Ok(latest_ms)
    }

    /// What is announced of a file: what was known of it when it was landed, or if we are to look, perhaps something newer.
    async fn current<'b>(
        &self,
        file: &FileName,
        known: &'b CurrentManifest,
        look: bool,
        inputs: &Inputs<'_>,
    ) -> Result<Cow<'b, FileManifest>, Error> {
        let location = self.files.lake().at(layout::manifest(Source::Accelerometer, file));
        if !look {
            inputs.note(&location, known.version.clone());
        }
        if !look || inputs.version(&location).await? == known.version {
            return Ok(Cow::Borrowed(&known.manifest));
        }
        Ok(Cow::Owned(self.manifest(file, inputs).await?))
    }

    async fn manifest(&self, file: &FileName, inputs: &Inputs<'_>) -> Result<FileManifest, Error> {
        let location = self.files.lake().at(layout::manifest(Source::Accelerometer, file));
        match inputs.read(&location).await? {
            Some(body) => FileManifest::decode(&body).map_err(Error::corrupt(location)),
            // In the index, but not announced yet: it says nothing of any key until its own event is handled.
            None => Ok(FileManifest::nothing(location)),
        }
    }
}
