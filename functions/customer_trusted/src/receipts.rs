//! The receipts of customer files.
//!
//! A later file changes the account of an earlier one: its records are superseded. The shards remember in which version
//! the account of each file last changed, so the receipts follow them as derived files follow changes of trust: by a
//! cursor, advanced after the work.

use crate::shards::File;
use aws::lake::Lake;
use aws::landing::Landed;
use aws::logging::{self, Timer};
use aws::store::{Read, Version};
use derivation::{ATTEMPTS_MAX, Cursor, Derivation, Derived, Error, Inputs, Stored, publish};
use lake::announcement::CustomerAnnouncement;
use lake::customer::Customers;
use lake::hash::Shard;
use lake::layout::{self, FileName, Place, Source};
use lake::output::{ShardVersions, is_older};
use lake::receipt::{LandingVersion, Receipt};
use lake::table::Table;
use lake::trust::trusted::CustomerShard;
use std::collections::{BTreeMap, BTreeSet};

/// Writes the receipts of `files`, and of every file whose account changed in one of the `touched` shards.
pub(crate) async fn bring_up_to_date(lake: &Lake, files: &[File], touched: &BTreeSet<Shard>) -> Result<(), Error> {
    let mut due: BTreeMap<FileName, Place> = files.iter().map(|f| (f.name.clone(), f.place.clone())).collect();
    for _ in 0..ATTEMPTS_MAX {
        let mut cursors = Vec::new();
        for shard in touched {
            let cursor = Cursor::read(lake, layout::cursor(Table::CustomerTrusted, *shard)).await?;
            let place = lake.at(layout::customers(Table::CustomerTrusted, *shard));
            let Read::Found { body, .. } = lake.store.read(&place, None).await? else { continue };
            let customers = CustomerShard::decode(body).map_err(Error::corrupt(place))?;
            if customers.version() > cursor.seen() {
                let changed = customers.accounts_changed_since(cursor.seen());
                due.extend(changed.map(|(file, place)| (file.clone(), place.clone())));
                cursors.push((cursor, customers.version()));
            }
        }
        for (name, place) in std::mem::take(&mut due) {
            let landed = files.iter().find(|file| file.name == name).map(|file| &file.landed);
            write(lake, &name, &place, landed).await?;
        }
        let mut lost = false;
        for (cursor, version) in cursors {
            lost |= !cursor.advance(lake, version).await?;
        }
        if !lost {
            return Ok(());
        }
    }
    Err(Error::Contended { place: lake.at(layout::cursors(Table::CustomerTrusted)) })
}

async fn write(lake: &Lake, file: &FileName, place: &Place, landed: Option<&Landed<Customers>>) -> Result<(), Error> {
    let timer = Timer::start();
    match publish(lake, &Account { lake, file, place, landed }).await {
        // A file that has no receipt yet has an event of its own.
        Err(Error::Outdated) if landed.is_none() => {}
        published => {
            let published = published?;
            logging::landing_file(place, &published.report, landed.is_none(), published.writes, &timer);
            if landed.is_some() {
                lake.counters.landed(&published.report);
            }
        }
    }
    Ok(())
}

/// The receipt and the quarantine of one customer file.
struct Account<'a> {
    lake: &'a Lake,
    file: &'a FileName,
    place: &'a Place,
    /// The file, if this is about its own event; else only its account in the shards is new.
    landed: Option<&'a Landed<Customers>>,
}

impl Derivation for Account<'_> {
    type Report = Receipt;

    fn outputs(&self) -> Vec<String> {
        vec![layout::receipt(Source::Customer, self.file), layout::quarantine(Source::Customer, self.file)]
    }

    async fn derive(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Derived<Receipt>, Error> {
        let [stored_receipt, stored_quarantine] = stored else { return Err(Error::Outdated) };
        let corrupt = || Error::corrupt(stored_receipt.place.clone());
        let was = stored_receipt.body.as_ref().map(Receipt::decode).transpose().map_err(corrupt())?;
        let mut receipt = match (self.landed, &was) {
            (Some(landed), _) => {
                if inputs.version(self.place).await? != Version::Etag(landed.etag.clone()) {
                    return Err(Error::Outdated);
                }
                self.receipt_of(landed)
            }
            (None, Some(was)) => with_no_account(was),
            (None, None) => return Err(Error::Outdated),
        };
        let mut changed = ShardVersions::new();
        for (shard, customers) in self.shards(inputs).await? {
            receipt.derived_from.insert(shard, customers.version());
            if let Some((account, version)) = customers.account(self.file) {
                changed.insert(shard, version);
                receipt.keep(layout::customers(Table::CustomerTrusted, shard), account.kept);
                account.excluded.iter().for_each(|(reason, rows)| receipt.exclude(reason, *rows));
            }
        }
        let says_the_same = |was: &Receipt| was.says_the_same(&receipt) && !is_older(&was.derived_from, &changed);
        let body =
            if was.as_ref().is_some_and(says_the_same) { None } else { Some(receipt.encode().map_err(corrupt())?) };
        let quarantine = self.landed.map(|landed| landed.quarantine.file());
        let was = stored_quarantine.body.as_deref().unwrap_or_default();
        let quarantine = quarantine.filter(|file| *file != was);
        Ok(Derived { bodies: vec![body, quarantine], report: receipt })
    }
}

impl Account<'_> {
    /// The shards that any version of the file may have customers in.
    async fn shards(&self, inputs: &Inputs<'_>) -> Result<Vec<(Shard, CustomerShard)>, Error> {
        let at = self.lake.at(layout::announcement(Source::Customer, self.file));
        let announced = inputs.read(&at).await?.as_ref().map(CustomerAnnouncement::decode).transpose();
        let announced = announced.map_err(Error::corrupt(at))?.map(|announced| announced.shards).unwrap_or_default();
        let read = announced.into_iter().map(async |shard| {
            let place = self.lake.at(layout::customers(Table::CustomerTrusted, shard));
            let customers = inputs.read(&place).await?.map(CustomerShard::decode).transpose();
            Ok::<_, Error>(customers.map_err(Error::corrupt(place))?.map(|customers| (shard, customers)))
        });
        Ok(aws::all(read).await?.into_iter().flatten().collect())
    }

    fn receipt_of(&self, landed: &Landed<Customers>) -> Receipt {
        let version = LandingVersion { place: self.place.clone(), etag: landed.etag.clone() };
        let mut receipt = Receipt::new(Source::Customer, self.file, version, &landed.quarantine);
        receipt.undecodable = landed.undecodable.as_ref().map(ToString::to_string);
        landed.records.excluded().iter().for_each(|(reason, rows)| receipt.exclude(reason, *rows));
        receipt.superseded_within = landed.records.excluded().clone();
        receipt
    }
}

/// What a receipt says of the file itself, without its account in the shards.
fn with_no_account(receipt: &Receipt) -> Receipt {
    let mut receipt = receipt.clone();
    receipt.kept = 0;
    receipt.outputs.clear();
    receipt.derived_from.clear();
    receipt.excluded = receipt.superseded_within.clone();
    receipt.rows = receipt.quarantined + receipt.excluded.values().sum::<u64>();
    receipt
}
