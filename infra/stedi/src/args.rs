//! The command line. Its long texts are in `help`.

use crate::help;
use clap::error::ErrorKind;
use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use clap_mangen::roff::{Roff, roman};
use model::hash::ShardCount;
use model::lake_config::{ConsentPolicy, Pairs};
use model::slice::SlicesPerHour;
use simulation::faults::Faults;
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use store::BoxError;
use store::lake::DATABASE;

/// STEDI Lake on one machine: its five functions on an emulated S3, Glue and event dispatcher
#[derive(Debug, Parser)]
#[command(
    name = "stedi",
    version,
    long_version = help::VERSION.as_str(),
    max_term_width = help::COLUMNS,
    after_long_help = help::STEDI,
    after_help = help::MORE
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print no progress and no report, only results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ingest a folder of landing files and show the tables
    Run(Run),
    /// Serve S3, Glue and Athena on this machine until Ctrl-C
    Up(Up),
    /// Query the tables in SQL, as Athena does
    Query(Query),
    /// Show the tables: rows, objects, partitions, size
    Tables(Tables),
    /// Write sample landing files
    Generate(Generate),
    /// Run the functions under simulated faults and check every invariant
    Simulate(Simulate),
    /// Print the completions of a shell
    Completions(Completions),
    /// Print a manual page
    Man(Man),
}

/// Which lake.
#[derive(Debug, ClapArgs)]
pub(crate) struct LakeArgs {
    /// Folder of the lake
    #[arg(long, value_name = "DIR", default_value = "lake")]
    pub lake: PathBuf,
    /// Bucket of the lake: its objects are the files DIR/NAME/KEY
    #[arg(long, value_name = "NAME", default_value = "stedi", value_parser = bucket)]
    pub bucket: String,
}

impl LakeArgs {
    /// The folder of the lake's bucket.
    pub(crate) fn folder(&self) -> PathBuf {
        self.lake.join(&self.bucket)
    }
}

/// Which lake to write.
#[derive(Debug, ClapArgs)]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    pub lake: LakeArgs,
    /// Which readings of a consenting customer count: `ever` for all, `at-reading` for those at or after the consent. A
    /// lake keeps its policy [default: the policy of the lake, `ever` for a new one]
    #[arg(long, value_name = "POLICY")]
    pub consent: Option<ConsentPolicy>,
    /// Which pairs of readings the training table has: `same-instant` for all of one instant, `same-customer` for those
    /// of one customer. A lake keeps its pairs [default: those of the lake, `same-instant` for a new one]
    #[arg(long, value_name = "PAIRS")]
    pub pairs: Option<Pairs>,
    /// Into how many cells an hour of readings is divided, for lakes with many uploads an hour: a divisor of 3600. A lake
    /// keeps its slices [default: those of the lake, 1 for a new one]
    #[arg(long, value_name = "N")]
    pub slices: Option<SlicesPerHour>,
    /// Into how many objects a table of customers is divided, for lakes with many customers: 1 to 1024, one for some
    /// 1,000 customers. A lake keeps its shards [default: those of the lake, 16 for a new one]
    #[arg(long, value_name = "N")]
    pub shards: Option<ShardCount>,
}

