//! The outputs of a file, its quarantine and its receipt, as one derivation.

use crate::content::{Basis, ReadingFile};
use crate::manifest::CurrentManifest;
use crate::{Customers, Found, ReadingFiles, Rule};
use bytes::Bytes;
#[cfg(feature = "broken")]
use engine::broken::{self, Broken};
use engine::{Error, Inputs, Materialize, Materialized, Stored};
use formats::customer_shard::Owner;
use formats::manifest::FileManifest;
use formats::reading::{Admitted, Reading, Readings, ReadingsCollector};
use formats::reading_rows::{self, Output, Provenance, ShardVersions};
use formats::receipt::{LandingVersion, Receipt};
use model::hash::{KeyHash, Shard};
use model::layout::{self, FileName, Object, ObjectLocation};
use model::time::Partition;
use std::collections::BTreeSet;
use store::Version;

/// Why a reading is excluded under the policy `at-reading`.
pub const BEFORE_CONSENT: &str = "before_consent";

/// Landing files → the rows of each in each partition, its quarantine and its receipt.
pub(crate) struct FilesMaterialization<'a, R: Rule> {
    pub(crate) files: &'a ReadingFiles<R>,
    pub(crate) found: &'a [Found<R>],
    /// Whether the manifest of each file is its first and this is the first attempt.
    ///
    /// Then no output was there when the files were announced, and neither a file nor its manifest is looked at again.
    /// If a later version of the file is announced, whoever announces it derives every announced partition and the
    /// receipt, and leaves an object at each even if it has no rows. So does this, on condition that there is none: if
    /// both are at it, the puts are refused to one of them, which then looks at everything. Only where the later version
    /// has no quarantine does it leave nothing, so whoever puts one has to see whether it is still that of the file. (If
    /// the later version is gone before it is derived, the receipt may be that of the first, which then has no rows.)
    pub(crate) first: bool,
}

/// One of the files, with the customers that decide.
///
/// If it is a *propagation*, the trust in somebody changed: then leave a new version of what was derived from older
/// shards, even if the rows are the same. A slow function that still wants to write what it derived from those older
/// shards then loses its compare-and-swap. Were it killed after such a write, nobody would repair it: the checkpoint has
/// moved on.
///
/// For the same reason what was derived under an older manifest gets a new version in any case: a slow propagation
/// may still want to write what it derived from a version of the file that is replaced.
struct FileMaterialization<'a, R: Rule> {
    files: &'a ReadingFiles<R>,
    location: &'a ObjectLocation,
    file: &'a FileName,
    manifest: &'a FileManifest,
    reprocessed: bool,
    customers: Customers<R::Shard>,
}

/// What a derivation found of a file.
pub(crate) struct FileReport {
    /// Its account; none if there is none yet and this is not the location to write it.
    pub(crate) receipt: Option<Receipt>,
    /// The partitions that have, or ever had, rows of the file.
    pub(crate) partitions: BTreeSet<Partition>,
    /// How many of its objects get a new version.
    pub(crate) writes: usize,
}

/// The locations of a file's outputs: receipt and quarantine first, then one for each announced partition.
const RECEIPT: usize = 0;
const QUARANTINE: usize = 1;
const PARTITIONS: usize = 2;

impl<R: Rule> Materialize for FilesMaterialization<'_, R> {
    type Report = Vec<FileReport>;

    fn outputs(&self) -> Vec<String> {
        let source = R::Reading::SOURCE;
        let mut keys = Vec::new();
        for Found { file, announced, .. } in self.found {
            keys.extend([layout::receipt(source, file), layout::quarantine(source, file)]);
            let partitions = announced.manifest.partitions.iter();
            keys.extend(partitions.map(|partition| layout::readings(R::Reading::TRUSTED, *partition, file)));
        }
        keys
    }

    async fn materialize(
        &self,
        stored: &[Stored],
        inputs: &Inputs<'_>,
    ) -> Result<Materialized<Vec<FileReport>>, Error> {
        for found in self.found {
            self.check(found, inputs).await?;
        }
        let customers = self.customers(inputs).await?;
        let mut rest = stored;
        let mut derived = Materialized { bodies: Vec::new(), report: Vec::new() };
        for found in self.found {
            let outputs = PARTITIONS + found.announced.manifest.partitions.len();
            let (stored, behind) = rest.split_at(outputs);
            rest = behind;
            let Materialized { bodies, report } = self.file(found, &customers).materialize(stored, &found.basis)?;
            derived.bodies.extend(bodies);
            derived.report.push(report);
        }
        Ok(derived)
    }
}

