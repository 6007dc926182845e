//! One line for each landing file that a function has finished, from its receipt.

use crate::report::grouped;
use crate::stack::Stack;
use crate::terminal::print;
use emulator::StoredObject;
use engine::Error;
use formats::receipt::Receipt;
use model::layout::{ObjectLocation, RECEIPTS, Source};
use std::collections::BTreeMap;
use std::time::Instant;
use store::BoxError;
use store::Read;
use store::lake::Lake;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// An object that was stored just now: a landing file, or a receipt of the lake.
#[derive(Debug)]
pub(crate) struct Stored {
    location: ObjectLocation,
    version: Version,
    is_receipt: bool,
}

/// An object's ETag without quotes, and when it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    etag: String,
    at: Instant,
}

/// Follows the landing files of a lake.
pub(crate) struct Outcomes {
    lake: Lake,
    /// What was stored, in order. The receiver passes each on to [`Outcomes::add`].
    pub stored: UnboundedReceiver<Stored>,
    /// Uploads without their receipts.
    pending: BTreeMap<ObjectLocation, Version>,
    /// Nothing is printed.
    is_quiet: bool,
}

impl Outcomes {
    /// Follows what is stored from now on.
    pub(crate) fn new(stack: &Stack, is_quiet: bool) -> Self {
        let (sender, stored) = unbounded_channel();
        let bucket = stack.lake.bucket().to_owned();
        stack.cloud.on_stored(move |object| send(&sender, &bucket, object));
        Self { lake: stack.lake.clone(), stored, pending: BTreeMap::new(), is_quiet }
    }

    /// Notes an upload, or prints what a receipt says.
    pub(crate) async fn add(&mut self, stored: Stored) -> Result<(), BoxError> {
        let Stored { location, version, is_receipt } = stored;
        if !is_receipt {
            self.pending.insert(location, version);
            return Ok(());
        }
        let Read::Found { etag, body } = self.lake.store.read(&location, None).await? else { return Ok(()) };
        if etag.trim_matches('"') != version.etag {
            // A later version exists, and is printed next.
            return Ok(());
        }
        let receipt = Receipt::decode(&body).map_err(Error::corrupt(location))?;
        let landing = &receipt.landing;
        let etag = landing.etag.trim_matches('"');
        let upload = match self.pending.get(&landing.location) {
            Some(upload) if upload.etag == etag => self.pending.remove(&landing.location),
            _ => None,
        };
        let milliseconds = upload.map(|upload| version.at.duration_since(upload.at).as_millis());
        self.print(&line(&receipt, milliseconds))
    }

    fn print(&self, line: &str) -> Result<(), BoxError> {
        if self.is_quiet { Ok(()) } else { print(line) }
    }

    /// Adds what was stored up to now.
    pub(crate) async fn add_stored(&mut self) -> Result<(), BoxError> {
        while let Ok(stored) = self.stored.try_recv() {
            self.add(stored).await?;
        }
        Ok(())
    }

    /// Stops waiting for the receipt of this file.
    pub(crate) fn forget(&mut self, location: &ObjectLocation) {
        self.pending.remove(location);
    }

    /// Prints the uploads that change no receipt, because the same bytes were there before. `is_done` returns whether no
    /// event is left to deliver.
    pub(crate) async fn finish_unchanged(&mut self, is_done: impl Fn() -> bool) -> Result<(), BoxError> {
        // An event is pending before its upload is added, and handled after its receipt is stored. So if no event is left
        // after the first pass, the second pass has the receipts of all uploads of the first.
        self.add_stored().await?;
        if !is_done() {
            return Ok(());
        }
        let uploads = self.pending.clone();
        self.add_stored().await?;
        for (location, upload) in uploads {
            if self.pending.get(&location) == Some(&upload) {
                self.pending.remove(&location);
                self.print(&format!("{location}: ingested before, nothing to do"))?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the time that a file took is printed, and decides nothing")]
fn send(sender: &UnboundedSender<Stored>, lake_bucket: &str, object: &StoredObject) {
    let StoredObject { bucket, key, etag, .. } = object;
    let is_receipt = bucket == lake_bucket && key.starts_with(RECEIPTS);
    // The S3 console makes an object whose key ends in a slash for an empty folder; that is not a file.
    let is_file = || Source::ALL.iter().any(|source| key.starts_with(source.landing().prefix())) && !key.ends_with('/');
    if is_receipt || is_file() {
        let location = ObjectLocation { bucket: bucket.clone(), key: key.clone() };
        let version = Version { etag: etag.clone(), at: Instant::now() };
        // The receiver is gone when the command ends.
        let _ = sender.send(Stored { location, version, is_receipt });
    }
}

/// `s3://stedi/customer/landing/a.json: 3 rows = 1 kept + 2 excluded (no_consent 2) + 0 quarantined, 5 ms`
fn line(receipt: &Receipt, milliseconds: Option<u128>) -> String {
    let reasons = |counts: &BTreeMap<String, u64>| {
        let counts = counts.iter().filter(|(_, count)| **count > 0);
        let reasons: Vec<_> = counts.map(|(reason, count)| format!("{reason} {}", grouped(*count))).collect();
        if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) }
    };
    format!(
        "{}: {} rows = {} kept + {} excluded{} + {} quarantined{}{}",
        receipt.landing.location,
        grouped(receipt.rows),
        grouped(receipt.kept),
        grouped(receipt.excluded.values().sum()),
        reasons(&receipt.excluded),
        grouped(receipt.quarantined),
        reasons(&receipt.rejected),
        milliseconds.map_or(String::new(), |milliseconds| format!(", {milliseconds} ms")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::receipt::LandingVersion;
    use model::hash::HashKey;
    use model::layout::FileId;

    #[test]
    fn line_has_all_row_counts() {
        let location = ObjectLocation { bucket: "stedi".into(), key: "customer/landing/a.json".into() };
        let landing = LandingVersion { location: location.clone(), etag: "\"e\"".into() };
        let mut receipt =
            Receipt::new(Source::Customer, FileId::of(&HashKey::public(), &location), landing, &Default::default());
        receipt.keep("customer/trusted/07.parquet".into(), 1_200);
        receipt.exclude("superseded", 2);
        receipt.exclude("no_consent", 3);
        let expected = "s3://stedi/customer/landing/a.json: 1,205 rows = 1,200 kept + 5 excluded (no_consent 3, \
                        superseded 2) + 0 quarantined";
        assert_eq!(line(&receipt, None), expected);
        assert_eq!(line(&receipt, Some(35)), format!("{expected}, 35 ms"));
    }
}
