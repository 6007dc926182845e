//! Computes the outputs of a landing file: rows, quarantine and receipt.

use crate::content::{Basis, ReadingFile};
use crate::manifest::CurrentManifest;
use crate::{Customers, ReadingFiles, Rule, WorkItem};
use bytes::Bytes;
#[cfg(feature = "broken")]
use engine::broken::{self, Broken};
use engine::{Cause, Error, Inputs, Materialize, Materialized, Stored};
use formats::customer_shard::Owner;
use formats::manifest::FileManifest;
use formats::reading::{EligibleReading, Reading, Readings, ReadingsCollector};
use formats::reading_rows::{self, Output, Provenance, ShardVersions};
use formats::receipt::{LandingVersion, Receipt};
use model::hash::{KeyHash, Shard};
use model::layout::{self, FileName, Object, ObjectLocation};
use model::time::Partition;
use std::collections::BTreeSet;
use store::Version;

/// The reason to exclude a reading under the policy `at-reading`.
pub const BEFORE_CONSENT: &str = "before_consent";

/// The outputs of several files: for each, its receipt, its quarantine and its rows by partition.
pub(crate) struct FilesMaterialization<'a, R: Rule> {
    pub(crate) files: &'a ReadingFiles<R>,
    pub(crate) items: &'a [WorkItem<R>],
    /// Whether this is the first attempt and each manifest is the first of its file.
    ///
    /// Then no output existed when the manifests were written. So neither a file nor its manifest is read again. A function
    /// that ingests a newer version of the file puts an object at every partition and at the receipt, even without rows.
    /// This one puts the same objects on condition that there are none. If both run at once, one of them gets a conflict
    /// and reads everything again.
    ///
    /// The quarantine is an exception: a newer version without rejected pieces puts none. So a file with a quarantine
    /// checks its manifest. (If the newer version is deleted before its outputs are computed, the receipt may be that of
    /// the first version; that one then has no rows.)
    pub(crate) first: bool,
}

/// The outputs of one file, with the customers that decide on its rows.
///
/// With [`Cause::ConsentChanged`], each output of older shards gets a new version even if its rows are equal: a *fence*. A
/// slow function may still hold rows of those older shards; the fence makes its put a conflict. Without the fence, that put
/// could succeed, and the function could be killed before it checks its inputs. Nothing would repair the output, because
/// the checkpoint has advanced.
///
/// For the same reason, each output of an older manifest gets a new version for any cause: a slow reprocessing may still
/// hold rows of a superseded version of the file.
struct FileMaterialization<'a, R: Rule> {
    files: &'a ReadingFiles<R>,
    location: &'a ObjectLocation,
    file: &'a FileName,
    manifest: &'a FileManifest,
    cause: Cause,
    customers: Customers<R::Shard>,
}

/// What a commit reports about a file.
pub(crate) struct FileReport {
    /// Its receipt; none if it has none and only its own event may write one.
    pub(crate) receipt: Option<Receipt>,
    /// The partitions that have, or once had, rows of the file.
    pub(crate) partitions: BTreeSet<Partition>,
    /// How many of its objects got a new version.
    pub(crate) writes: usize,
}

/// The positions of a file's outputs: receipt, quarantine, then one for each partition of the manifest.
const RECEIPT: usize = 0;
const QUARANTINE: usize = 1;
const PARTITIONS: usize = 2;

impl<R: Rule> Materialize for FilesMaterialization<'_, R> {
    type Report = Vec<FileReport>;

    fn outputs(&self) -> Vec<String> {
        let source = R::Reading::SOURCE;
        let mut keys = Vec::new();
        for WorkItem { file, current, .. } in self.items {
            keys.extend([layout::receipt(source, file), layout::quarantine(source, file)]);
            let partitions = current.manifest.partitions.iter();
            keys.extend(partitions.map(|partition| layout::readings(R::Reading::TRUSTED, *partition, file)));
        }
        keys
    }

    async fn materialize(
        &self,
        stored: &[Stored],
        inputs: &Inputs<'_>,
    ) -> Result<Materialized<Vec<FileReport>>, Error> {
        for item in self.items {
            self.check(item, inputs).await?;
        }
        let customers = self.customers(inputs).await?;
        let mut rest = stored;
        let mut all = Materialized { bodies: Vec::new(), report: Vec::new() };
        for item in self.items {
            let outputs = PARTITIONS + item.current.manifest.partitions.len();
            let (stored, behind) = rest.split_at(outputs);
            rest = behind;
            let Materialized { bodies, report } = self.file(item, &customers).materialize(stored, &item.basis)?;
            all.bodies.extend(bodies);
            all.report.push(report);
        }
        Ok(all)
    }
}