impl<'a, R: Rule> FilesMaterialization<'a, R> {
    /// Sees to it that a file is still what it was found to be.
    ///
    /// Its content was read before it was announced. So, but for its [first](Self::first) derivation, it is looked at
    /// again: a function that was slow may have
    /// announced a version that had been replaced, whose successor's event is over.
    async fn check(&self, found: &Found<R>, inputs: &Inputs<'_>) -> Result<(), Error> {
        let Found { location, file, basis, announced: CurrentManifest { manifest, version, .. }, .. } = found;
        let announced = self.files.lake().at(layout::manifest(R::Reading::SOURCE, file));
        if let (true, Basis::Current(landed)) = (self.first, basis) {
            if !landed.quarantine.file().is_empty() {
                inputs.note(&announced, version.clone());
            }
            return Ok(());
        }
        let now = inputs.version(location).await?;
        // The outputs were told by what was announced; if that is out of date, so are they.
        let current = inputs.version(&announced).await? == *version;
        #[cfg(feature = "broken")]
        let current = current || broken::is(Broken::StaleManifest) || broken::is(Broken::ManifestLate);
        match basis {
            _ if !current => Err(Error::Outdated),
            Basis::Current(landed) if now != Version::Etag(landed.etag.clone()) => Err(Error::Outdated),
            // It is the announced version after all.
            Basis::Superseded if now == Version::Etag(manifest.etag.clone()) => Err(Error::Outdated),
            Basis::Current(_) | Basis::Superseded | Basis::Gone => Ok(()),
        }
    }

    /// One of the files, with the customers that decide on it and no others: what is derived of a file does not depend
    /// on those that it is derived with.
    fn file(&self, found: &'a Found<R>, customers: &Customers<R::Shard>) -> FileMaterialization<'a, R> {
        let Found { location, file, announced, reprocessed, .. } = found;
        let manifest = &announced.manifest;
        let shards = R::shards_of(&mut manifest.hashes(), customers.count);
        let known = |shard: &Shard| Some((*shard, customers.shards.get(shard)?.clone()));
        let customers = Customers { count: customers.count, shards: shards.iter().filter_map(known).collect() };
        FileMaterialization { files: self.files, location, file, manifest, reprocessed: *reprocessed, customers }
    }

    /// The customers that decide.
    async fn customers(&self, inputs: &Inputs<'_>) -> Result<Customers<R::Shard>, Error> {
        let count = self.files.lake().config().customer_shards;
        let mut keys = self.found.iter().flat_map(|found| found.announced.manifest.hashes());
        let shards = R::shards_of(&mut keys, count);
        if shards.len() > 1 && shards.len() == usize::from(count.get()) {
            return self.all_customers(inputs).await;
        }
        let read = shards.into_iter().map(async |shard| {
            let location = self.files.lake().at(layout::customers(R::CUSTOMERS, shard));
            let customers = inputs.decoded(&self.files.shards, &location, R::decode).await?;
            Ok::<_, Error>(customers.map(|customers| (shard, customers)))
        });
        Ok(Customers { count, shards: store::try_join_bounded(read).await?.into_iter().flatten().collect() })
    }

    /// All shards: one list tells which of them a warm function does not have in their current versions.
    async fn all_customers(&self, inputs: &Inputs<'_>) -> Result<Customers<R::Shard>, Error> {
        let count = self.files.lake().config().customer_shards;
        let listing = inputs.list(R::CUSTOMERS.prefix()).await?;
        let read = listing.objects.into_iter().map(async |(key, etag)| {
            let (Some(Object::CustomerTrusted(shard) | Object::CustomerCurated(shard)), location) =
                (Object::parse(&key), self.files.lake().at(key))
            else {
                return Ok(None);
            };
            let customers = inputs.listed(&self.files.shards, &location, &etag, R::decode).await?;
            Ok::<_, Error>(customers.map(|customers| (shard, customers)))
        });
        Ok(Customers { count, shards: store::try_join_bounded(read).await?.into_iter().flatten().collect() })
    }
}

impl<R: Rule> FileMaterialization<'_, R> {
    /// Derives the outputs from the file's readings, if it is there in its announced version, or from what is left of
    /// them.
    fn materialize(&self, stored: &[Stored], basis: &Basis<R::Reading>) -> Result<Materialized<FileReport>, Error> {
        match basis {
            Basis::Current(landed) => self.materialize_rows(stored, Some(landed), &landed.readings),
            Basis::Superseded | Basis::Gone => self.materialize_rows(stored, None, &self.left_of(stored)?),
        }
    }

