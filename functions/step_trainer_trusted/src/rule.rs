//! The rule: `s.serialnumber = c.serialnumber`, and of all customers, consenting or not, the one with the latest record. The policy's
//! condition on `c.sharewithresearchasofdate` is the same for both tables of readings, and is in `ingest`.

use bytes::Bytes;
use engine::Start;
use formats::Corrupt;
use formats::customer_shard::owners::{Candidate, Owners};
use formats::customer_shard::{Owner, Versions};
use formats::reading::{Key, StepTrainer};
use ingest::{Customers, Rule};
use model::hash::{KeyHash, Shard, ShardCount};
use model::table::Table;
use std::collections::BTreeSet;

/// `JOIN customer_curated ON serialnumber`.
pub struct OfCuratedCustomers;

impl Rule for OfCuratedCustomers {
    type Reading = StepTrainer;
    type Shard = Owners;
    const CUSTOMERS: Table = Table::CustomerCurated;
    const EXCLUDED: &'static str = "no_curated_customer";
    const START: Option<Start> = None;

    fn decode(bytes: Bytes) -> Result<Owners, Corrupt> {
        Owners::decode(bytes)
    }

    fn version(shard: &Owners) -> u64 {
        shard.versions().version
    }

    fn versions(shard: &Owners) -> Result<&Versions, Corrupt> {
        Ok(shard.versions())
    }

    /// Customers are sharded by email, so the owner of a device may be in any shard.
    fn shards_of(_: &mut dyn Iterator<Item = KeyHash>, count: ShardCount) -> BTreeSet<Shard> {
        count.all().collect()
    }

    fn owner<'a>(
        customers: &'a Customers<Owners>,
        serial_number: &'a Key,
    ) -> Result<Option<Owner<'a>>, (Shard, Corrupt)> {
        let mut latest: Option<(Shard, Candidate<'a>)> = None;
        for (shard, owners) in customers.shards() {
            let Some(candidate) = owners.of(serial_number.hash) else { continue };
            #[cfg(feature = "broken")]
            if engine::broken::is(engine::broken::Broken::OwnersAmongEligibleOnly)
                && matches!(candidate.owner(), Ok(None))
            {
                continue;
            }
            if latest.is_none_or(|(_, latest)| candidate.rank() > latest.rank()) {
                latest = Some((shard, candidate));
            }
        }
        let Some((shard, owner)) = latest else { return Ok(None) };
        owner.owner().map_err(|corrupt| (shard, corrupt))
    }
}