/// Arguments of `stedi run`.
#[derive(Debug, ClapArgs)]
#[command(after_help = help::RUN)]
pub(crate) struct Run {
    /// Folder with customer/landing/, accelerometer/landing/ and step_trainer/landing/ [default: generated sample data]
    pub landing: Option<PathBuf>,
    #[command(flatten)]
    pub write: WriteArgs,
    /// Upload the files and deliver their events in a random order drawn from SEED
    #[arg(long, value_name = "SEED")]
    pub shuffle: Option<u64>,
    /// Deliver every event N times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub duplicate: u16,
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Checks S3's rule for the names of buckets.
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

/// Arguments of `stedi up`.
#[derive(Debug, ClapArgs)]
#[command(after_help = help::UP)]
pub(crate) struct Up {
    /// Port to listen on, on this machine only; 0 takes any free one
    #[arg(long, value_name = "P", default_value_t = PORT)]
    pub port: u16,
    #[command(flatten)]
    pub write: WriteArgs,
    /// Serve S3 and Glue alone: uploads trigger no function. For functions that run elsewhere, such as in `cargo lambda
    /// watch`
    #[arg(long)]
    pub no_functions: bool,
}

/// The digits under the letters "sted" on a telephone; no service has registered it.
const PORT: u16 = 7833;

/// Arguments of `stedi tables`.
#[derive(Debug, ClapArgs)]
#[command(after_help = help::TABLES)]
pub(crate) struct Tables {
    #[command(flatten)]
    pub lake: LakeArgs,
    /// Show each registered partition, too
    #[arg(long, conflicts_with = "json")]
    pub partitions: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `stedi query`.
#[derive(Debug, ClapArgs)]
#[command(after_help = help::QUERY)]
pub(crate) struct Query {
    /// One statement; `-` reads standard input. Without it, a terminal gets a prompt, and other input is read
    pub sql: Option<String>,
    /// Run the statements in FILE, with a `;` after each
    #[arg(long, short, value_name = "FILE", conflicts_with = "sql")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub lake: LakeArgs,
    /// Database of the tables that are named without one
    #[arg(long, value_name = "NAME", default_value = DATABASE)]
    pub database: String,
    /// Format of the rows [default: by the ending of the output's name, else table]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub format: Option<QueryFormat>,
    /// Write the rows to FILE; .csv, .json and .parquet choose their format
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show the plan and the objects that would be read, without reading them
    #[arg(long)]
    pub explain: bool,
}

impl Query {
    /// Returns the format that is given, or else the one that the output's name has.
    pub(crate) fn format(&self) -> Result<QueryFormat, BoxError> {
        // Files such as /dev/stdout have no ending.
        let with_ending = self.output.as_deref().filter(|output| output.extension().is_some());
        match (self.format, with_ending) {
            (Some(format), _) => Ok(format),
            (None, None) => Ok(QueryFormat::Table),
            (None, Some(output)) => QueryFormat::by_name(output).ok_or_else(|| {
                let name = output.display();
                usage_error(format!(
                    "no format for the ending of {name}, expected .csv, .json or .parquet; or give --format"
                ))
            }),
        }
    }
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueryFormat {
    /// For people: aligned columns and the number of rows
    Table,
    /// RFC 4180 with LF and a header; NULL is empty, an empty text is ""
    Csv,
    /// One JSON object a line
    Json,
    /// A Parquet file
    Parquet,
}

impl QueryFormat {
    fn by_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Self::Csv),
            "json" | "jsonl" | "ndjson" => Some(Self::Json),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Arguments of `stedi generate`.
#[derive(Debug, ClapArgs)]
#[command(after_help = help::GENERATE)]
pub(crate) struct Generate {
    /// Folder to write to, new or empty
    pub folder: PathBuf,
    /// Number of customers; half of them consent
    #[arg(long, value_name = "N", default_value_t = 956, value_parser = clap::value_parser!(u32).range(1..))]
    pub customers: u32,
    /// Seed of the random data; the same seed gives the same files
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Add the flaws of real files: other encodings of the same rows, broken lines, broken files
    #[arg(long)]
    pub dirty: bool,
}

/// Arguments of `stedi simulate`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help::SIMULATE)]
pub(crate) struct Simulate {
    /// First seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Number of seeds: S, S+1, S+2, ...
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: u64,
    /// Faults that may happen: `all`, `none`, or kinds with commas between them; a wrong kind lists them
    #[arg(long, value_name = "LIST", default_value_t = Faults::all())]
    pub faults: Faults,
    /// Number of runs at a time, each in a thread of its own [default: one per processor]
    #[arg(long, value_name = "J")]
    pub jobs: Option<NonZeroUsize>,
    /// With one run, print all that happens in it; with several, print `SEED DIGEST` of each
    #[arg(long)]
    pub trace: bool,
    /// Run the case in FILE, which an earlier simulation wrote, and print all that happens
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "runs", "faults", "jobs", "trace", "json"])]
    pub replay: Option<PathBuf>,
    /// Print the report as one JSON object
    #[arg(long, conflicts_with = "trace")]
    pub json: bool,
}

