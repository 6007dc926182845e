//! The hot paths of a landing file, each as one piece of work on generated data.
//!
//! `benches/hot_paths.rs` measures their times. `main.rs` runs one of them, for a tool that counts instructions.

use arrow_array::RecordBatch;
use bytes::Bytes;
use formats::Corrupt;
use formats::cell::{self, Cell, Entry};
use formats::columnar::Decoder;
use formats::customer_file::Customers;
use formats::customer_shard::consents::Consents;
use formats::customer_shard::records::FileVersion;
use formats::customer_shard::trusted::CustomerShard;
use formats::landing::{Collect, LandingReader, Undecodable};
use formats::reading::{Accelerometer, EligibleReading, Reading, Readings, ReadingsCollector, StepTrainer};
use formats::training;
use model::hash::HashKey;
use model::lake_config::{ConsentPolicy, Pairs};
use model::layout::{FileId, ObjectLocation};
use model::table::Table;

/// When S3 stored the sample files.
const STORED_MS: i64 = 1_735_689_600_000;

/// A landing file of each kind, of the size of the reference data, and the data that is made of it.
pub struct Sample {
    customers: Vec<u8>,
    accelerometer: Vec<u8>,
    step_trainer: Vec<u8>,
    trusted: Consents,
    motions: Readings<Accelerometer>,
    motions_stored: Bytes,
    steps_decoded: Vec<RecordBatch>,
    motions_decoded: Vec<RecordBatch>,
}

/// The sample data could not be made: a bug.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the sample data: {0}")]
pub struct BadSample(String);

impl From<Corrupt> for BadSample {
    fn from(corrupt: Corrupt) -> Self {
        Self(corrupt.to_string())
    }
}

impl From<Undecodable> for BadSample {
    fn from(undecodable: Undecodable) -> Self {
        Self(undecodable.to_string())
    }
}

/// One piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// JSON → customers.
    ParseCustomers,
    /// JSON → accelerometer readings.
    ParseAccelerometer,
    /// The same without the layouts of the records.
    ParseCompletely,
    /// JSON → step trainer readings.
    ParseStepTrainer,
    /// Readings → readings of eligible customers.
    Filter,
    /// Readings → Parquet.
    Encode,
    /// Parquet → columns.
    Decode,
    /// Columns of both tables → training rows.
    Join,
    /// A customer file → an encoded customer shard.
    Shard,
}

impl Work {
    /// All pieces of work.
    pub const ALL: [Self; 9] = [
        Self::ParseCustomers,
        Self::ParseAccelerometer,
        Self::ParseCompletely,
        Self::ParseStepTrainer,
        Self::Filter,
        Self::Encode,
        Self::Decode,
        Self::Join,
        Self::Shard,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ParseCustomers => "parse_customers",
            Self::ParseAccelerometer => "parse_accelerometer",
            Self::ParseCompletely => "parse_accelerometer_completely",
            Self::ParseStepTrainer => "parse_step_trainer",
            Self::Filter => "filter",
            Self::Encode => "encode_parquet",
            Self::Decode => "decode_parquet",
            Self::Join => "join",
            Self::Shard => "encode_shard",
        }
    }
}

/// The amount of data in a piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Rows of input.
    pub rows: u64,
    /// Bytes of input; for columns, the bytes of their files.
    pub bytes: u64,
}

impl Sample {
    /// Generates the data.
    ///
    /// # Errors
    /// Only if there is a bug.
    pub fn new() -> Result<Self, BadSample> {
        let files: Vec<_> = sample_data::generate(&sample_data::Options::default()).collect();
        let file = |prefix: &str| {
            let of_kind = files.iter().filter(|file| file.path.starts_with(prefix));
            of_kind.map(|file| file.bytes.clone()).next().ok_or_else(|| BadSample(format!("no file below {prefix}")))
        };
        let (customers, accelerometer, step_trainer) =
            (file("customer/")?, file("accelerometer/")?, file("step_trainer/")?);
        let trusted = Consents::decode(shard(&customers)?)?;
        let motions = readings::<Accelerometer>(&accelerometer)?;
        let motions_stored = encode(&motions)?;
        let steps = readings::<StepTrainer>(&step_trainer)?;
        let steps_stored = encode(&steps)?;
        let steps_decoded = decode(Table::StepTrainerTrusted, steps_stored)?;
        let motions_decoded = decode(Table::AccelerometerTrusted, motions_stored.clone())?;
        Ok(Self {
            customers,
            accelerometer,
            step_trainer,
            trusted,
            motions,
            motions_stored,
            steps_decoded,
            motions_decoded,
        })
    }