    /// Derives the outputs from `readings`: those of the file, if it is `landed`, or what is left of them.
    fn materialize_rows(
        &self,
        stored: &[Stored],
        landed: Option<&ReadingFile<R::Reading>>,
        readings: &Readings<R::Reading>,
    ) -> Result<Materialized<FileReport>, Error> {
        let customers = &self.customers;
        let mut receipt = match landed {
            Some(landed) => Some(self.receipt_of(landed)),
            None => self.receipt_so_far(&stored[RECEIPT])?,
        };
        let corrupt = |(shard, corrupt)| Error::corrupt(self.trust_at(shard))(corrupt);
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
            let (mut rows, mut not_trusted, mut before_consent) = (Vec::new(), 0, 0);
            for row in &readings.rows()[range] {
                let key = row.key as usize;
                match owners[key] {
                    None => not_trusted += 1,
                    Some(owner) if !policy.admits(row.time_ms, owner.since_ms) => before_consent += 1,
                    Some(owner) => {
                        let key = readings.keys()[key].text.as_str();
                        rows.push(Admitted { key, owner: owner.email, time_ms: row.time_ms, value: row.value });
                    }
                }
            }
            match (landed, &mut receipt) {
                (Some(_), Some(receipt)) => {
                    receipt.exclude(R::EXCLUDED, not_trusted);
                    receipt.exclude(BEFORE_CONSENT, before_consent);
                    receipt.keep(stored.location.key.clone(), rows.len() as u64);
                }
                (None, Some(receipt)) => {
                    let reason = if not_trusted > 0 { R::EXCLUDED } else { BEFORE_CONSENT };
                    receipt.withdraw(&stored.location.key, rows.len() as u64, reason);
                }
                (_, None) => {}
            }
            let (body, had_rows) = self.partition(stored, &rows, &seen, self.manifest.keys_in(i))?;
            if had_rows {
                partitions.insert(*partition);
            }
            bodies[PARTITIONS + i] = body;
        }
        if let Some(receipt) = &mut receipt {
            receipt.generation = self.manifest.generation;
            receipt.derived_from = seen;
            bodies[RECEIPT] = self.receipt(&stored[RECEIPT], receipt)?;
        }
        // No change of trust changes what was rejected.
        if let Some(landed) = landed.filter(|_| !self.reprocessed) {
            bodies[QUARANTINE] = changed_quarantine(&stored[QUARANTINE], landed.quarantine.file());
        }
        let writes = bodies.iter().flatten().count();
        Ok(Materialized { bodies, report: FileReport { receipt, partitions, writes } })
    }

    fn trust_at(&self, shard: Shard) -> ObjectLocation {
        self.files.lake().at(layout::customers(R::CUSTOMERS, shard))
    }

    /// Whether what was derived from shards in the versions `was` is older than a change of trust in one of `keys`; this
    /// matters in a propagation only.
    fn is_older(&self, was: &ShardVersions, mut keys: impl Iterator<Item = KeyHash>) -> Result<bool, Error> {
        #[cfg(feature = "broken")]
        if broken::is(Broken::NoFence) {
            return Ok(false);
        }
        if !self.reprocessed {
            return Ok(false);
        }
        let mut newer = Vec::new();
        for (shard, customers) in &self.customers.shards {
            let seen = was.get(shard).copied().unwrap_or(0);
            if R::version(customers) > seen {
                newer.push((seen, R::versions(customers).map_err(Error::corrupt(self.trust_at(*shard)))?));
            }
        }
        let has_changed = |key| newer.iter().any(|(seen, versions)| versions.changed(key) > *seen);
        Ok(!newer.is_empty() && keys.any(has_changed))
    }

    /// The new body of one partition's output, and whether the output has, or ever had, rows.
    fn partition(
        &self,
        stored: &Stored,
        rows: &[Admitted<'_, <R::Reading as Reading>::Value>],
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
        // A file that was never replaced leaves nothing where it has no rows.
        let generation = self.manifest.generation;
        let same_version = was.generation == generation || (stored.body.is_none() && generation == 1);
        if same && same_version && !self.is_older(&was.shards, keys)? {
            return Ok((None, had_rows));
        }
        let provenance = Provenance { shards: seen.clone(), generation, had_rows };
        Ok((Some(reading_rows::encode::<R::Reading>(rows, &provenance).map_err(corrupt())?), had_rows))
    }

    fn receipt(&self, stored: &Stored, receipt: &Receipt) -> Result<Option<Bytes>, Error> {
        let corrupt = || Error::corrupt(stored.location.clone());
        if let Some(body) = &stored.body {
            let was = Receipt::decode(body).map_err(corrupt())?;
            if was.says_the_same(receipt) && !self.is_older(&was.derived_from, self.manifest.hashes())? {
                return Ok(None);
            }
        }
        receipt.encode().map(Some).map_err(corrupt())
    }

    fn receipt_of(&self, landed: &ReadingFile<R::Reading>) -> Receipt {
        let version = LandingVersion { location: self.location.clone(), etag: landed.etag.clone() };
        let mut receipt = Receipt::new(R::Reading::SOURCE, self.file, version, &landed.quarantine);
        receipt.undecodable = landed.undecodable.as_ref().map(ToString::to_string);
        receipt
    }

    /// Of a file that is gone, its receipt is what is known. So it is of one whose version is not announced yet: the
    /// event of that version will write it anew.
    fn receipt_so_far(&self, stored: &Stored) -> Result<Option<Receipt>, Error> {
        let receipt = stored.body.as_ref().map(Receipt::decode).transpose();
        receipt.map_err(Error::corrupt(stored.location.clone()))
    }

    /// Of a file that is gone, or replaced by a version that is not announced yet, the rows that were let through are
    /// left: they can be withdrawn, but none can come back.
    fn left_of(&self, stored: &[Stored]) -> Result<Readings<R::Reading>, Error> {
        let mut left = ReadingsCollector::default();
        for stored in &stored[PARTITIONS..] {
            let corrupt = || Error::corrupt(stored.location.clone());
            let Some(body) = stored.body.clone() else { continue };
            let output = Output::decode(R::Reading::TRUSTED, body).map_err(corrupt())?;
            for batch in output.batches().map_err(corrupt())? {
                for row in 0..batch.num_rows() {
                    let (key, time_ms, value) = R::Reading::stored(&batch, row);
                    left.add(key, time_ms, value);
                }
            }
        }
        Ok(left.finish())
    }
}

/// A quarantine that loses all its lines is replaced by an empty one; one that never had any is not made.
fn changed_quarantine(stored: &Stored, file: Bytes) -> Option<Bytes> {
    (stored.body.as_deref().unwrap_or_default() != file).then_some(file)
}
