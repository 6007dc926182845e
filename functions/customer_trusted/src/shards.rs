//! Announces which shards a file may touch, and derives them.

use aws::lake::Lake;
use aws::landing::{self, Landed};
use aws::store::{Read, Version};
use derivation::{ATTEMPTS_MAX, Derivation, Derived, Error, Inputs, Stored};
use lake::announcement::CustomerAnnouncement;
use lake::customer::{Customer, Customers};
use lake::hash::Shard;
use lake::layout::{self, FileName, Place, Source};
use lake::table::Table;
use lake::trust::trusted::CustomerShard;
use std::collections::{BTreeMap, BTreeSet};

/// A customer file that was read and announced.
pub(crate) struct File {
    pub(crate) place: Place,
    pub(crate) name: FileName,
    pub(crate) landed: Landed<Customers>,
    /// The shards that any version of it has customers in.
    pub(crate) touches: BTreeSet<Shard>,
}

impl File {
    /// Reads the file at `place` and announces the shards it may touch, so that whoever comes after a killed function
    /// knows them, even if the file is replaced meanwhile. None if there is no such file.
    pub(crate) async fn announced(lake: &Lake, place: &Place) -> Result<Option<Self>, Error> {
        let Some(landed) = landing::read::<Customers>(&lake.store, place).await? else {
            tracing::info!(object = %place, "landing file is gone: nothing to do");
            return Ok(None);
        };
        let name = FileName::of(place);
        let count = lake.charter().customer_shards;
        let at = lake.at(layout::announcement(Source::Customer, &name));
        for _ in 0..ATTEMPTS_MAX {
            let (version, before) = match lake.store.read(&at, None).await? {
                Read::Found { etag, body } => {
                    let before = CustomerAnnouncement::decode(&body).map_err(Error::corrupt(at.clone()))?;
                    (Version::Etag(etag), before.shards)
                }
                Read::Absent | Read::Unchanged => (Version::Absent, BTreeSet::new()),
            };
            let mut shards = before.clone();
            shards.extend(landed.records.latest().map(|customer| customer.key().shard(count)));
            if shards != before {
                let announcement = CustomerAnnouncement { landing: place.clone(), shards: shards.clone() };
                let body = announcement.encode().map_err(Error::corrupt(at.clone()))?;
                if !lake.store.put(&at, body, &version).await?.is_done() {
                    continue;
                }
            }
            return Ok(Some(Self { place: place.clone(), name, landed, touches: shards }));
        }
        Err(Error::Contended { place: at })
    }
}

/// All shards that a batch of files touches.
pub(crate) struct Shards<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) files: &'a [File],
    pub(crate) touched: &'a BTreeSet<Shard>,
}

impl Derivation for Shards<'_> {
    type Report = ();

    fn outputs(&self) -> Vec<String> {
        self.touched.iter().map(|shard| layout::customers(Table::CustomerTrusted, *shard)).collect()
    }

    /// A shard is a function of the customer files' records, which it remembers: each file of the batch replaces what
    /// the shard remembers of it.
    async fn derive(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Derived<()>, Error> {
        let versions = aws::all(self.files.iter().map(|file| inputs.version(&file.place))).await?;
        let current = |(file, version): (&File, Version)| version == Version::Etag(file.landed.etag.clone());
        if !self.files.iter().zip(versions).all(current) {
            return Err(Error::Outdated);
        }
        let customers = self.customers_by_shard();
        let mut updates = Vec::new();
        let mut wanted = BTreeSet::new();
        for (shard, stored) in self.touched.iter().zip(stored) {
            let before = stored.body.clone().map(CustomerShard::decode).transpose();
            let mut update = before.map_err(Error::corrupt(stored.place.clone()))?.unwrap_or_default().update();
            for (i, file) in self.files.iter().enumerate().filter(|(_, file)| file.touches.contains(shard)) {
                let customers = customers.get(&(i, *shard)).map(Vec::as_slice).unwrap_or_default();
                update.land(&file.name, &file.place, customers.iter().copied());
            }
            wanted.extend(update.wanted());
            updates.push((update, stored));
        }
        for place in wanted {
            let Some(landed) = landing::read::<Customers>(&self.lake.store, &place).await? else {
                tracing::warn!(object = %place, "landing file of a record that counts again is gone: not trusted");
                continue;
            };
            inputs.note(&place, Version::Etag(landed.etag));
            updates.iter_mut().for_each(|(update, _)| update.supply(landed.records.latest()));
        }
        let mut bodies = Vec::new();
        for (update, stored) in updates {
            let body = update.settle().map(|shard| shard.encode()).transpose();
            bodies.push(body.map_err(Error::corrupt(stored.place.clone()))?);
        }
        Ok(Derived { bodies, report: () })
    }
}

impl Shards<'_> {
    fn customers_by_shard(&self) -> BTreeMap<(usize, Shard), Vec<&Customer>> {
        let count = self.lake.charter().customer_shards;
        let mut customers: BTreeMap<_, Vec<&Customer>> = BTreeMap::new();
        for (i, file) in self.files.iter().enumerate() {
            for customer in file.landed.records.latest() {
                customers.entry((i, customer.key().shard(count))).or_default().push(customer);
            }
        }
        customers
    }
}