impl<'a, R: Rule> FilesMaterialization<'a, R> {
    /// Checks that a file still has the state of its work item, and makes its version and its manifest inputs.
    ///
    /// The content was read before the manifest was written. So, except in the [first](Self::first) attempt, the file is
    /// checked: a slow function may have written a manifest of a superseded version after the newer version's event.
    async fn check(&self, item: &WorkItem<R>, inputs: &Inputs<'_>) -> Result<(), Error> {
        let WorkItem { location, file, basis, current: CurrentManifest { manifest, version, .. }, .. } = item;
        let manifest_at = self.files.lake().at(layout::manifest(R::Reading::SOURCE, file));
        if let (true, Basis::Current(content)) = (self.first, basis) {
            if !content.quarantine.file().is_empty() {
                inputs.record(&manifest_at, version.clone());
            }
            return Ok(());
        }
        let now = inputs.version(location).await?;
        // The manifest gave the keys of the outputs. With another manifest, they may differ.
        let current = inputs.version(&manifest_at).await? == *version;
        #[cfg(feature = "broken")]
        let current = current || broken::is(Broken::StaleManifest) || broken::is(Broken::ManifestLate);
        match basis {
            _ if !current => Err(Error::Outdated),
            Basis::Current(content) if now != Version::Etag(content.etag.clone()) => Err(Error::Outdated),
            // The version that the manifest names is there again.
            Basis::Superseded if now == Version::Etag(manifest.etag.clone()) => Err(Error::Outdated),
            Basis::Current(_) | Basis::Superseded | Basis::Deleted => Ok(()),
        }
    }

    /// Selects one file and the customers that decide on it. So its outputs do not depend on the other files of the batch.
    fn file(&self, item: &'a WorkItem<R>, customers: &Customers<R::Shard>) -> FileMaterialization<'a, R> {
        let WorkItem { location, file, current, cause, .. } = item;
        let manifest = &current.manifest;
        let shards = R::shards_of(&mut manifest.hashes(), customers.count);
        let known = |shard: &Shard| Some((*shard, customers.shards.get(shard)?.clone()));
        let customers = Customers { count: customers.count, shards: shards.iter().filter_map(known).collect() };
        FileMaterialization { files: self.files, location, file, manifest, cause: *cause, customers }
    }

    /// Reads the customers that decide on the files.
    async fn customers(&self, inputs: &Inputs<'_>) -> Result<Customers<R::Shard>, Error> {
        let count = self.files.lake().config().customer_shards;
        let mut keys = self.items.iter().flat_map(|item| item.current.manifest.hashes());
        let shards = R::shards_of(&mut keys, count);
        if shards.len() > 1 && shards.len() == usize::from(count.get()) {
            return self.all_customers(inputs).await;
        }
        let read = shards.into_iter().map(async |shard| {
            let location = self.files.lake().at(layout::customers(R::CUSTOMERS, shard));
            let customers = inputs.read_cached(&self.files.shards, &location, R::decode).await?;
            Ok::<_, Error>(customers.map(|customers| (shard, customers)))
        });
        Ok(Customers { count, shards: store::try_join_bounded(read).await?.into_iter().flatten().collect() })
    }

    /// Reads all shards. One list gives their versions, and a warm function reads only the changed ones.
    async fn all_customers(&self, inputs: &Inputs<'_>) -> Result<Customers<R::Shard>, Error> {
        let count = self.files.lake().config().customer_shards;
        let listing = inputs.list(R::CUSTOMERS.prefix()).await?;
        let read = listing.objects.into_iter().map(async |(key, etag)| {
            let (Some(Object::CustomerTrusted(shard) | Object::CustomerCurated(shard)), location) =
                (Object::parse(&key), self.files.lake().at(key))
            else {
                return Ok(None);
            };
            let customers = inputs.read_listed(&self.files.shards, &location, &etag, R::decode).await?;
            Ok::<_, Error>(customers.map(|customers| (shard, customers)))
        });
        Ok(Customers { count, shards: store::try_join_bounded(read).await?.into_iter().flatten().collect() })
    }
}

impl<R: Rule> FileMaterialization<'_, R> {
    /// Computes the outputs from the readings of a current file. For a superseded or deleted file, it uses the readings of the
    /// stored outputs.
    fn materialize(&self, stored: &[Stored], basis: &Basis<R::Reading>) -> Result<Materialized<FileReport>, Error> {
        match basis {
            Basis::Current(content) => self.materialize_rows(stored, Some(content), &content.readings),
            Basis::Superseded | Basis::Deleted => self.materialize_rows(stored, None, &self.stored_readings(stored)?),
        }
    }

