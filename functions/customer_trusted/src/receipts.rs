//! The receipts of customer files.
//!
//! A later file changes the account of an earlier one: its records are superseded. The shards remember in which version
//! the account of each file last changed, so the receipts follow them as derived files follow changes of trust: by a
//! cursor, advanced after the work.

use crate::CustomerTrusted;
use crate::shards::File;
use aws::landing::Landed;
use aws::logging::{self, Timer};
use aws::store::Version;
use bytes::Bytes;
use derivation::{ATTEMPTS_MAX, Cursor, Derivation, Derived, Error, Inputs, Stored, publish};
use lake::announcement::CustomerAnnouncement;
use lake::customer::Customers;
use lake::hash::Shard;
use lake::layout::{self, FileName, Place, Source};
use lake::output::ShardVersions;
use lake::receipt::{LandingVersion, Receipt};
use lake::table::Table;
use lake::trust::accounts::Accounts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many receipts are derived together.
const FILES_MAX: usize = 64;

/// Writes the receipts of `files`, and of every file whose account changed in one of the `touched` shards.
pub(crate) async fn bring_up_to_date(
    function: &CustomerTrusted,
    files: &[File],
    touched: &BTreeSet<Shard>,
) -> Result<(), Error> {
    let CustomerTrusted { lake, accounts } = function;
    let mut due: BTreeMap<FileName, Place> = files.iter().map(|f| (f.name.clone(), f.place.clone())).collect();
    for _ in 0..ATTEMPTS_MAX {
        let mut cursors = Vec::new();
        let read = aws::all(touched.iter().map(async |shard| {
            let cursor = Cursor::read(lake, layout::cursor(Table::CustomerTrusted, *shard)).await?;
            let place = lake.at(layout::customers(Table::CustomerTrusted, *shard));
            let accounts = accounts.read(&lake.store, &place, Accounts::decode).await?;
            Ok::<_, Error>(accounts.map(|(_, accounts)| (cursor, accounts)))
        }));
        for (cursor, accounts) in read.await?.into_iter().flatten() {
            if accounts.version() > cursor.seen() {
                let changed = accounts.changed_since(cursor.seen());
                due.extend(changed.map(|(file, place)| (file.clone(), place.clone())));
                cursors.push((cursor, accounts.version()));
            }
        }
        let due: Vec<Account<'_>> = std::mem::take(&mut due)
            .into_iter()
            .map(|(name, place)| {
                let landed = files.iter().find(|file| file.name == name).map(|file| &file.landed);
                Account { name, place, landed }
            })
            .collect();
        for accounts in due.chunks(FILES_MAX) {
            write(function, accounts).await?;
        }
        if Cursor::advance_all(lake, cursors).await? {
            return Ok(());
        }
    }
    Err(Error::Contended { place: lake.at(layout::cursors(Table::CustomerTrusted)) })
}

async fn write(function: &CustomerTrusted, accounts: &[Account<'_>]) -> Result<(), Error> {
    let timer = Timer::start();
    let published = publish(&function.lake, &Receipts { function, accounts }).await?;
    for (Account { place, landed, .. }, told) in accounts.iter().zip(published.report) {
        let Some((receipt, writes)) = told else { continue };
        logging::landing_file(place, &receipt, landed.is_none(), writes, &timer);
        if landed.is_some() {
            function.lake.counters.landed(&receipt);
        }
    }
    Ok(())
}

/// A customer file whose account is due.
struct Account<'a> {
    name: FileName,
    place: Place,
    /// The file, if this is about its own event; else only its account in the shards is new.
    landed: Option<&'a Landed<Customers>>,
}

/// The receipts and quarantines of customer files.
struct Receipts<'a> {
    function: &'a CustomerTrusted,
    accounts: &'a [Account<'a>],
}

/// A file's receipt, and how many of its objects get a new version; none if it has none yet: its own event is to come.
type Told = Option<(Receipt, usize)>;

