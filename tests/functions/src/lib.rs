//! The five functions on an emulator of S3 and Glue, one event at a time or until no event is pending.
//!
//! The handlers, the SDK clients and the requests are the real ones. Requests are answered in this process.

// Only tests use this crate: a panic here fails a test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod gate;

use crate::gate::Gate;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use emulator::{Cloud, Requests};
use formats::cell::{Cell, ShardVersions};
use formats::receipt::Receipt;
use model::hash::HashKey;
use model::lake_config::{ConsentPolicy, LakeConfig};
use model::layout::{FileId, ObjectLocation, Source};
use model::slice::{Slice, SlicesPerHour};
use model::table::Table;
use serde_json::{Value, json};
use simulation::events::triggered_by;
use simulation::functions::AnyFunction;
use simulation::tables::rows_of;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, SystemTime};
use store::lake::Lake;
use store::lake::LakeSettings;
use store::{Read, Version};
use tempfile::TempDir;

pub use simulation::events::event;

/// A time in the hour `dt=2022-06-18/hour=15`.
pub const T: i64 = 1_655_564_444_103;
/// An hour.
pub const HOUR_MS: i64 = 3_600_000;

/// A lake and the functions on it, in a temporary folder.
pub struct World {
    /// The lake.
    pub lake: Lake,
    functions: Functions,
    cloud: Cloud,
    folder: TempDir,
}

/// What becomes of a function that was stopped before a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It continues with that request.
    Continued,
    /// It is killed.
    Killed,
}

/// The five functions, over one HTTP client.
pub struct Functions(BTreeMap<Table, AnyFunction>);

impl Functions {
    fn new(lake: &Lake) -> Self {
        Self(Table::DERIVED.map(|table| (table, AnyFunction::new(table, lake.clone()).unwrap())).into())
    }

    /// Invokes a function.
    pub async fn invoke(&self, function: Table, payload: &Value) -> Result<Value, String> {
        self.invoke_for(function, payload, None).await
    }

    /// Invokes a function, which may take `time` if that is given.
    pub async fn invoke_for(&self, function: Table, payload: &Value, time: Option<Duration>) -> Result<Value, String> {
        let answer = self.0[&function].invoke(payload, time).await;
        answer.map(|answer| answer.response).map_err(|error| store::with_causes(error.as_ref()))
    }
}

impl World {
    /// Makes a new lake of this policy.
    pub async fn new(consent_policy: ConsentPolicy) -> Self {
        Self::with_config(LakeConfig { consent_policy, ..LakeConfig::default() }).await
    }

    /// Makes a new lake.
    pub async fn with_config(config: LakeConfig) -> Self {
        let folder = TempDir::new().unwrap();
        let cloud = Cloud::open(folder.path()).unwrap();
        let lake = lake_over(cloud.http_client(), config);
        lake.store.create_bucket(lake.bucket()).await.unwrap();
        lake.catalog.create_tables().await.unwrap();
        Self { functions: Functions::new(&lake), lake, cloud, folder }
    }

    /// The same lake, with functions that have so much memory.
    pub fn with_memory_mb(self, memory_mb: u32) -> Self {
        let settings = LakeSettings { memory_mb, ..settings(self.lake.config()) };
        let lake = store::connect::over(self.cloud.http_client(), emulator::REGION, &settings);
        Self { functions: Functions::new(&lake), lake, ..self }
    }

    /// The HTTP client of the lake.
    pub fn http_client(&self) -> SharedHttpClient {
        self.cloud.http_client()
    }

    /// The requests so far.
    pub fn requests(&self) -> Requests {
        self.cloud.requests()
    }

    /// Makes further instances of the functions, on the same lake but through another client.
    pub fn over(&self, http_client: SharedHttpClient) -> Functions {
        Functions::new(&self.lake_over(http_client))
    }

    /// Does `work`, and returns the keys of the objects that were written meanwhile.
    pub async fn written_by(&self, work: impl AsyncFnOnce()) -> BTreeSet<String> {
        let before = self.objects().await;
        work().await;
        let after = self.objects().await.into_iter();
        after.filter(|(key, etag)| before.get(key) != Some(etag)).map(|(key, _)| key).collect()
    }

