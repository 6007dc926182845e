//! `stedi`: STEDI Lake on one machine.
//!
//! | module | holds |
//! |---|---|
//! | `args`, `help` | the command line and its texts |
//! | `stack` | the emulated S3, Glue and dispatcher, with the five functions on them |
//! | `holder` | which command holds a lake |
//! | `landing` | finds landing files and uploads those that the lake does not hold yet |
//! | `run` | `stedi run` |
//! | `up`, `outcomes`, `athena` | `stedi up`, its line for each landing file, its Athena API |
//! | `reader` | a lake for commands that only read it |
//! | `query`, `protected` | `stedi query`: arguments, files, the prompt; what SQL must not change |
//! | `tables` | counts what is in a lake |
//! | `generate`, `simulate` | `stedi generate` and `stedi simulate` |
//! | `report`, `progress`, `terminal` | reports as text and JSON, progress bars, standard output and error |

mod args;
mod athena;
mod generate;
mod hash_key;
mod help;
mod holder;
mod landing;
mod outcomes;
mod progress;
#[cfg(feature = "query")]
mod protected;
mod query;
mod reader;
mod report;
mod run;
mod simulate;
mod stack;
mod tables;
mod terminal;
mod up;

/// Bodies and rows are allocated by the megabyte: this allocator takes a fifth off a whole run.
#[global_allocator]
static GLOBAL: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

use args::{Args, Command};
use clap::Parser;
use std::process::ExitCode;
use store::BoxError;
use terminal::{Log, message, message_on_new_line, print};

/// Exit status after wrong usage, as clap's.
const USAGE: u8 = 2;
/// Exit status after Ctrl-C, as a shell reports it.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let Args { command, quiet } = Args::parse();
    // Errors are printed at the end in any case.
    if let Ok(filter) = std::env::var("RUST_LOG") {
        // s3s logs each answer without success as an error, such as that an object does not exist.
        runtime::logging::init(&format!("{filter},s3s=off"), Log::new);
    }
    let after_interruption = after_interruption(command.as_ref());
    tokio::select! {
        result = execute(command, quiet) => match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(error),
        },
        _ = tokio::signal::ctrl_c(), if after_interruption.is_some() => {
            message_on_new_line(&format!("interrupted; {}", after_interruption.unwrap_or_default()));
            ExitCode::from(INTERRUPTED)
        }
    }
}

async fn execute(command: Option<Command>, quiet: bool) -> Result<(), BoxError> {
    match command {
        None => print(help::FIRST_STEPS),
        Some(Command::Run(run)) => run::run(run, quiet).await,
        Some(Command::Up(up)) => up::up(up, quiet).await,
        Some(Command::Query(query)) => query::query(query, quiet).await,
        Some(Command::Tables(tables)) => tables::show(tables).await,
        Some(Command::Generate(generate)) => generate::generate(generate, quiet),
        Some(Command::Simulate(simulate)) => simulate::simulate(simulate, quiet).await,
        Some(Command::Completions(completions)) => terminal::print_bytes(&completions.script()),
        Some(Command::Man(man)) => terminal::print_bytes(&man.page()?),
    }
}

/// Says what an interruption leaves; none for commands that handle Ctrl-C themselves.
fn after_interruption(command: Option<&Command>) -> Option<&'static str> {
    match command {
        Some(Command::Up(_)) => None,
        Some(Command::Query(query)) if query::is_prompt(query) => None,
        Some(Command::Simulate(_)) => Some("nothing is left behind"),
        Some(Command::Query(_) | Command::Tables(_)) => Some("nothing was changed"),
        _ => Some("nothing is lost, run it again to go on"),
    }
}

fn fail(error: BoxError) -> ExitCode {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        // Standard error may be closed; the exit status says it, too.
        let _ = usage.print();
        return ExitCode::from(USAGE);
    }
    message(&store::with_causes(error.as_ref()));
    ExitCode::FAILURE
}
