//! One line per landing file as it goes through, from its receipt.

use crate::report::{grouped, print};
use crate::stack::Stack;
use emulator::StoredObject;
use engine::Error;
use formats::receipt::Receipt;
use model::layout::{ObjectLocation, Source};
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

/// Of an object: its ETag without quotes, and when it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    etag: String,
    at: Instant,
}

/// Follows the landing files of a lake.
pub(crate) struct Accounts {
    lake: Lake,
    /// What was stored, in order. Whoever is woken by it hands it to [`Accounts::hear`].
    pub stored: UnboundedReceiver<Stored>,
    /// Uploads whose receipts are not there yet.
    awaited: BTreeMap<ObjectLocation, Version>,
}

impl Accounts {
    /// Follows what is stored from now on.
    pub(crate) fn new(stack: &Stack) -> Self {
        let (sender, stored) = unbounded_channel();
        let bucket = stack.lake.bucket().to_owned();
        stack.cloud.on_stored(move |object, _| send(&sender, &bucket, object));
        Self { lake: stack.lake.clone(), stored, awaited: BTreeMap::new() }
    }

    /// Notes an upload; tells what a receipt says.
    pub(crate) async fn hear(&mut self, stored: Stored) -> Result<(), BoxError> {
        let Stored { location, version, is_receipt } = stored;
        if !is_receipt {
            self.awaited.insert(location, version);
            return Ok(());
        }
        let Read::Found { etag, body } = self.lake.store.read(&location, None).await? else { return Ok(()) };
        if etag.trim_matches('"') != version.etag {
            // Written anew meanwhile: that is told next.
            return Ok(());
        }
        let receipt = Receipt::decode(&body).map_err(Error::corrupt(location))?;
        let landing = &receipt.landing;
        let etag = landing.etag.trim_matches('"');
        let upload = match self.awaited.get(&landing.location) {
            Some(upload) if upload.etag == etag => self.awaited.remove(&landing.location),
            _ => None,
        };
        let milliseconds = upload.map(|upload| version.at.duration_since(upload.at).as_millis());
        print(&line(&receipt, milliseconds))
    }

    /// Tells what was stored up to now.
    pub(crate) async fn hear_all(&mut self) -> Result<(), BoxError> {
        while let Ok(stored) = self.stored.try_recv() {
            self.hear(stored).await?;
        }
        Ok(())
    }

    /// Waits for the receipt of this file no longer.
    pub(crate) fn forget(&mut self, location: &ObjectLocation) {
        self.awaited.remove(location);
    }

    /// Tells of which uploads there is nothing to tell: the same bytes once more change no receipt. `is_quiet` says
    /// whether nothing is left to deliver.
    pub(crate) async fn settle(&mut self, is_quiet: impl Fn() -> bool) -> Result<(), BoxError> {
        // An event is owed before its upload is heard of, and handled after its receipt is stored. So if it is quiet
        // behind the first look, the receipts of all uploads seen in it are there at the second.
        self.hear_all().await?;
        if !is_quiet() {
            return Ok(());
        }
        let uploads = self.awaited.clone();
        self.hear_all().await?;
        for (location, upload) in uploads {
            if self.awaited.get(&location) == Some(&upload) {
                self.awaited.remove(&location);
                print(&format!("{location}: landed before, nothing to do"))?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a file took is told to the user, and decides nothing")]
fn send(sender: &UnboundedSender<Stored>, lake_bucket: &str, object: &StoredObject) {
    let StoredObject { bucket, key, etag, .. } = object;
    let is_receipt = bucket == lake_bucket && key.starts_with("receipts/");
    let lands = || Source::ALL.iter().any(|source| key.starts_with(source.landing().prefix()));
    // The S3 console makes an object whose key ends in a slash for an empty folder; that is no file.
    if is_receipt || lands() && !key.ends_with('/') {
        let location = ObjectLocation { bucket: bucket.clone(), key: key.clone() };
        let version = Version { etag: etag.clone(), at: Instant::now() };
        // Nobody listens any more once the command has ended.
        let _ = sender.send(Stored { location, version, is_receipt });
    }
}

/// `s3://stedi/customer/landing/a.json: 3 rows = 1 kept + 2 excluded (no_consent 2) + 0 quarantined, 5 ms`
fn line(receipt: &Receipt, milliseconds: Option<u128>) -> String {
    let reasons = |counts: &BTreeMap<String, u64>| {
        let counts = counts.iter().filter(|(_, count)| **count > 0);
        let told: Vec<_> = counts.map(|(reason, count)| format!("{reason} {}", grouped(*count))).collect();
        if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) }
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
    use model::layout::FileName;

    #[test]
    fn a_line_has_the_whole_account() {
        let location = ObjectLocation { bucket: "stedi".into(), key: "customer/landing/a.json".into() };
        let landing = LandingVersion { location: location.clone(), etag: "\"e\"".into() };
        let mut receipt = Receipt::new(Source::Customer, &FileName::of(&location), landing, &Default::default());
        receipt.keep("customer/trusted/07.parquet".into(), 1_200);
        receipt.exclude("superseded", 2);
        receipt.exclude("no_consent", 3);
        let account = "s3://stedi/customer/landing/a.json: 1,205 rows = 1,200 kept + 5 excluded (no_consent 3, superseded 2) \
                       + 0 quarantined";
        assert_eq!(line(&receipt, None), account);
        assert_eq!(line(&receipt, Some(35)), format!("{account}, 35 ms"));
    }
}
