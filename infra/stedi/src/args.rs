//! The command line.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use model::hash::ShardCount;
use model::lake_config::{ConsentPolicy, LakeConfig};
use simulation::faults::Faults;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use store::lake::DATABASE;

/// STEDI Lake on one machine: the five functions on an embedded S3, Glue catalog and event dispatcher.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
First steps:
  stedi run                      generate sample data, run it through, show the tables
  stedi generate landing         write sample landing files, to look at or to change
  stedi run landing              land those files; run it again after changing some
  stedi up                       S3, Glue and Athena on this machine, staying up: what is uploaded goes through
  stedi query 'SELECT ...'       ask the tables, as Athena would answer
  stedi tables                   what is in the lake now
  stedi simulate                 the functions on a thousand bad days, in simulated time: does every law hold?

The lake is plain files: ./lake/stedi/KEY. Any Parquet reader can read the tables. One command at a time can use it; only
`stedi query` and `stedi tables` ask a `stedi up` that has it.
To derive a landing file anew, remove its receipt below ./lake/stedi/receipts/ and land it again.
Set RUST_LOG=info to see the functions' logs on standard error."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What `stedi` alone says.
pub(crate) const FIRST_STEPS: &str = "\
STEDI Lake on one machine: the five functions on an embedded S3, Glue catalog and event dispatcher.

Four things to do first:
  stedi run        make sample data, run it through the functions, show the tables
  stedi up         serve S3, Glue and Athena here: what your S3 client uploads goes through
  stedi query 'SELECT count(*) FROM customer_trusted'
                   ask the tables, as Athena would answer
  stedi tables     what is in the lake now

`stedi --help` tells the rest, and `stedi COMMAND --help` all of a command.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Land files, wait until everything that follows from them is done, and show the tables
    Run(Run),
    /// Serve S3 and Glue on this machine until Ctrl-C; whatever is uploaded to a landing prefix goes through
    Up(Up),
    /// Ask the registered tables in SQL, as Athena would answer
    Query(Query),
    /// Show the tables: rows, objects, partitions, bytes, last change
    Tables(Tables),
    /// Write sample landing files
    Generate(Generate),
    /// Run the functions on simulated bad days, and hold them against the definitions of the tables
    Simulate(Simulate),
}

/// Which lake.
#[derive(Debug, ClapArgs)]
pub(crate) struct At {
    /// Where the lake is
    #[arg(long, value_name = "DIR", default_value = "lake")]
    pub lake: PathBuf,
    /// The lake's bucket: objects are at DIR/NAME/KEY
    #[arg(long, value_name = "NAME", default_value = "stedi", value_parser = bucket)]
    pub bucket: String,
}

/// Which lake, and what it is made with if it is not there yet.
#[derive(Debug, ClapArgs)]
pub(crate) struct Made {
    #[command(flatten)]
    pub at: At,
    /// Which readings of a consenting customer count: `ever` for those of any time, `at-reading` for those at or after
    /// the consent. A lake keeps the policy it was made with
    #[arg(long, value_name = "POLICY", default_value_t = ConsentPolicy::Ever)]
    pub consent: ConsentPolicy,
}

impl Made {
    /// What its functions are to be told.
    pub(crate) fn config(&self) -> LakeConfig {
        LakeConfig { customer_shards: ShardCount::default(), consent_policy: self.consent }
    }
}

/// Lands files and waits until nothing is left to deliver.
#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    /// Folder with customer/landing/, accelerometer/landing/ and step_trainer/landing/; without it sample data is
    /// generated. Files that the lake holds already in the same version are left out, and so are those whose name
    /// begins with a dot
    pub landing: Option<PathBuf>,
    #[command(flatten)]
    pub made: Made,
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

/// Serves S3 and Glue, and delivers the events of what is uploaded, until Ctrl-C.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = UP_HELP)]
pub(crate) struct Up {
    /// Where to listen, on this machine only; 0 takes any free port
    #[arg(long, value_name = "P", default_value_t = PORT)]
    pub port: u16,
    #[command(flatten)]
    pub made: Made,
    /// Only S3 and Glue: uploads wake nobody. For functions that run elsewhere, such as in `cargo lambda watch`
    #[arg(long)]
    pub no_functions: bool,
}

/// What the keys of a telephone give for "sted"; no service has registered it.
const PORT: u16 = 7833;

const UP_HELP: &str = "\
Standard output begins with lines for a shell, `export AWS_ENDPOINT_URL=...` and so on; paste them where your S3 client
or the functions run. Then comes a line for each landing file as it goes through, as its receipt says:

  s3://stedi/customer/landing/a.json: 956 rows = 482 kept + 474 excluded (no_consent 474) + 0 quarantined, 35 ms

