//! `stedi`: STEDI Lake on one machine.
//!
//! | module | what it does |
//! |---|---|
//! | `args` | the command line |
//! | `stack` | the embedded S3, Glue and dispatcher, with the five functions on it |
//! | `landing` | finds landing files and uploads what the lake does not hold yet |
//! | `run` | the main job |
//! | `up` | the same stack, staying up for any S3 client |
//! | `accounts` | one line per landing file as it goes through |
//! | `address` | where a running `stedi up` can be reached |
//! | `reach` | a lake for commands that only ask |
//! | `query` | SQL over the registered tables |
//! | `athena` | the same by the Athena API of `up` |
//! | `protected` | what SQL may read but not change |
//! | `tables` | counts what is in the lake |
//! | `counted` | what an object counts for |
//! | `totals` | the same at the end of a run, by what the run changed |
//! | `directories` | whether anybody else changed a lake since |
//! | `generate` | writes sample landing files |
//! | `simulate` | the deterministic simulation: many seeds, or one case again |
//! | `report` | prints what a run did |
//! | `progress` | shows how far it is |

mod accounts;
mod address;
mod args;
mod athena;
mod counted;
mod directories;
mod generate;
mod landing;
mod progress;
#[cfg(feature = "query")]
mod protected;
mod query;
mod reach;
mod report;
mod run;
mod simulate;
mod stack;
mod tables;
mod totals;
mod up;

/// Bodies and rows come and go by the megabyte: it takes a fifth off a whole run.
#[global_allocator]
static GLOBAL: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

use args::{Args, Command};
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

/// As a shell reports a command that was stopped by Ctrl-C.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    // Logs are for those who ask for them; what went wrong is told at the end in any case.
    if let Ok(filter) = std::env::var("RUST_LOG") {
        // The embedded S3's library calls every answer that is no success an error: each object that is not there yet.
        runtime::logging::init(&format!("{filter},s3s=off"), std::io::stderr);
    }
    let after_interruption = match args.command {
        // It is ended by nothing else, and sees to that itself.
        Some(Command::Up(_)) => None,
        Some(Command::Simulate(_)) => Some("nothing is left behind"),
        Some(Command::Query(_) | Command::Tables(_)) => Some("nothing was changed"),
        _ => Some("nothing is lost, run it again to go on"),
    };
    let command = async {
        match args.command {
            None => report::print(args::FIRST_STEPS),
            Some(Command::Run(run)) => run::run(run).await,
            Some(Command::Up(up)) => up::up(up).await,
            Some(Command::Query(query)) => query::query(query).await,
            Some(Command::Tables(tables)) => tables::show(tables).await,
            Some(Command::Generate(generate)) => generate::generate(generate),
            Some(Command::Simulate(simulate)) => simulate::simulate(simulate).await,
        }
    };
    let mut stderr = std::io::stderr();
    let (told, code) = tokio::select! {
        result = command => match result {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (writeln!(stderr, "stedi: {}", store::with_causes(error.as_ref())), ExitCode::FAILURE),
        },
        _ = tokio::signal::ctrl_c(), if after_interruption.is_some() => (
            writeln!(stderr, "\nstedi: interrupted; {}", after_interruption.unwrap_or_default()),
            ExitCode::from(INTERRUPTED),
        ),
    };
    // Nobody listens on standard error: the exit code must do.
    drop(told);
    code
}
