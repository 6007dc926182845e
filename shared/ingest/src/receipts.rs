//! Writes the receipt and the quarantine of a landing file, once for each generation.

use crate::cells::{Outcome, RowCounts};
use crate::{Ingestion, ReadingFiles, Rule};
use engine::Error;
use engine::log;
use formats::cell::ShardVersions;
use formats::reading::Reading;
use formats::receipt::{LandingVersion, Receipt};
use model::layout::{self, ObjectLocation};
use std::collections::BTreeMap;
use store::{Change, Snapshot, compare_and_swap};

/// The reason to exclude a reading under the policy `at-reading`.
pub const BEFORE_CONSENT: &str = "before_consent";

/// What became of the readings of a landing file, by the key of each cell.
#[derive(Debug, Default)]
pub(crate) struct FileCounts {
    pub(crate) cells: BTreeMap<String, RowCounts>,
    pub(crate) consents: ShardVersions,
    /// How many cells were written.
    pub(crate) writes: usize,
}

impl<R: Rule> ReadingFiles<R> {
    /// Writes the receipt of a file that was merged into its cells, and then its quarantine.
    ///
    /// The receipt has the generation, so it decides between two functions. One that wrote the quarantine looks at the receipt
    /// again: a later generation may have been there first.
    pub(crate) async fn write_receipt(&self, item: &Ingestion<R>, counts: &FileCounts) -> Result<Outcome, Error> {
        let merged = Outcome::Merged(RowCounts::default());
        let Some(receipt) = self.receipt(item, counts) else { return Ok(merged) };
        let store = &self.lake().store;
        let at = self.lake().at(layout::receipt(R::Reading::SOURCE, item.file));
        // The first version of a file has no receipt yet.
        let is_first = item.generation == 1;
        let first = is_first.then_some(Snapshot::ABSENT);
        let (_, (generation, is_new)) = compare_and_swap(store, &at, first, |stored| {
            let was = generation_of(&at, &stored)?;
            #[cfg(feature = "broken")]
            let was =
                was.filter(|was| *was == item.generation || !engine::broken::is(engine::broken::Broken::NoGeneration));
            match was {
                Some(was) if was >= item.generation => Ok::<_, Error>(Change::Keep((was, false))),
                _ => Ok(Change::Put(receipt.encode().map_err(Error::corrupt(at.clone()))?, (item.generation, true))),
            }
        })
        .await?;
        if generation > item.generation {
            return Ok(Outcome::Superseded(generation));
        }
        if is_new {
            log::landing_file(&item.location, &receipt, engine::Cause::Ingested, counts.writes, &item.timer);
            log::count_ingested(&self.lake().counters, &receipt);
        }
        let quarantined = item.content.as_ref().map(|content| content.quarantine.file()).unwrap_or_default();
        if is_first && quarantined.is_empty() {
            return Ok(merged);
        }
        let quarantine_at = self.lake().at(layout::quarantine(R::Reading::SOURCE, item.file));
        let first = (is_first && is_new).then_some(Snapshot::ABSENT);
        let (_, is_written) = compare_and_swap(store, &quarantine_at, first, |stored| {
            let same = stored.body.unwrap_or_default() == quarantined;
            Ok::<_, Error>(if same { Change::Keep(false) } else { Change::Put(quarantined.clone(), true) })
        })
        .await?;
        if is_written {
            let now = generation_of(&at, &Snapshot::read(store, &at).await?)?;
            return Ok(now.filter(|now| *now > item.generation).map_or(merged, Outcome::Superseded));
        }
        Ok(merged)
    }

    /// Returns the receipt of a file; none if the file is deleted.
    fn receipt(&self, item: &Ingestion<R>, counts: &FileCounts) -> Option<Receipt> {
        let content = item.content.as_ref()?;
        let version = LandingVersion { location: item.location.clone(), etag: content.etag.clone() };
        let mut receipt = Receipt::new(R::Reading::SOURCE, item.file, version, &content.quarantine);
        receipt.undecodable = content.undecodable.as_ref().map(ToString::to_string);
        receipt.generation = item.generation;
        receipt.derived_from.clone_from(&counts.consents);
        for (key, RowCounts { kept, not_eligible, before_consent }) in &counts.cells {
            receipt.exclude(R::EXCLUDED, *not_eligible);
            receipt.exclude(BEFORE_CONSENT, *before_consent);
            if *kept > 0 {
                receipt.keep(key.clone(), *kept);
            }
        }
        Some(receipt)
    }
}

fn generation_of(at: &ObjectLocation, receipt: &Snapshot) -> Result<Option<u64>, Error> {
    let receipt = receipt.body.as_ref().map(Receipt::decode).transpose().map_err(Error::corrupt(at.clone()))?;
    Ok(receipt.map(|receipt| receipt.generation))
}