    /// Computes the outputs from `readings`: those of `content` for a current file, else those of the stored outputs.
    fn materialize_rows(
        &self,
        stored: &[Stored],
        content: Option<&ReadingFile<R::Reading>>,
        readings: &Readings<R::Reading>,
    ) -> Result<Materialized<FileReport>, Error> {
        let customers = &self.customers;
        let mut receipt = match content {
            Some(content) => Some(self.new_receipt(content)),
            None => self.stored_receipt(&stored[RECEIPT])?,
        };
        let corrupt = |(shard, corrupt)| Error::corrupt(self.shard_at(shard))(corrupt);
        let owners = readings.keys().iter().map(|key| R::owner(customers, key).map_err(corrupt));
        let owners: Vec<Option<Owner<'_>>> = owners.collect::<Result<_, _>>()?;
        let policy = self.files.lake().config().consent_policy;
        let seen: ShardVersions =
            customers.shards.iter().map(|(shard, customers)| (*shard, R::version(customers))).collect();

        let mut bodies = vec![None; stored.len()];
        let mut partitions = BTreeSet::new();
        let ranges = readings.partitions();
        for (i, partition) in self.manifest.partitions.iter().enumerate() {
            let stored = &stored[PARTITIONS + i];
            let range = ranges.iter().find(|(of, _)| of == partition).map_or(0..0, |(_, range)| range.clone());
            let (mut rows, mut not_eligible, mut before_consent) = (Vec::new(), 0, 0);
            for row in &readings.rows()[range] {
                let key = row.key as usize;
                match owners[key] {
                    None => not_eligible += 1,
                    Some(owner) if !policy.admits(row.time_ms, owner.since_ms) => before_consent += 1,
                    Some(owner) => {
                        let key = readings.keys()[key].text.as_str();
                        rows.push(EligibleReading { key, owner: owner.email, time_ms: row.time_ms, value: row.value });
                    }
                }
            }
            match (content, &mut receipt) {
                (Some(_), Some(receipt)) => {
                    receipt.exclude(R::EXCLUDED, not_eligible);
                    receipt.exclude(BEFORE_CONSENT, before_consent);
                    receipt.keep(stored.location.key.clone(), rows.len() as u64);
                }
                (None, Some(receipt)) => {
                    let reason = if not_eligible > 0 { R::EXCLUDED } else { BEFORE_CONSENT };
                    receipt.withdraw(&stored.location.key, rows.len() as u64, reason);
                }
                (_, None) => {}
            }
            let (body, had_rows) = self.changed_partition(stored, &rows, &seen, self.manifest.keys_in(i))?;
            if had_rows {
                partitions.insert(*partition);
            }
            bodies[PARTITIONS + i] = body;
        }
        if let Some(receipt) = &mut receipt {
            receipt.generation = self.manifest.generation;
            receipt.derived_from = seen;
            bodies[RECEIPT] = self.changed_receipt(&stored[RECEIPT], receipt)?;
        }
        // A change of consent does not change the quarantine.
        if let Some(content) = content.filter(|_| self.cause == Cause::Ingested) {
            bodies[QUARANTINE] = changed_quarantine(&stored[QUARANTINE], content.quarantine.file());
        }
        let writes = bodies.iter().flatten().count();
        Ok(Materialized { bodies, report: FileReport { receipt, partitions, writes } })
    }

    fn shard_at(&self, shard: Shard) -> ObjectLocation {
        self.files.lake().at(layout::customers(R::CUSTOMERS, shard))
    }