The time is the one from its upload to its receipt; by then its rows are in the trusted table. A line without a time is of
a file that landed earlier: a customer's consent came, went or changed, and rows with it.

Ctrl-C lets the requests and calls under way finish; what is left is delivered by the next `stedi up` or `stedi run` of
the same lake, and so is what a killed one left. What landed under --no-functions functions nobody later, either: land it with
`stedi run FOLDER`, or invoke the functions yourself.";

/// Shows the tables.
#[derive(Debug, ClapArgs)]
pub(crate) struct Tables {
    #[command(flatten)]
    pub at: At,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

/// Asks the registered tables.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = QUERY_HELP)]
pub(crate) struct Query {
    /// One statement in SQL; `-` reads it from standard input
    pub sql: String,
    #[command(flatten)]
    pub at: At,
    /// The database of tables that are named without one
    #[arg(long, value_name = "NAME", default_value = DATABASE)]
    pub database: String,
    /// How the rows are written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = QueryFormat::Table)]
    pub format: QueryFormat,
    /// Write the rows to FILE instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show what would be read and done, and do nothing of it
    #[arg(long)]
    pub explain: bool,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueryFormat {
    /// For people: aligned, with a last line that counts the rows
    Table,
    /// RFC 4180, with a header; NULL is empty, and an empty text is ""
    Csv,
    /// One JSON object a line
    Json,
    /// A Parquet file
    Parquet,
}

const QUERY_HELP: &str = "\
The tables are found through the catalog, as Athena finds them: names, types and locations are those that are registered,
and a partition that is not registered is not there. The dialect is Athena's, as far as DataFusion has it; names match in
any case, and `user` and `timestamp` want no quotes, though they may have them.

  stedi query 'SELECT count(*), count(DISTINCT \"user\") FROM accelerometer_trusted'
  stedi query \"SELECT hour, count(*) FROM step_trainer_trusted WHERE dt = '2022-06-18' GROUP BY 1\" --explain
  stedi query 'SELECT * FROM machine_learning_curated' --format parquet --output training.parquet
  stedi query 'SHOW PARTITIONS accelerometer_trusted'

While a `stedi up` has the lake, it is asked over HTTP. The exit status is 1 if the statement is wrong or fails.";

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

/// Runs the five functions on simulated bad days, and holds what they make against the definitions of the tables.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = SIMULATE_HELP)]
pub(crate) struct Simulate {
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// How many seeds: S, S+1, S+2, ...
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: u64,
    /// What may go wrong: `all`, `none`, or kinds of faults with commas between them; a wrong one tells all kinds
    #[arg(long, value_name = "LIST", default_value_t = Faults::all())]
    pub faults: Faults,
    /// How many runs at a time, each in a thread of its own; changes nothing but the time it takes [default: one per
    /// processor]
    #[arg(long, value_name = "J")]
    pub jobs: Option<NonZeroUsize>,
    /// With one run, print all that happens in it; with several, print the digest of each, `SEED DIGEST`
    #[arg(long)]
    pub trace: bool,
    /// Run the case in FILE, as it was written when a law was broken, and print all that happens
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "runs", "faults", "jobs", "trace", "json"])]
    pub replay: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long, conflicts_with = "trace")]
    pub json: bool,
}

const SIMULATE_HELP: &str = "\
What happens: from each seed a small scenario is drawn (customers who consent, withdraw and change devices, and files
that come, are replaced and are damaged) and its bad luck (events late, twice and out of order; functions killed or
standing still for minutes; requests refused, timed out, or answered with the response lost). The real functions run
through the real AWS SDK against an embedded S3 and Glue, on a simulated clock. A run takes some 0.1 seconds for days
of simulated time, and is the same each time, in any process.

What is checked: after every single write, that nobody's row is there who never consented, that nothing personal is in
the training table, and that equal rows give equal bytes; whenever nothing is left to deliver, that the tables are those
that a plain, separate implementation of their definitions gives, with nothing of whoever withdrew, accounts that add
up, and the right partitions; at the end, that delivering every event once more writes nothing.

When a law is broken: the seed and the command that shows it are printed, a smaller case is searched for and written to
./stedi-simulation-SEED.json, and the exit status is 1. `stedi simulate --replay FILE` runs that file.

What is not covered: what AWS itself gets wrong, bodies that break off half-way, memory and CPU time, large and strange
files (they have tests of their own), landing files that are deleted, and upgrades from one version to the next.";
