//! The rule: `a.user = c.email`. The policy's condition on `c.sharewithresearchasofdate` is the same for both tables of
//! readings, and is in `ingest`.

use bytes::Bytes;
use engine::Start;
use formats::Corrupt;
use formats::customer_shard::consents::Consents;
use formats::customer_shard::{Owner, Versions};
use formats::reading::{Accelerometer, Key};
use ingest::Rule;
use model::hash::Shard;
use model::layout;
use model::table::Table;

/// `JOIN customer_trusted ON user = email`.
pub struct OfTrustedCustomers;

impl Rule for OfTrustedCustomers {
    type Reading = Accelerometer;
    type Shard = Consents;
    const EXCLUDED: &'static str = "no_trusted_customer";
    const START: Option<Start> = Some(Start { bytes: Consents::START_BYTES, needed: Consents::needed });

    fn shard_at(shard: Shard) -> String {
        layout::customers(Table::CustomerTrusted, shard)
    }

    fn decode(bytes: Bytes) -> Result<Consents, Corrupt> {
        Consents::decode(bytes)
    }

    fn version(shard: &Consents) -> u64 {
        shard.version()
    }

    fn versions(shard: &Consents) -> Result<&Versions, Corrupt> {
        shard.versions()
    }

    fn owner<'a>(shard: &'a Consents, user: &'a Key) -> Option<Owner<'a>> {
        shard.owner(user)
    }
}
