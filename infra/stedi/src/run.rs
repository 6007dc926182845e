//! Ingests files, waits until no event is left to deliver, and reports what came of it.

use crate::args::Run;
use crate::landing::{self, LandingFile, Upload};
use crate::progress::RunProgress;
use crate::report::{Report, Requests, TableCount};
use crate::stack::{self, Stack};
use crate::tables;
use crate::terminal::{print, print_table};
use emulator::{DeadLetter, Dispatcher, Options};
use model::layout::Source;
use model::table::Table;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use store::BoxError;

/// Functions gave up on some events.
#[derive(Debug, thiserror::Error)]
#[error("{} failed:{}\nall others are done; run it again to try these again", count(.0.len()), .0.concat())]
struct Failed(Vec<String>);

/// The disk of the lake is full.
#[derive(Debug, thiserror::Error)]
#[error("no space left in {}; free some and run it again, what is done stays", .0.display())]
struct NoSpace(PathBuf, #[source] BoxError);

fn count(objects: usize) -> String {
    if objects == 1 { "1 object".into() } else { format!("{objects} objects") }
}

/// Runs `stedi run`.
pub(crate) async fn run(args: Run, quiet: bool) -> Result<(), BoxError> {
    let report = ingest(&args, quiet).await.map_err(|error| no_space(error, &args.write.lake.lake))?;
    // Standard output may be a file on another disk, so its error must not name the disk of the lake.
    match (args.json, quiet) {
        (true, _) => print(&serde_json::to_string(&report)?),
        (false, true) => Ok(()),
        (false, false) => print_table(&report.to_text(&args.write.lake)),
    }
}

/// Names the disk in an error that a full disk causes.
fn no_space(error: BoxError, folder: &Path) -> BoxError {
    // It may come from the emulator as the text of an answer.
    if store::with_causes(error.as_ref()).to_lowercase().contains("no space left") {
        NoSpace(folder.to_owned(), error).into()
    } else {
        error
    }
}

#[expect(clippy::disallowed_methods, reason = "the time that the run took is reported, and decides nothing")]
async fn ingest(args: &Run, quiet: bool) -> Result<Report, BoxError> {
    let started = Instant::now();
    let mut files = match &args.landing {
        Some(folder) => landing::in_folder(folder)?,
        None => landing::sample(),
    };
    if let Some(seed) = args.shuffle {
        fastrand::Rng::with_seed(seed).shuffle(&mut files);
    }
    let stack = Stack::open_to_write(&args.write, "stedi run")?;
    let writes = count_writes(&stack);
    stack.make().await?;
    // Functions wait until the files are uploaded, so that each output is written once. A shuffled run does not wait: it
    // shall meet the events one by one.
    let hold = args.shuffle.is_none();
    let options = Options { duplicate: args.duplicate.into(), shuffle: args.shuffle, hold, ..Options::default() };
    let dispatcher = stack.start(options)?;

    let progress = RunProgress::start(&stack, &files, &dispatcher, quiet);
    upload(files, &stack, &dispatcher, &progress, hold).await?;
    let delivered = dispatcher.wait_until_quiet().await;
    drop(progress);
    let requests = Requests::from(stack.cloud.requests());
    stop(&stack, dispatcher, delivered.dead_letters).await?;

    let summary = tables::count(&args.write.lake, &stack.lake, &stack.clients, &Table::DERIVED).await?;
    let tables = summary.tables.into_iter().map(|(name, table)| {
        (name, TableCount { rows: table.rows, objects: table.objects, partitions: table.partitions as u64 })
    });
    Ok(Report {
        tables: tables.collect(),
        landing: summary.landing,
        events: delivered.events,
        writes: writes.load(Ordering::Relaxed),
        requests,
        seconds: started.elapsed().as_secs_f64(),
    })
}

async fn upload(
    files: Vec<LandingFile>,
    stack: &Stack,
    dispatcher: &Dispatcher,
    progress: &RunProgress,
    hold: bool,
) -> Result<(), BoxError> {
    if hold {
        let (customers, readings) = files.into_iter().partition(LandingFile::is_of_customers);
        landing::upload_all(customers, &stack.lake, || progress.skip()).await?;
        // Consent depends on customers' files alone, so its functions run while the others are uploaded.
        dispatcher.release(stack::CUSTOMER_FUNCTIONS);
        landing::upload_all(readings, &stack.lake, || progress.skip()).await?;
        dispatcher.release(usize::MAX);
        return Ok(());
    }
    for file in files {
        if file.upload(&stack.lake, None).await? == Upload::Unchanged {
            progress.skip();
        }
    }
    Ok(())
}

/// Counts the puts of all objects but landing files.
fn count_writes(stack: &Stack) -> Arc<AtomicU64> {
    let writes = Arc::new(AtomicU64::new(0));
    let counter = writes.clone();
    stack.cloud.on_stored(move |object| {
        if !Source::ALL.iter().any(|source| object.key.starts_with(source.landing().prefix())) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    writes
}

async fn stop(stack: &Stack, dispatcher: Dispatcher, dead_letters: Vec<DeadLetter>) -> Result<(), BoxError> {
    dispatcher.stop().await;
    if dead_letters.is_empty() {
        return Ok(());
    }
    let failures = dead_letters.into_iter().map(|letter| format!("\n  {}", stack.describe(letter)));
    Err(Failed(failures.collect()).into())
}
