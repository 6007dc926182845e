//! The receipts of files of readings.

use crate::cells::{Outcome, RowCounts};
use crate::{Ingestion, ReadingFiles, Rule};
use engine::{Error, receipts};
use formats::cell::ShardVersions;
use formats::reading::Reading;
use formats::receipt::{LandingVersion, Receipt};
use std::collections::BTreeMap;

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
    pub(crate) async fn write_receipt(&self, item: &Ingestion<R>, counts: &FileCounts) -> Result<Outcome, Error> {
        let merged = Outcome::Merged(RowCounts::default());
        let (Some(receipt), Some(content)) = (self.receipt(item, counts), &item.content) else { return Ok(merged) };
        let quarantined = content.quarantine.file();
        let later = receipts::write(self.lake(), &receipt, quarantined, counts.writes, &item.timer).await?;
        Ok(later.map_or(merged, Outcome::Superseded))
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
