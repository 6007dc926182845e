//! The rule: `s.serialnumber = c.serialnumber`, and of all customers, consenting or not, the one with the latest record. The policy's
//! condition on `c.sharewithresearchasofdate` is the same for both tables of readings, and is in `ingest`.

use bytes::Bytes;
use engine::Start;
use formats::Corrupt;
use formats::customer_shard::devices::DeviceShard;
use formats::customer_shard::{Owner, Versions};
use formats::reading::{Key, StepTrainer};
use ingest::Rule;
use model::hash::Shard;
use model::layout;

/// `JOIN customer_curated ON serialnumber`.
pub struct OfCuratedCustomers;

impl Rule for OfCuratedCustomers {
    type Reading = StepTrainer;
    type Shard = DeviceShard;
    const EXCLUDED: &'static str = "no_curated_customer";
    const START: Option<Start> = None;

    fn shard_at(shard: Shard) -> String {
        layout::devices(shard)
    }

    fn decode(bytes: Bytes) -> Result<DeviceShard, Corrupt> {
        DeviceShard::decode(bytes)
    }

    fn version(shard: &DeviceShard) -> u64 {
        shard.versions().version
    }

    fn versions(shard: &DeviceShard) -> Result<&Versions, Corrupt> {
        Ok(shard.versions())
    }

    fn owner<'a>(shard: &'a DeviceShard, serial_number: &'a Key) -> Option<Owner<'a>> {
        shard.owner(serial_number.hash)
    }
}
