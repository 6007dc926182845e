//! Customer files: their content, their manifests and their receipts.

use crate::shards::{Merged, Outcome};
use engine::landing_file::{self, LandingFile};
use engine::log::Timer;
use engine::manifest::Subject;
use engine::{Error, manifest, receipts};
use formats::customer_file::{Customers, FileCustomer};
use formats::landing::Undecodable;
use formats::receipt::{LandingVersion, Receipt};
use model::hash::Shard;
use model::layout::{self, FileId, ObjectLocation, Source};
use model::table::Table;
use std::collections::{BTreeMap, BTreeSet};
use store::StoreError;
use store::lake::Lake;

/// A customer file that has a manifest.
pub(crate) struct File {
    pub(crate) location: ObjectLocation,
    pub(crate) id: FileId,
    /// None if the file is deleted. Then only records of a version that was replaced before are removed.
    pub(crate) content: Option<LandingFile<Customers>>,
    pub(crate) generation: u64,
    /// The shards in which any version of the file has customers.
    pub(crate) shards: BTreeSet<Shard>,
    /// A bound of the records in memory.
    pub(crate) held: u64,
    /// What the file says of each customer, by shard.
    customers: BTreeMap<Shard, Vec<FileCustomer>>,
    timer: Timer,
}

/// Reads a customer file; none if it is deleted or archived.
pub(crate) async fn read_customers(
    lake: &Lake,
    location: &ObjectLocation,
) -> Result<Option<LandingFile<Customers>>, StoreError> {
    let collector = |stored_ms| Customers::stored_at(stored_ms, lake.hash_key().clone());
    landing_file::read(lake, location, collector, |_| Ok(())).await
}

impl File {
    /// Reads the file at `location`, and writes its manifest. None if it is deleted and has no manifest.
    ///
    /// # Errors
    /// [`Error::Outdated`] if the file has another version now.
    pub(crate) async fn read(
        lake: &Lake,
        location: &ObjectLocation,
        generation_min: u64,
    ) -> Result<Option<Self>, Error> {
        let (timer, id) = (Timer::start(), lake.file_id(location));
        let at = lake.at(layout::manifest(Source::Customer, id));
        let mut content = read_customers(lake, location).await?;
        let held = content.as_ref().map_or(0, |content| content.records.held());
        let mut customers: BTreeMap<Shard, Vec<FileCustomer>> = BTreeMap::new();
        for customer in content.iter_mut().flat_map(|content| content.records.take_customers()) {
            customers.entry(customer.key.shard(lake.config().customer_shards)).or_default().push(customer);
        }
        let manifest = match &content {
            Some(content) => {
                let touched = customers.keys().copied().collect();
                let stored_ms = Some(content.records.stored_ms());
                let undecodable = content.undecodable.as_ref().map(Undecodable::name);
                let (landing, etag) = (location, content.etag.as_str());
                let subject = Subject { landing, etag, stored_ms, undecodable, touched, generation_min };
                Some(manifest::write(lake, &at, subject, None).await?)
            }
            None => manifest::read(lake, &at).await?,
        };
        let Some(manifest) = manifest else {
            tracing::info!(object = %location, "landing file is deleted and has no manifest: nothing to do");
            return Ok(None);
        };
        let (location, generation, shards) = (location.clone(), manifest.generation, manifest.touched);
        Ok(Some(Self { location, id, content, generation, shards, held, customers, timer }))
    }

    /// Returns what the file says of the customers of a shard.
    pub(crate) fn customers_of(&self, shard: Shard) -> impl Iterator<Item = &FileCustomer> {
        self.customers.get(&shard).into_iter().flatten()
    }

    /// Writes the receipt of a file that was merged into its shards, and then its quarantine. `position` is the file's in the
    /// batch. Returns the generation of the stored receipt if that is a later one.
    pub(crate) async fn write_receipt(
        &self,
        lake: &Lake,
        position: usize,
        merged: &[Merged],
    ) -> Result<Option<u64>, Error> {
        let Some(content) = &self.content else { return Ok(None) };
        let version = LandingVersion { location: self.location.clone(), etag: content.etag.clone() };
        let mut receipt = Receipt::new(Source::Customer, self.id, version, &content.quarantine);
        receipt.undecodable = content.undecodable.as_ref().map(ToString::to_string);
        receipt.generation = self.generation;
        receipt.withdrew = content.records.withdrew();
        receipt.suspended = content.records.suspended();
        content.records.excluded().iter().for_each(|(reason, rows)| receipt.exclude(reason, *rows));
        let mut writes = 0;
        for Merged { shard, version, is_written, files } in merged {
            let Some((_, Outcome::Merged(counts))) = files.iter().find(|(of, _)| *of == position) else { continue };
            receipt.derived_from.insert(*shard, *version);
            if counts.kept > 0 {
                receipt.keep(layout::customers(Table::CustomerTrusted, *shard), counts.kept);
            }
            counts.excluded.iter().for_each(|(reason, rows)| receipt.exclude(reason, *rows));
            writes += usize::from(*is_written);
        }
        receipts::write(lake, &receipt, content.quarantine.file(), writes, &self.timer).await
    }
}
