//! The rule: `a.user = c.email`. The policy's condition on `c.sharewithresearchasofdate` is the same for both tables of
//! readings, and is in `ingest`.

use bytes::Bytes;
use engine::Start;
use formats::Corrupt;
use formats::customer_shard::consents::Consents;
use formats::customer_shard::{Owner, Versions};
use formats::reading::{Accelerometer, Key};
use ingest::{Customers, Rule};
use model::hash::{KeyHash, Shard, ShardCount};
use model::table::Table;
use std::collections::BTreeSet;

/// `JOIN customer_trusted ON user = email`.
pub struct OfTrustedCustomers;

impl Rule for OfTrustedCustomers {
    type Reading = Accelerometer;
    type Shard = Consents;
    const CUSTOMERS: Table = Table::CustomerTrusted;
    const EXCLUDED: &'static str = "no_trusted_customer";
    const START: Option<Start> = Some(Start { bytes: Consents::START_BYTES, needed: Consents::needed });

    fn decode(bytes: Bytes) -> Result<Consents, Corrupt> {
        Consents::decode(bytes)
    }

    fn version(shard: &Consents) -> u64 {
        shard.version()
    }

    fn versions(shard: &Consents) -> Result<&Versions, Corrupt> {
        shard.versions()
    }

    /// An email is in one shard only.
    fn shards_of(emails: &mut dyn Iterator<Item = KeyHash>, count: ShardCount) -> BTreeSet<Shard> {
        emails.map(|email| email.shard(count)).collect()
    }

    fn owner<'a>(customers: &'a Customers<Consents>, user: &'a Key) -> Result<Option<Owner<'a>>, (Shard, Corrupt)> {
        Ok(customers.shard_of(user.hash).and_then(|shard| shard.owner(user)))
    }
}
