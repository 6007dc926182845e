//! The emulated S3, Glue and event dispatcher, with the five functions on them.

use crate::args::{LakeArgs, WriteArgs};
use crate::hash_key::{self, HashKeyError};
use crate::holder::Holder;
use accelerometer_trusted::AccelerometerTrusted;
use customer_curated::CustomerCurated;
use customer_trusted::CustomerTrusted;
use emulator::{Cloud, DeadLetter, Dispatcher, Handler, OpenError, Options, Subscription};
use emulator_client::Clients;
use emulator_client::data_catalog::{Column, Storage, Table as CatalogTable};
use formats::receipt;
use ingest::Limits;
use machine_learning_curated::MachineLearningCurated;
use model::hash::HashKey;
use model::lake_config::LakeConfig;
use model::layout::{LAKE_CONFIG, ObjectLocation, RECEIPTS, Source};
use model::table::Format;
use runtime::function::{Function, invoke};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use step_trainer_trusted::StepTrainerTrusted;
use store::BoxError;
use store::lake::{DATABASE, Lake, LakeSettings};

/// The last error of each function on each object.
type Errors = Arc<Mutex<BTreeMap<(String, ObjectLocation), String>>>;

/// The most landing files in one call: a function keeps the manifest of each until the call ends.
const FILES_MAX: usize = 1_000;
/// The most other events in one call. AWS allows no more.
const EVENTS_MAX: usize = 10_000;

/// A function on this machine does more at once than on AWS, so that it writes each cell less often, and searches the index
/// less often.
const LIMITS: Limits = Limits { rows_max: 6_000_000, planned_max: 100_000, ..ingest::LIMITS };

/// How many functions depend on customers' landing files alone: `customer_trusted`. The others wait until all files are
/// uploaded, and then take many in one call.
pub(crate) const CUSTOMER_FUNCTIONS: usize = 1;

/// A lake in the emulated S3 and Glue.
pub(crate) struct Stack {
    pub cloud: Cloud,
    pub lake: Lake,
    /// Clients for listings, byte ranges and the whole catalog, which functions do without.
    pub clients: Clients,
    errors: Errors,
}

/// Why a lake cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StackError {
    /// A folder has one catalog, and a catalog has one set of tables.
    #[error("{} holds the lake of bucket {other}; name that with --bucket, or another folder with --lake", folder.display())]
    OtherLake { folder: PathBuf, other: String },
    /// A lake keeps the settings that it was made with.
    #[error(
        "lake in {} has the {setting} {made}, but {option} says {given}: leave out {option}, or make another lake with \
         --lake",
        folder.display()
    )]
    OtherSetting { folder: PathBuf, setting: &'static str, option: &'static str, made: String, given: String },
    /// Another process holds the lake.
    #[error("lake {} is in use by {holder}; stop that, or name another folder with --lake", folder.display())]
    InUse { folder: PathBuf, holder: Holder },
}

/// Returns the bucket of another lake in this folder.
fn other_lake(folder: &Path, bucket: &str) -> Option<String> {
    let mut buckets = std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    buckets.find(|other| other != bucket && folder.join(other).join(LAKE_CONFIG).exists())
}

impl Stack {
    /// Opens a lake to write it, with its own settings; a new one has those that `args` name. Refuses a lake with other
    /// settings than these.
    pub(crate) fn open_to_write(args: &WriteArgs, command: &str) -> Result<Self, BoxError> {
        let (made, folder) = (lake_config(&args.lake), args.lake.folder());
        let made_policy = made.map(|made| made.consent_policy);
        let consent_policy = kept(&folder, "consent policy", "--consent", made_policy, args.consent)?;
        let pairs = kept(&folder, "pairs", "--pairs", made.map(|made| made.pairs), args.pairs)?;
        let made_slices = made.map(|made| made.slices_per_hour);
        let slices_per_hour = kept(&folder, "slices per hour", "--slices", made_slices, args.slices)?;
        let made_shards = made.map(|made| made.customer_shards);
        let customer_shards = kept(&folder, "customer shards", "--shards", made_shards, args.shards)?;
        let config = LakeConfig { customer_shards, consent_policy, pairs, slices_per_hour };
        Self::open(&args.lake, config, hash_key::of, command)
    }

    /// Opens a lake that no other process holds, for `command`. Takes its hash key from `hash_key` when it holds the lake.
    pub(crate) fn open(
        args: &LakeArgs,
        config: LakeConfig,
        hash_key: impl FnOnce(&LakeArgs) -> Result<HashKey, HashKeyError>,
        command: &str,
    ) -> Result<Self, BoxError> {
        let LakeArgs { lake: folder, bucket } = args;
        if let Some(other) = other_lake(folder, bucket) {
            return Err(StackError::OtherLake { folder: folder.clone(), other }.into());
        }
        let cloud = match (Cloud::open(folder), Holder::read(folder)) {
            (Err(OpenError::InUse(folder)), Ok(Some(holder))) => {
                return Err(StackError::InUse { folder, holder }.into());
            }
            (cloud, _) => cloud?,
        };
        Holder::this(command).write(folder)?;
        let settings = LakeSettings::local(bucket, config, hash_key(args)?);
        let lake = store::connect::over(cloud.http_client(), emulator::REGION, &settings);
        let clients = Clients::new(&store::connect::config_over(cloud.http_client(), emulator::REGION));
        Ok(Self { cloud, lake, clients, errors: Errors::default() })
    }

