//! Generates sample landing files: customers, and the readings of their phones and step trainers. On request the files are
//! dirty, as they are in reality.
//!
//! The crate is pure: no clock, no files, no global state. The same [`Options`] give the same bytes. A file's name carries
//! the options, so files with different content never have the same path.
//!
//! | module | content |
//! |---|---|
//! | `people` | invented customers |
//! | `cohort` | the rows of up to 956 customers and one day |
//! | `record` | one row as named fields, and its plain JSON |
//! | `hostile` | the same rows in other encodings, between lines and files that must be rejected |
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

/// The options of the generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The number of customers. Half of them consent to research. Each has 30 step trainer readings and some
    /// 86 accelerometer readings. Each further 956 customers have files of their own, one day later.
    pub customers: usize,
    /// The seed of all random choices.
    pub seed: u64,
    /// Whether the same rows are encoded in many ways, between lines and files that must be rejected.
    pub dirty: bool,
}

impl Default for Options {
    /// Returns the options for clean files of the reference data's size.
    fn default() -> Self {
        Self { customers: cohort::CUSTOMERS_MAX, seed: 1, dirty: false }
    }
}

/// One landing file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path within the landing bucket or folder, such as
    /// `customer/landing/customer-1709971680000-seed1-customers956.json`.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Generates the landing files of `options`, cohort by cohort. In each cohort the customer files are first.
///
/// Only one cohort is in memory at a time.
pub fn generate(options: &Options) -> impl Iterator<Item = File> + use<> {
    let Options { customers, seed, dirty } = *options;
    (0..customers.div_ceil(cohort::CUSTOMERS_MAX)).flat_map(move |number| {
        let first = number * cohort::CUSTOMERS_MAX;
        let size = (customers - first).min(cohort::CUSTOMERS_MAX);
        let cohort = Cohort::new(seed, number, first, size);
        if dirty { hostile::files(&cohort) } else { clean_files(&cohort) }
    })
}

/// Returns the files in the form of the reference data: JSON lines in one customer file, nine accelerometer files and three
/// step trainer files.
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