    /// Whether an output of these shard versions needs a fence: the cause is a change of consent, and the consent of one of
    /// `keys` changed after those versions.
    fn needs_fence(&self, was: &ShardVersions, mut keys: impl Iterator<Item = KeyHash>) -> Result<bool, Error> {
        #[cfg(feature = "broken")]
        if broken::is(Broken::NoFence) {
            return Ok(false);
        }
        if self.cause != Cause::ConsentChanged {
            return Ok(false);
        }
        let mut newer = Vec::new();
        for (shard, customers) in &self.customers.shards {
            let seen = was.get(shard).copied().unwrap_or(0);
            if R::version(customers) > seen {
                newer.push((seen, R::versions(customers).map_err(Error::corrupt(self.shard_at(*shard)))?));
            }
        }
        let has_changed = |key| newer.iter().any(|(seen, versions)| versions.changed(key) > *seen);
        Ok(!newer.is_empty() && keys.any(has_changed))
    }

    /// Returns a new body of one partition's output, if it needs one, and whether the output has, or once had, rows.
    fn changed_partition(
        &self,
        stored: &Stored,
        rows: &[EligibleReading<'_, <R::Reading as Reading>::Value>],
        seen: &ShardVersions,
        keys: impl Iterator<Item = KeyHash>,
    ) -> Result<(Option<Bytes>, bool), Error> {
        let corrupt = || Error::corrupt(stored.location.clone());
        let output = stored.body.clone().map(|body| Output::decode(R::Reading::TRUSTED, body)).transpose();
        let (was, same) = match output.map_err(corrupt())? {
            Some(output) => (output.provenance.clone(), output.holds::<R::Reading>(rows).map_err(corrupt())?),
            None => (Provenance::default(), rows.is_empty()),
        };
        let had_rows = was.had_rows || !rows.is_empty();
        // The first generation puts no object without rows.
        let generation = self.manifest.generation;
        let same_version = was.generation == generation || (stored.body.is_none() && generation == 1);
        if same && same_version && !self.needs_fence(&was.shards, keys)? {
            return Ok((None, had_rows));
        }
        let provenance = Provenance { shards: seen.clone(), generation, had_rows };
        Ok((Some(reading_rows::encode::<R::Reading>(rows, &provenance).map_err(corrupt())?), had_rows))
    }

    /// Returns a new body of the receipt, if it needs one.
    fn changed_receipt(&self, stored: &Stored, receipt: &Receipt) -> Result<Option<Bytes>, Error> {
        let corrupt = || Error::corrupt(stored.location.clone());
        if let Some(body) = &stored.body {
            let was = Receipt::decode(body).map_err(corrupt())?;
            if was.says_the_same(receipt) && !self.needs_fence(&was.derived_from, self.manifest.hashes())? {
                return Ok(None);
            }
        }
        receipt.encode().map(Some).map_err(corrupt())
    }

    fn new_receipt(&self, content: &ReadingFile<R::Reading>) -> Receipt {
        let version = LandingVersion { location: self.location.clone(), etag: content.etag.clone() };
        let mut receipt = Receipt::new(R::Reading::SOURCE, self.file, version, &content.quarantine);
        receipt.undecodable = content.undecodable.as_ref().map(ToString::to_string);
        receipt
    }

    /// Reads the stored receipt of a superseded or deleted file. The event of a newer version replaces it.
    fn stored_receipt(&self, stored: &Stored) -> Result<Option<Receipt>, Error> {
        let receipt = stored.body.as_ref().map(Receipt::decode).transpose();
        receipt.map_err(Error::corrupt(stored.location.clone()))
    }

    /// Reads the readings of the stored outputs. Of a superseded or deleted file, rows can only be removed.
    fn stored_readings(&self, stored: &[Stored]) -> Result<Readings<R::Reading>, Error> {
        let mut readings = ReadingsCollector::default();
        for stored in &stored[PARTITIONS..] {
            let corrupt = || Error::corrupt(stored.location.clone());
            let Some(body) = stored.body.clone() else { continue };
            let output = Output::decode(R::Reading::TRUSTED, body).map_err(corrupt())?;
            for batch in output.batches().map_err(corrupt())? {
                for row in 0..batch.num_rows() {
                    let (key, time_ms, value) = R::Reading::stored(&batch, row);
                    readings.add(key, time_ms, value);
                }
            }
        }
        Ok(readings.finish())
    }
}

/// Returns a new body of the quarantine, if it needs one. A stored quarantine becomes empty, but an empty one is not
/// created.
fn changed_quarantine(stored: &Stored, file: Bytes) -> Option<Bytes> {
    (stored.body.as_deref().unwrap_or_default() != file).then_some(file)
}