    /// Asserts that the row counts of all receipts add up, that cells have the rows that the receipts count, and that no work
    /// item remains. No event may be pending.
    ///
    /// A cell that was filtered by a consent newer than a receipt may have other rows of that file.
    pub async fn assert_row_counts(&self, what: &str) {
        let mut cells = BTreeMap::new();
        for table in CELLS {
            assert_eq!(self.work_items(table).await, [""; 0], "{what}");
            for key in self.objects().await.into_keys().filter(|key| key.starts_with(table.prefix())) {
                let cell = Cell::decode(table, self.body(&key).await.unwrap()).unwrap();
                cells.insert(key, cell);
            }
        }
        for key in self.objects().await.into_keys().filter(|key| key.starts_with("receipts/")) {
            let receipt = Receipt::decode(&self.body(&key).await.unwrap()).unwrap();
            let excluded: u64 = receipt.excluded.values().sum();
            assert_eq!(receipt.rows, receipt.kept + excluded + receipt.quarantined, "{what}: {key}");
            assert_eq!(receipt.kept, receipt.outputs.iter().map(|output| output.rows).sum::<u64>(), "{what}: {key}");
            assert_eq!(receipt.file, FileId::of(&HashKey::public(), &receipt.landing.location), "{what}: {key}");
            let prefix = match receipt.source {
                Source::Customer => continue,
                Source::Accelerometer => Table::AccelerometerTrusted.prefix(),
                Source::StepTrainer => Table::StepTrainerTrusted.prefix(),
            };
            let kept: BTreeMap<&str, u64> =
                receipt.outputs.iter().map(|output| (output.key.as_str(), output.rows)).collect();
            assert!(kept.iter().all(|(cell, rows)| cells.contains_key(*cell) && *rows > 0), "{what}: {key}");
            let is_unfiltered = |cell: &Cell| is_at_most(&cell.consents, &receipt.derived_from);
            for (cell_key, cell) in cells.iter().filter(|(key, cell)| key.starts_with(prefix) && is_unfiltered(cell)) {
                let entry = cell.entries.get(&receipt.file);
                assert!(
                    entry.is_none_or(|entry| entry.generation <= receipt.generation),
                    "{what}: {key} on {cell_key}"
                );
                let rows = entry.map_or(0, |entry| entry.rows.num_rows() as u64);
                let expected = kept.get(cell_key.as_str()).copied().unwrap_or(0);
                assert_eq!(rows, expected, "{what}: {key} on {cell_key}");
            }
        }
    }

    /// Asserts how many rows each of the five tables has, and that the row counts of all receipts add up.
    pub async fn assert_tables(&self, what: &str, counts: [usize; 5]) {
        assert_eq!(self.counts().await, counts, "{what}");
        self.assert_row_counts(what).await;
    }

    /// The same lake with other settings.
    pub fn with_settings(&self, config: LakeConfig) -> Lake {
        lake_over(self.cloud.http_client(), config)
    }

    /// The same lake, opened with another hash key.
    pub fn with_hash_key(&self, hash_key: HashKey) -> Lake {
        let settings = LakeSettings { hash_key, ..settings(self.lake.config()) };
        store::connect::over(self.cloud.http_client(), emulator::REGION, &settings)
    }

    /// The same lake, reached through another client.
    pub fn lake_over(&self, http_client: SharedHttpClient) -> Lake {
        lake_over(http_client, self.lake.config())
    }

    /// Puts an object over any version.
    pub async fn put(&self, key: &str, body: impl AsRef<[u8]>) {
        self.put_at(&self.lake.at(key), body).await;
    }