/// Returns an error for arguments that clap takes and that do not fit together; it ends the command with status 2.
pub(crate) fn usage_error(message: impl Display) -> BoxError {
    Args::command().error(ErrorKind::ArgumentConflict, message).into()
}

/// Arguments of `stedi completions`.
#[derive(Debug, ClapArgs)]
#[command(after_help = help::COMPLETIONS)]
pub(crate) struct Completions {
    /// The shell
    pub shell: Shell,
}

impl Completions {
    /// Returns the script for the shell.
    pub(crate) fn script(&self) -> Vec<u8> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Args::command(), "stedi", &mut script);
        script
    }
}

/// Arguments of `stedi man`.
#[derive(Debug, ClapArgs)]
#[command(after_help = help::MAN)]
pub(crate) struct Man {
    /// The command whose page is printed [default: the page of `stedi`]
    pub command: Option<String>,
}

impl Man {
    /// Returns the manual page in roff.
    pub(crate) fn page(&self) -> Result<Vec<u8>, BoxError> {
        let mut stedi = Args::command();
        stedi.build();
        let mut command = match &self.command {
            None => stedi,
            Some(name) => {
                let names = stedi.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help");
                let names: Vec<_> = names.collect();
                let unknown = || usage_error(format!("no command {name}: expected {}", names.join(", ")));
                stedi.find_subcommand(name).cloned().ok_or_else(unknown)?
            }
        };
        let title = command.get_display_name().unwrap_or("stedi").to_uppercase();
        // clap_mangen's own synopsis leaves out the values of options.
        let usage = command.render_usage().to_string().replace("Usage: ", "");
        let notes = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
        let command = command.override_usage(usage).after_help(None::<&str>).after_long_help(None::<&str>);
        // Without a date, roff takes the next argument for one.
        let page = clap_mangen::Man::new(command).title(title).date(" ").manual("STEDI Lake");
        let mut roff = Vec::new();
        page.source(concat!("stedi ", env!("CARGO_PKG_VERSION"))).render(&mut roff)?;
        roff.extend(notes_section(&notes.unwrap_or_default()).bytes());
        Ok(roff)
    }
}

/// Returns the end of a manual page. Indented lines are examples, which stay as they are.
fn notes_section(text: &str) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["NOTES"]);
    for line in text.lines() {
        match line {
            "" => roff.control("PP", []),
            _ if line.starts_with(' ') => roff.control("nf", []).text([roman(line)]).control("fi", []),
            _ => roff.text([roman(line)]),
        };
    }
    roff.to_roff()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn format_is_the_given_one_or_that_of_the_name() {
        let format = |arguments: &[&str]| {
            let line = ["stedi", "query", "SELECT 1"].iter().chain(arguments);
            match Args::parse_from(line).command {
                Some(Command::Query(query)) => query.format().ok(),
                _ => unreachable!("the command is query"),
            }
        };
        for (arguments, expected) in [
            (&[][..], Some(QueryFormat::Table)),
            (&["-o", "x.parquet"], Some(QueryFormat::Parquet)),
            (&["-o", "a.b/x.CSV"], Some(QueryFormat::Csv)),
            (&["-o", "x.json"], Some(QueryFormat::Json)),
            (&["-o", "x.txt"], None),
            (&["-o", "a.parquet.gz"], None),
            (&["-o", "a.b/csv"], Some(QueryFormat::Table)),
            (&["-o", "x.txt", "--format", "table"], Some(QueryFormat::Table)),
            (&["-o", "x.parquet", "--format", "csv"], Some(QueryFormat::Csv)),
            (&["--format", "json"], Some(QueryFormat::Json)),
        ] {
            assert_eq!(format(arguments), expected, "{arguments:?}");
        }
    }
}