    /// Does a piece of work once.
    ///
    /// # Errors
    /// Only if there is a bug.
    pub fn work(&self, work: Work) -> Result<Amount, BadSample> {
        let bytes = |of: &[u8]| of.len() as u64;
        Ok(match work {
            Work::ParseCustomers => {
                let read = customers(&self.customers)?;
                Amount { rows: read.rows(), bytes: bytes(&self.customers) }
            }
            Work::ParseAccelerometer => {
                let read = readings::<Accelerometer>(&self.accelerometer)?;
                Amount { rows: read.rows().len() as u64, bytes: bytes(&self.accelerometer) }
            }
            Work::ParseCompletely => {
                let reader = LandingReader::without_layouts(ReadingsCollector::<Accelerometer>::default());
                let read = finish(reader, &self.accelerometer)?.finish(&HashKey::public());
                Amount { rows: read.rows().len() as u64, bytes: bytes(&self.accelerometer) }
            }
            Work::ParseStepTrainer => {
                let read = readings::<StepTrainer>(&self.step_trainer)?;
                Amount { rows: read.rows().len() as u64, bytes: bytes(&self.step_trainer) }
            }
            Work::Filter => {
                let admitted = self.admitted();
                let rows = self.motions.rows().len() as u64;
                if admitted.is_empty() {
                    return Err(BadSample("no reading is admitted".into()));
                }
                Amount { rows, bytes: bytes(&self.accelerometer) }
            }
            Work::Encode => {
                encode(&self.motions)?;
                Amount { rows: self.motions.rows().len() as u64, bytes: bytes(&self.accelerometer) }
            }
            Work::Decode => {
                let decoded = decode(Table::AccelerometerTrusted, self.motions_stored.clone())?;
                let rows = decoded.iter().map(|batch| batch.num_rows() as u64).sum();
                Amount { rows, bytes: bytes(&self.motions_stored) }
            }
            Work::Join => {
                let rows = training::join(&self.steps_decoded, &self.motions_decoded, Pairs::SameInstant);
                Amount { rows: rows.len() as u64, bytes: bytes(&self.accelerometer) + bytes(&self.step_trainer) }
            }
            Work::Shard => {
                let stored = shard(&self.customers)?;
                Amount { rows: 1, bytes: bytes(&stored) }
            }
        })
    }

    fn admitted(&self) -> Vec<EligibleReading<'_, [f64; 3]>> {
        let owners: Vec<_> = self.motions.keys().iter().map(|key| self.trusted.owner(key)).collect();
        let admit = |row: &formats::reading::Row<[f64; 3]>| {
            let owner = owners[row.key as usize]?;
            ConsentPolicy::Ever.admits(row.time_ms, owner.since_ms).then_some(EligibleReading {
                key: owner.email,
                owner: owner.email,
                time_ms: row.time_ms,
                value: row.value,
            })
        };
        self.motions.rows().iter().filter_map(admit).collect()
    }
}

fn readings<R: Reading>(file: &[u8]) -> Result<Readings<R>, Undecodable> {
    Ok(finish(LandingReader::new(ReadingsCollector::default()), file)?.finish(&HashKey::public()))
}

fn customers(file: &[u8]) -> Result<Customers, Undecodable> {
    finish(LandingReader::new(Customers::stored_at(STORED_MS, HashKey::public())), file)
}

fn finish<C: Collect>(mut reader: LandingReader<C>, file: &[u8]) -> Result<C, Undecodable> {
    reader.push(file)?;
    Ok(reader.finish()?.0)
}

/// All readings, each admitted with its key as owner.
fn as_admitted<R: Reading>(readings: &Readings<R>) -> Vec<EligibleReading<'_, R::Value>> {
    let admitted = readings.rows().iter().map(|row| {
        let key = readings.keys()[row.key as usize].text.as_str();
        EligibleReading { key, owner: key, time_ms: row.time_ms, value: row.value }
    });
    admitted.collect()
}

/// All readings as the entry of one landing file in a cell.
fn encode<R: Reading>(readings: &Readings<R>) -> Result<Bytes, Corrupt> {
    let location =
        ObjectLocation { bucket: "lake".into(), key: format!("{}sample.json", R::SOURCE.landing().prefix()) };
    let entry = Entry { generation: 1, rows: cell::rows::<R>(&as_admitted(readings))? };
    let mut cell = Cell::empty(R::TRUSTED);
    cell.entries.insert(FileId::of(&HashKey::public(), &location), entry);
    cell.encode()
}

/// The rows of a cell, as the training table reads them.
fn decode(table: Table, cell: Bytes) -> Result<Vec<RecordBatch>, Corrupt> {
    Decoder::new(cell, table.name())?.batches(table)?.collect()
}

fn shard(file: &[u8]) -> Result<Bytes, BadSample> {
    let customers = customers(file)?;
    let location = ObjectLocation { bucket: "lake".into(), key: "customer/landing/sample.json".into() };
    let mut update = CustomerShard::empty(HashKey::public()).update();
    let version = FileVersion { file: FileId::of(&HashKey::public(), &location), generation: 1, stored_ms: STORED_MS };
    update.ingest(version, customers.customers());
    Ok(update.settle()?.0.encode()?)
}
