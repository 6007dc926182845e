//! The embedded S3, Glue and dispatcher, with the five functions on it.

use crate::address;
use crate::args::At;
use accelerometer_trusted::AccelerometerTrusted;
use customer_curated::CustomerCurated;
use customer_trusted::CustomerTrusted;
use emulator::{Cloud, DeadLetter, Dispatcher, Handler, Options, Subscription};
use emulator_client::Clients;
use machine_learning_curated::MachineLearningCurated;
use model::lake_config::LakeConfig;
use model::layout::{LAKE_CONFIG, ObjectLocation, Source};
use runtime::function::{Function, invoke};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use step_trainer_trusted::StepTrainerTrusted;
use store::BoxError;
use store::lake::Lake;
use store::lake::{DATABASE, LakeSettings};

/// Why objects failed, as the functions said last: by function and location.
pub(crate) type Reasons = Arc<Mutex<BTreeMap<(String, ObjectLocation), String>>>;

/// Landing files in one call at most: what is announced of each is kept up to the end.
const FILES_MAX: usize = 1_000;
/// Other events in one call at most. AWS allows no more.
const EVENTS_MAX: usize = 10_000;

/// How many functions look at nothing but the customers' landing files: `customer_trusted`. The others wait for the readings
/// to be uploaded, and so take many of them together.
pub(crate) const FIRST: usize = 1;

/// A lake in the embedded S3 and Glue.
pub(crate) struct Stack {
    pub cloud: Cloud,
    pub lake: Lake,
    /// What only people and the SQL engine need of it: listings, byte ranges, all that is registered.
    pub clients: Clients,
    reasons: Reasons,
}

/// A folder has one catalog, and a catalog one set of tables.
#[derive(Debug, thiserror::Error)]
#[error("{directory} holds the lake of bucket {other}; name that with --bucket, or take another folder with --lake")]
struct OtherLake {
    directory: String,
    other: String,
}

/// The bucket of another lake in this folder.
fn other_lake(directory: &Path, bucket: &str) -> Option<String> {
    let mut buckets = std::fs::read_dir(directory).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    buckets.find(|other| other != bucket && directory.join(other).join(LAKE_CONFIG).exists())
}

impl Stack {
    /// Opens a lake that is used by nobody else.
    pub(crate) fn open(at: &At, config: LakeConfig) -> Result<Self, BoxError> {
        let At { lake: directory, bucket } = at;
        if let Some(other) = other_lake(directory, bucket) {
            return Err(OtherLake { directory: directory.display().to_string(), other }.into());
        }
        let cloud = Cloud::open(directory)?;
        // Of a `stedi up` that was killed: whoever comes meanwhile must not ask somebody else.
        address::take_away(directory)?;
        let settings = LakeSettings { lake_bucket: bucket.to_owned(), config, database: DATABASE.to_owned() };
        let lake = store::connect::over(cloud.http_client(), emulator::REGION, &settings);
        let clients = Clients::new(&store::connect::config_over(cloud.http_client(), emulator::REGION));
        Ok(Self { cloud, lake, clients, reasons: Reasons::default() })
    }

    /// Makes bucket and tables, where they are missing; refuses a lake that was made with other settings.
    pub(crate) async fn make(&self) -> Result<(), BoxError> {
        self.lake.store.create_bucket(self.lake.bucket()).await?;
        self.lake.check().await?;
        Ok(self.lake.catalog.create_tables().await?)
    }

    /// Starts the five functions, each before those that its outputs wake.
    pub(crate) fn start(&self, options: Options) -> Result<Dispatcher, BoxError> {
        let functions = vec![
            self.subscribe(CustomerTrusted::new(self.lake.clone())),
            self.subscribe(AccelerometerTrusted::new(self.lake.clone())),
            self.subscribe(CustomerCurated::new(self.lake.clone())),
            self.subscribe(StepTrainerTrusted::new(self.lake.clone())),
            self.subscribe(MachineLearningCurated::new(self.lake.clone())),
        ];
        Ok(Dispatcher::start(&self.cloud, functions, options)?)
    }

    /// What failed, how often, and why.
    pub(crate) fn told(&self, letter: DeadLetter) -> String {
        let DeadLetter { function, bucket, key, receives, error } = letter;
        let location = ObjectLocation { bucket, key };
        let why = error.or_else(|| self.reason(&function, &location)).unwrap_or_else(|| "no reason given".into());
        format!("{function} on {location}, {receives} times: {why}")
    }

    /// Why `function` failed on the object at `location`.
    fn reason(&self, function: &str, location: &ObjectLocation) -> Option<String> {
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.get(&(function.to_owned(), location.clone())).cloned()
    }

    fn subscribe<F: Function>(&self, function: F) -> Subscription {
        let (function, reasons) = (Arc::new(function), self.reasons.clone());
        let handler: Handler = Arc::new(move |payload| Box::pin(handle(function.clone(), reasons.clone(), payload)));
        // Derived objects before landing files: who is trusted is then known before the files are derived.
        let mut prefixes: Vec<_> = topology::inputs_of(F::TABLE).collect();
        prefixes.reverse();
        let subscription = Subscription::new(F::TABLE.name(), self.lake.bucket(), prefixes, handler);
        // A call uses all cores; two at a time would only get in each other's way.
        let lands =
            Source::ALL.iter().any(|source| subscription.prefixes.iter().any(|p| p == source.landing().prefix()));
        let batch_size = if lands { FILES_MAX } else { EVENTS_MAX };
        Subscription { batch_size, concurrency: 1, ..subscription }
    }
}

async fn handle<F: Function>(function: Arc<F>, reasons: Reasons, payload: String) -> Result<String, String> {
    let payload = serde_json::from_str(&payload).map_err(|error| error.to_string())?;
    let answer = invoke(&*function, &payload).await.map_err(|error| store::with_causes(error.as_ref()))?;
    let mut reasons = reasons.lock().unwrap_or_else(PoisonError::into_inner);
    for (location, error) in answer.failures {
        reasons.insert((F::TABLE.name().to_owned(), location), store::with_causes(error.as_ref()));
    }
    Ok(answer.response.to_string())
}
