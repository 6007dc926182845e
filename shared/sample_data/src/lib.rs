//! Sample landing files: a population of customers, what their phones and step trainers measured, and on request
//! every way in which such files are dirty in reality.
//!
//! The crate is pure: no clock, no files, no global state. The same [`Options`] give the same bytes.
//!
//! | module | what |
//! |---|---|
//! | `people` | invented customers |
//! | `cohort` | the rows of up to 956 customers and one day |
//! | `record` | one row as named fields, and its plain JSON |
//! | `hostile` | the same rows in other encodings, among lines and files that must be rejected |
//!
//! ```
//! use sample_data::{Options, generate};
//!
//! for file in generate(&Options { customers: 4, ..Options::default() }) {
//!     assert!(file.path.contains("/landing/"));
//! }
//! ```

mod cohort;
mod hostile;
mod people;
mod record;

use cohort::Cohort;
use record::{Source, Spacing};

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many customers, half of them with a research consent. Each gives 30 step trainer readings and some
    /// 86 accelerometer readings. Beyond 956 further files are added, one day later for each further 956.
    pub customers: usize,
    /// Everything random is drawn from this number.
    pub seed: u64,
    /// The same rows, but encoded in many ways, among lines and files that must be rejected.
    pub dirty: bool,
}

impl Default for Options {
    /// The size of the reference data, clean.
    fn default() -> Self {
        Self { customers: cohort::CUSTOMERS_MAX, seed: 1, dirty: false }
    }
}

/// One landing file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it lands, relative to the landing bucket or folder, such as `customer/landing/customer-1709973480000.json`.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The landing files that `options` describe, in the order of their paths' sources: customers first.
///
/// Files are made one cohort at a time, so that any number of customers fits into memory.
pub fn generate(options: &Options) -> impl Iterator<Item = File> + use<> {
    let Options { customers, seed, dirty } = *options;
    (0..customers.div_ceil(cohort::CUSTOMERS_MAX)).flat_map(move |number| {
        let first = number * cohort::CUSTOMERS_MAX;
        let size = (customers - first).min(cohort::CUSTOMERS_MAX);
        let cohort = Cohort::new(seed, number, first, size);
        if dirty { hostile::files(&cohort, seed) } else { clean_files(&cohort) }
    })
}

/// The files as the reference data has them: JSON lines, one customer file, nine of accelerometers, three of step trainers.
fn clean_files(cohort: &Cohort) -> Vec<File> {
    let mut files = Vec::new();
    for source in Source::ALL {
        let (spacing, files_max) = match source {
            Source::Customer => (Spacing::Wide, 1),
            Source::Accelerometer => (Spacing::Tight, 9),
            Source::StepTrainer => (Spacing::Tight, 3),
        };
        let records = cohort.records(source);
        for (index, part) in records.chunks(records.len().div_ceil(files_max).max(1)).enumerate() {
            let mut text = String::new();
            for record in part {
                record.write(spacing, &mut text);
                text.push('\n');
            }
            files.push(File {
                path: format!("{}/landing/{}.json", source.folder(), cohort.file_name(source, index)),
                bytes: text.into_bytes(),
            });
        }
    }
    files
}