impl Derivation for Receipts<'_> {
    type Report = Vec<Told>;

    fn outputs(&self) -> Vec<String> {
        let of = |account: &Account<'_>| {
            [layout::receipt(Source::Customer, &account.name), layout::quarantine(Source::Customer, &account.name)]
        };
        self.accounts.iter().flat_map(of).collect()
    }

    async fn derive(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Derived<Vec<Told>>, Error> {
        let lake = &self.function.lake;
        let mut announced = Vec::new();
        for account in self.accounts {
            if let Some(landed) = account.landed
                && inputs.version(&account.place).await? != Version::Etag(landed.etag.clone())
            {
                return Err(Error::Outdated);
            }
            let at = lake.at(layout::announcement(Source::Customer, &account.name));
            let of_file = inputs.read(&at).await?.as_ref().map(CustomerAnnouncement::decode).transpose();
            announced.push(of_file.map_err(Error::corrupt(at))?.map(|of_file| of_file.shards).unwrap_or_default());
        }
        let shards: BTreeSet<Shard> = announced.iter().flatten().copied().collect();
        let read = shards.into_iter().map(async |shard| {
            let place = lake.at(layout::customers(Table::CustomerTrusted, shard));
            let accounts = inputs.decoded(&self.function.accounts, &place, Accounts::decode).await?;
            Ok::<_, Error>(accounts.map(|accounts| (shard, accounts)))
        });
        let shards: BTreeMap<Shard, Arc<Accounts>> = aws::all(read).await?.into_iter().flatten().collect();
        let mut derived = Derived { bodies: Vec::new(), report: Vec::new() };
        for ((account, announced), stored) in self.accounts.iter().zip(announced).zip(stored.chunks(2)) {
            let [receipt, quarantine] = stored else { return Err(Error::Outdated) };
            // Those that any version of the file may have customers in.
            let shards = announced.iter().filter_map(|shard| Some((*shard, shards.get(shard)?.as_ref())));
            let (bodies, told) = account.derive(receipt, quarantine, shards)?;
            derived.bodies.extend(bodies);
            derived.report.push(told);
        }
        Ok(derived)
    }
}

impl Account<'_> {
    fn derive<'s>(
        &self,
        stored_receipt: &Stored,
        stored_quarantine: &Stored,
        shards: impl Iterator<Item = (Shard, &'s Accounts)>,
    ) -> Result<([Option<Bytes>; 2], Told), Error> {
        let corrupt = || Error::corrupt(stored_receipt.place.clone());
        let was = stored_receipt.body.as_ref().map(Receipt::decode).transpose().map_err(corrupt())?;
        let mut receipt = match (self.landed, &was) {
            (Some(landed), _) => self.receipt_of(landed),
            (None, Some(was)) => with_no_account(was),
            // A file that has no receipt yet has an event of its own.
            (None, None) => return Ok(([None, None], None)),
        };
        let mut changed = ShardVersions::new();
        for (shard, accounts) in shards {
            receipt.derived_from.insert(shard, accounts.version());
            if let Some((account, version)) = accounts.of(&self.name) {
                changed.insert(shard, version);
                receipt.keep(layout::customers(Table::CustomerTrusted, shard), account.kept);
                account.excluded.iter().for_each(|(reason, rows)| receipt.exclude(reason, *rows));
            }
        }
        let seen = |was: &Receipt, shard| was.derived_from.get(shard).copied().unwrap_or(0);
        let is_older = |was: &Receipt| changed.iter().any(|(shard, version)| seen(was, shard) < *version);
        let says_the_same = |was: &Receipt| was.says_the_same(&receipt) && !is_older(was);
        let body =
            if was.as_ref().is_some_and(says_the_same) { None } else { Some(receipt.encode().map_err(corrupt())?) };
        let quarantine = self.landed.map(|landed| landed.quarantine.file());
        let was = stored_quarantine.body.as_deref().unwrap_or_default();
        let bodies = [body, quarantine.filter(|file| *file != was)];
        let writes = bodies.iter().flatten().count();
        Ok((bodies, Some((receipt, writes))))
    }

    fn receipt_of(&self, landed: &Landed<Customers>) -> Receipt {
        let version = LandingVersion { place: self.place.clone(), etag: landed.etag.clone() };
        let mut receipt = Receipt::new(Source::Customer, &self.name, version, &landed.quarantine);
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