    /// Sets when an object of the lake was stored: its Last-Modified.
    pub fn set_stored(&self, key: &str, time_ms: u64) {
        let path = self.folder.path().join(self.lake.bucket()).join(key);
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(time_ms)).unwrap();
    }

    /// Puts an object in any bucket.
    pub async fn put_at(&self, location: &ObjectLocation, body: impl AsRef<[u8]>) {
        let version = self.lake.store.version(location).await.unwrap();
        let put = self.lake.store.put(location, Bytes::copy_from_slice(body.as_ref()), &version).await.unwrap();
        assert!(put.is_done());
    }

    /// Removes an object without an event, as a lifecycle rule does.
    pub fn expire(&self, key: &str) {
        std::fs::remove_file(self.folder.path().join(self.lake.bucket()).join(key)).unwrap();
    }

    /// Makes a bucket unknown, as one that was deleted or belongs to another AWS account.
    pub fn hide_bucket(&self, bucket: &str) {
        std::fs::rename(self.folder.path().join(bucket), self.hidden(bucket)).unwrap();
    }

    /// Ends [`Self::hide_bucket`].
    pub fn show_bucket(&self, bucket: &str) {
        std::fs::rename(self.hidden(bucket), self.folder.path().join(bucket)).unwrap();
    }

    fn hidden(&self, bucket: &str) -> PathBuf {
        self.folder.path().join(format!(".{bucket}"))
    }

    /// Uploads an object, and delivers events until none is pending.
    pub async fn ingest(&self, key: &str, body: impl AsRef<[u8]>) {
        self.put(key, body).await;
        self.deliver_all([key.to_owned()]).await;
    }

    /// Delivers the events of these objects, and of all objects that are written, until none is pending.
    pub async fn deliver_all(&self, keys: impl IntoIterator<Item = String>) {
        self.deliver_to(&Table::DERIVED, keys).await;
    }

    /// Does the same with some of the functions. Events for the other ones are dropped.
    pub async fn deliver_to(&self, functions: &[Table], keys: impl IntoIterator<Item = String>) {
        let mut due: BTreeSet<String> = keys.into_iter().collect();
        let (mut before, mut puts) = (self.objects().await, self.requests().put);
        while let Some(key) = due.pop_first() {
            for function in triggered_by(&key).filter(|function| functions.contains(function)) {
                self.deliver(function, &key).await.unwrap();
            }
            // Most events are handled without a put, and a list takes longer than such an event.
            if self.requests().put > puts {
                let after = self.objects().await;
                due.extend(
                    after.iter().filter(|(key, etag)| before.get(*key) != Some(etag)).map(|(key, _)| key.clone()),
                );
                (before, puts) = (after, self.requests().put);
            }
        }
    }

    /// Delivers the event of one object to one function.
    pub async fn deliver(&self, function: Table, key: &str) -> Result<Value, String> {
        self.invoke(function, &event(self.lake.bucket(), key)).await
    }

    /// Invokes a function.
    pub async fn invoke(&self, function: Table, payload: &Value) -> Result<Value, String> {
        self.functions.invoke(function, payload).await
    }

    /// Invokes a function, which may take `time` if that is given.
    pub async fn invoke_for(&self, function: Table, payload: &Value, time: Option<Duration>) -> Result<Value, String> {
        self.functions.invoke_for(function, payload, time).await
    }

    /// Stops a function before its request number `stop_before`, does `meanwhile`, and then continues or kills the function.
    /// Returns whether it makes that request. If not, it finishes, and `meanwhile` is not done.
    pub async fn stop(
        &self,
        function: Table,
        payload: &Value,
        stop_before: usize,
        stopped: Stopped,
        meanwhile: impl AsyncFnOnce(),
    ) -> bool {
        let gate = Gate::new(self.http_client(), stop_before);
        let slow = self.over(SharedHttpClient::new(gate.clone()));
        let mut invocation = pin!(slow.invoke(function, payload));
        let assert_done = |answer| assert_eq!(answer, Ok(json!({"batchItemFailures": []})), "{function} on {payload}");
        tokio::select! {
            biased;
            answer = &mut invocation => {
                assert_done(answer);
                return false;
            }
            () = gate.stopped() => meanwhile().await,
        }
        if stopped == Stopped::Continued {
            gate.go_on();
            assert_done(invocation.await);
        }
        true
    }

    /// Invokes a function, which may take `time`, and whose request number `hang_at` is never answered.
    pub async fn hang(
        &self,
        function: Table,
        payload: &Value,
        hang_at: usize,
        time: Duration,
    ) -> Result<Value, String> {
        let gate = Gate::new(self.http_client(), hang_at);
        self.over(SharedHttpClient::new(gate)).invoke_for(function, payload, Some(time)).await
    }

    /// Kills a function before its request number `stop_before`. Returns whether it finishes before that.
    pub async fn finishes(&self, function: Table, payload: &Value, stop_before: usize) -> bool {
        !self.stop(function, payload, stop_before, Stopped::Killed, async || {}).await
    }

    /// Delivers the events of all objects once more, to new instances of the functions, and asserts that nothing is written.
    pub async fn assert_redelivery_writes_nothing(&self, what: &str) {
        let before = self.objects().await;
        let lake = self.lake_over(self.http_client());
        let functions = Functions::new(&lake);
        for key in before.keys() {
            for function in triggered_by(key) {
                functions.invoke(function, &event(self.lake.bucket(), key)).await.unwrap();
                assert_eq!(lake.counters.drain().objects_written, 0, "{what}: {function} on {key}");
            }
        }
        assert_eq!(self.objects().await, before, "{what}");
    }

    /// The keys of the work items of a function.
    pub async fn work_items(&self, function: Table) -> Vec<String> {
        let prefix = model::layout::work_items(function);
        self.objects().await.into_keys().filter(|key| key.starts_with(prefix)).collect()
    }

    /// Delivers the events of a function's work items.
    pub async fn deliver_work(&self, function: Table) {
        for item in self.work_items(function).await {
            self.deliver(function, &item).await.unwrap();
        }
    }

    /// All objects of the lake: key → ETag.
    pub async fn objects(&self) -> BTreeMap<String, String> {
        self.lake.store.list(self.lake.bucket(), "", true).await.unwrap().objects
    }

    /// An object's body.
    pub async fn body(&self, key: &str) -> Option<Bytes> {
        match self.lake.store.read(&self.lake.at(key), None).await.unwrap() {
            Read::Found { body, .. } => Some(body),
            _ => None,
        }
    }

    /// An object's version.
    pub async fn version(&self, key: &str) -> Version {
        self.lake.store.version(&self.lake.at(key)).await.unwrap()
    }

    /// The rows of a table as texts (see [`rows_of`]), sorted.
    pub async fn rows(&self, table: Table) -> Vec<String> {
        let mut rows = Vec::new();
        for key in self.objects().await.into_keys().filter(|key| key.starts_with(table.prefix())) {
            rows.extend(rows_of(table, &key, self.body(&key).await.unwrap()).unwrap());
        }
        rows.sort();
        rows
    }

    /// How many rows each of the five tables has, in the order of the flow.
    pub async fn counts(&self) -> [usize; 5] {
        let mut counts = [0; 5];
        for (count, table) in counts.iter_mut().zip(Table::DERIVED) {
            *count = self.rows(table).await.len();
        }
        counts
    }

    /// The receipt of a landing file.
    pub async fn receipt(&self, source: Source, key: &str) -> Receipt {
        Receipt::decode(&self.body(&model::layout::receipt(source, self.file(key))).await.unwrap()).unwrap()
    }

    /// The id of a landing file of the lake's bucket.
    pub fn file(&self, key: &str) -> FileId {
        self.lake.file_id(&self.lake.at(key))
    }
}

