//! The command line.

use clap::{Args as ClapArgs, Parser, Subcommand};
use lake::policy::ConsentPolicy;
use std::path::PathBuf;

/// STEDI Lake on one machine: the five functions on an embedded S3, Glue catalog and event dispatcher.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "\
First steps:
  stedi run                      generate sample data, run it through, show the tables
  stedi generate landing         write sample landing files, to look at or to change
  stedi run landing              land those files; run it again after changing some
  stedi tables                   what is in the lake now

The lake is plain files: ./lake/stedi/KEY. Any Parquet reader can read the tables. One command at a time can use it.
To derive a landing file anew, remove its receipt below ./lake/stedi/receipts/ and land it again.
Set RUST_LOG=info to see the functions' logs on standard error."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Land files, wait until everything that follows from them is done, and show the tables
    Run(Run),
    /// Show the tables, their partitions and row counts
    Tables(Tables),
    /// Write sample landing files
    Generate(Generate),
}

/// Lands files and waits until nothing is left to deliver.
#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    /// Folder with customer/landing/, accelerometer/landing/ and step_trainer/landing/; without it sample data is
    /// generated. Files that the lake holds already in the same version are left out, and so are those whose name
    /// begins with a dot
    pub landing: Option<PathBuf>,
    /// Where the lake is
    #[arg(long, value_name = "DIR", default_value = "lake")]
    pub lake: PathBuf,
    /// The lake's bucket: objects are at DIR/NAME/KEY
    #[arg(long, value_name = "NAME", default_value = "stedi", value_parser = bucket)]
    pub bucket: String,
    /// Which readings of a consenting customer count: `ever` for those of any time, `at-reading` for those at or after
    /// the consent. A lake keeps the policy it was made with
    #[arg(long, value_name = "POLICY", default_value_t = ConsentPolicy::Ever)]
    pub consent: ConsentPolicy,
    /// Land the files, and deliver their events, in an order drawn from SEED
    #[arg(long, value_name = "SEED")]
    pub shuffle: Option<u64>,
    /// Deliver every event N times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub duplicate: u16,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

/// S3's own rule for the names of buckets.
fn bucket(name: &str) -> Result<String, &'static str> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if (3..=63).contains(&name.len())
        && name.chars().all(legal)
        && ends(name.chars().next())
        && ends(name.chars().last())
        && !name.contains("..")
    {
        Ok(name.to_owned())
    } else {
        Err("expected 3 to 63 lower-case letters, digits, hyphens and single dots, with a letter or digit at each end")
    }
}

/// Shows the tables.
#[derive(Debug, ClapArgs)]
pub(crate) struct Tables {
    /// Where the lake is
    #[arg(long, value_name = "DIR", default_value = "lake")]
    pub lake: PathBuf,
    /// The lake's bucket
    #[arg(long, value_name = "NAME", default_value = "stedi", value_parser = bucket)]
    pub bucket: String,
}

/// Writes sample landing files.
#[derive(Debug, ClapArgs)]
pub(crate) struct Generate {
    /// The folder to write to; it must be empty, or not there yet
    pub folder: PathBuf,
    /// How many customers; half of them consent
    #[arg(long, value_name = "N", default_value_t = 956, value_parser = clap::value_parser!(u32).range(1..))]
    pub customers: u32,
    /// The same seed gives the same files
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Add what is wrong with files in reality: other encodings of the same rows, broken lines, broken files
    #[arg(long)]
    pub dirty: bool,
}