    /// Makes the bucket and the tables that are missing. Refuses a lake that was made with another config.
    pub(crate) async fn make(&self) -> Result<(), BoxError> {
        self.lake.store.create_bucket(self.lake.bucket()).await?;
        self.lake.check().await?;
        self.lake.catalog.create_tables().await?;
        match self.clients.catalog.create_table(&receipts(self.lake.bucket())).await {
            Err(error) if !error.exists() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Starts the five functions, each before those that its outputs trigger.
    pub(crate) fn start(&self, options: Options) -> Result<Dispatcher, BoxError> {
        let functions = vec![
            self.subscribe(CustomerTrusted::new(self.lake.clone())),
            self.subscribe(AccelerometerTrusted::with_limits(self.lake.clone(), LIMITS)),
            self.subscribe(CustomerCurated::new(self.lake.clone())),
            self.subscribe(StepTrainerTrusted::with_limits(self.lake.clone(), LIMITS)),
            self.subscribe(MachineLearningCurated::new(self.lake.clone())),
        ];
        Ok(Dispatcher::start(&self.cloud, functions, options)?)
    }

    /// Says what failed, how often, and why.
    pub(crate) fn describe(&self, letter: DeadLetter) -> String {
        let DeadLetter { function, bucket, key, receives, error } = letter;
        let location = ObjectLocation { bucket, key };
        let why = error.or_else(|| self.error(&function, &location)).unwrap_or_else(|| "no reason given".into());
        format!("{function} on {location}, {receives} times: {why}")
    }

    /// Returns the last error of `function` on the object at `location`.
    fn error(&self, function: &str, location: &ObjectLocation) -> Option<String> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.get(&(function.to_owned(), location.clone())).cloned()
    }

    fn subscribe<F: Function>(&self, function: F) -> Subscription {
        let (function, errors) = (Arc::new(function), self.errors.clone());
        let handler: Handler = Arc::new(move |payload| Box::pin(handle(function.clone(), errors.clone(), payload)));
        // Derived objects before landing files: consent is then current before a function reads the files.
        let mut prefixes: Vec<_> = topology::inputs_of(F::TABLE).collect();
        prefixes.reverse();
        let subscription = Subscription::new(F::TABLE.name(), self.lake.bucket(), prefixes, handler);
        let is_landing = |prefix: &String| Source::ALL.iter().any(|source| prefix == source.landing().prefix());
        let batch_size = if subscription.prefixes.iter().any(is_landing) { FILES_MAX } else { EVENTS_MAX };
        // One call at a time, because one uses all cores.
        Subscription { batch_size, concurrency: 1, ..subscription }
    }
}

/// Returns the table of receipts, which only queries read. On AWS, Terraform defines the same.
fn receipts(bucket: &str) -> CatalogTable {
    let column = |column: &receipt::ReceiptColumn| Column {
        name: column.name.into(),
        kind: column.kind.into(),
        comment: Some(column.comment.into()),
    };
    let format = Format::Json.storage();
    let parameters = format.parameters.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    CatalogTable {
        database: DATABASE.into(),
        name: receipt::TABLE.into(),
        description: Some(receipt::COMMENT.into()),
        kind: "EXTERNAL_TABLE".into(),
        columns: receipt::COLUMNS.iter().map(column).collect(),
        storage: Storage {
            location: Some(format!("s3://{bucket}/{RECEIPTS}")),
            input_format: Some(format.input_format.into()),
            output_format: Some(format.output_format.into()),
            serde: Some(format.serialization_library.into()),
            serde_parameters: parameters.collect(),
        },
        parameters: [("EXTERNAL", "TRUE"), ("classification", Format::Json.name())]
            .map(|(a, b)| (a.into(), b.into()))
            .into(),
        ..CatalogTable::default()
    }
}

/// Reads the config of a lake. A record that cannot be read is reported when the lake is checked.
fn lake_config(args: &LakeArgs) -> Option<LakeConfig> {
    let json = std::fs::read(args.folder().join(LAKE_CONFIG)).ok()?;
    serde_json::from_slice(&json).ok()
}

/// Returns the value of a setting that a lake keeps: the one that it was made with, else the given one.
fn kept<T: Copy + Default + PartialEq + Display>(
    folder: &Path,
    setting: &'static str,
    option: &'static str,
    made: Option<T>,
    given: Option<T>,
) -> Result<T, StackError> {
    match (made, given) {
        (Some(made), Some(given)) if made != given => {
            let (made, given) = (made.to_string(), given.to_string());
            Err(StackError::OtherSetting { folder: folder.to_owned(), setting, option, made, given })
        }
        _ => Ok(made.or(given).unwrap_or_default()),
    }
}

async fn handle<F: Function>(function: Arc<F>, errors: Errors, payload: String) -> Result<String, String> {
    let payload = serde_json::from_str(&payload).map_err(|error| error.to_string())?;
    let answer = invoke(&*function, &payload, None).await.map_err(|error| store::with_causes(error.as_ref()))?;
    let mut errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
    for (location, error) in answer.failures {
        errors.insert((F::TABLE.name().to_owned(), location), store::with_causes(error.as_ref()));
    }
    Ok(answer.response.to_string())
}