/// The tables whose cells have an entry for each landing file.
const CELLS: [Table; 2] = [Table::AccelerometerTrusted, Table::StepTrainerTrusted];

/// The key of the cell of the hour of this time.
pub fn cell(table: Table, time_ms: i64) -> String {
    model::layout::cell(table, slice_of(time_ms))
}

/// The slice of this time, in a lake with one slice an hour.
pub fn slice_of(time_ms: i64) -> Slice {
    SlicesPerHour::default().slice_of(time_ms)
}

fn is_at_most(versions: &ShardVersions, others: &ShardVersions) -> bool {
    versions.iter().all(|(shard, version)| *version <= others.get(shard).copied().unwrap_or(0))
}

fn settings(config: LakeConfig) -> LakeSettings {
    LakeSettings::local("stedi", config, HashKey::public())
}

fn lake_over(http_client: SharedHttpClient, config: LakeConfig) -> Lake {
    store::connect::over(http_client, emulator::REGION, &settings(config))
}

/// A customer record: `date` is its lastUpdateDate, `since` its research consent, both relative to [`T`].
pub fn customer(name: &str, date: i64, since: Option<i64>) -> String {
    let since = since.map_or(String::new(), |since| format!(r#","shareWithResearchAsOfDate":{}"#, T + since));
    format!(
        r#"{{"customerName":"{name} Name","email":"{name}@example.com","phone":"555{name}","birthDay":"1399-01-01","serialNumber":"serial-{name}","registrationDate":{T},"lastUpdateDate":{}{since}}}"#,
        T + date
    )
}

/// An accelerometer reading, its time relative to [`T`].
pub fn motion(name: &str, time: i64) -> String {
    format!(r#"{{"user":"{name}@example.com","timestamp":{},"x":1.5,"y":-1.0,"z":0.0}}"#, T + time)
}

/// A step trainer reading, its time relative to [`T`].
pub fn step(name: &str, time: i64) -> String {
    format!(r#"{{"sensorReadingTime":{},"serialNumber":"serial-{name}","distanceFromObject":218}}"#, T + time)
}
