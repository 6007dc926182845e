//! Writes the receipt and the quarantine of a landing file, once for each generation.

use crate::Error;
use crate::log::{self, Timer};
use bytes::Bytes;
use formats::receipt::Receipt;
use model::layout::{self, ObjectLocation};
use store::lake::Lake;
use store::{Change, Snapshot, compare_and_swap};

/// Writes the receipt of a file whose rows are written, and then its quarantine. `writes` says how many objects of the tables
/// have changed. Returns the generation of the stored receipt if that is a later one.
///
/// The receipt has the generation, so it decides between two functions. One that wrote the quarantine looks at the receipt
/// again: a later generation may have been there first.
pub async fn write(
    lake: &Lake,
    receipt: &Receipt,
    quarantined: Bytes,
    writes: usize,
    timer: &Timer,
) -> Result<Option<u64>, Error> {
    let at = lake.at(layout::receipt(receipt.source, receipt.file));
    // The first version of a file has no receipt yet.
    let is_first = receipt.generation == 1;
    let first = is_first.then_some(Snapshot::ABSENT);
    let (_, (generation, is_new)) = compare_and_swap(&lake.store, &at, first, |stored| {
        let was = generation_of(&at, &stored)?;
        #[cfg(feature = "broken")]
        let was =
            was.filter(|was| *was == receipt.generation || !crate::broken::is(crate::broken::Broken::NoGeneration));
        match was {
            Some(was) if was >= receipt.generation => Ok::<_, Error>(Change::Keep((was, false))),
            _ => Ok(Change::Put(receipt.encode().map_err(Error::corrupt(at.clone()))?, (receipt.generation, true))),
        }
    })
    .await?;
    if generation > receipt.generation {
        return Ok(Some(generation));
    }
    if is_new {
        log::landing_file(&receipt.landing.location, receipt, writes, timer);
        log::count_ingested(&lake.counters, receipt);
    }
    if is_first && quarantined.is_empty() {
        return Ok(None);
    }
    let quarantine_at = lake.at(layout::quarantine(receipt.source, receipt.file));
    let first = (is_first && is_new).then_some(Snapshot::ABSENT);
    let (_, is_written) = compare_and_swap(&lake.store, &quarantine_at, first, |stored| {
        let same = stored.body.unwrap_or_default() == quarantined;
        Ok::<_, Error>(if same { Change::Keep(false) } else { Change::Put(quarantined.clone(), true) })
    })
    .await?;
    if !is_written {
        return Ok(None);
    }
    let now = generation_of(&at, &Snapshot::read(&lake.store, &at).await?)?;
    Ok(now.filter(|now| *now > receipt.generation))
}

fn generation_of(at: &ObjectLocation, receipt: &Snapshot) -> Result<Option<u64>, Error> {
    let receipt = receipt.body.as_ref().map(Receipt::decode).transpose().map_err(Error::corrupt(at.clone()))?;
    Ok(receipt.map(|receipt| receipt.generation))
}
