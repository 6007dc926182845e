//! The main job: land files, wait until nothing is left to deliver, tell what came of it.

use crate::args::Run;
use crate::landing::{self, LandingFile};
use crate::progress;
use crate::report::{self, Report, Requests};
use crate::stack::{self, Stack};
use crate::totals::Counting;
use emulator::{DeadLetter, Dispatcher, Options};
use indicatif::ProgressBar;
use model::layout::Source;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use store::BoxError;

/// Some events could never be handled.
#[derive(Debug, thiserror::Error)]
#[error("{} failed:{}\nwhat is done stays; run it again to try what failed", count(.0.len()), .0.concat())]
struct Failed(Vec<String>);

fn count(objects: usize) -> String {
    if objects == 1 { "1 object".into() } else { format!("{objects} objects") }
}

/// Runs `stedi run`.
#[expect(clippy::disallowed_methods, reason = "how long the run took is told to the user, and decides nothing")]
pub(crate) async fn run(args: Run) -> Result<(), BoxError> {
    let started = Instant::now();
    let mut files = match &args.landing {
        Some(folder) => landing::in_folder(folder)?,
        None => landing::sample(),
    };
    if let Some(seed) = args.shuffle {
        fastrand::Rng::with_seed(seed).shuffle(&mut files);
    }
    let stack = Stack::open(&args.made.at, args.made.config())?;
    let counting = Counting::begin(&stack, &args.made.at.lake);
    let writes = count_writes(&stack);
    stack.make().await?;
    // Events gather while files are uploaded, so that each output is derived once. A drawn order is to be met as it comes.
    let hold = args.shuffle.is_none();
    let options = Options { duplicate: args.duplicate.into(), shuffle: args.shuffle, hold, ..Options::default() };
    let dispatcher = stack.start(options)?;

    let progress = progress::bar(0, "events");
    let follower = tokio::spawn(follow(progress.clone(), dispatcher.progress()));
    if hold {
        let (customers, readings) = files.into_iter().partition(LandingFile::is_of_customers);
        landing::upload_all(customers, &stack.lake).await?;
        // Who is trusted depends on the customers' files alone, so it can be found out while the others are uploaded.
        dispatcher.release(stack::FIRST);
        landing::upload_all(readings, &stack.lake).await?;
        dispatcher.release(usize::MAX);
    } else {
        for file in files {
            file.upload(&stack.lake, None).await?;
        }
    }
    let delivered = dispatcher.wait_until_quiet().await;
    follower.abort();
    progress.finish_and_clear();
    let requests = Requests::from(stack.cloud.requests());
    stop(&stack, dispatcher, delivered.dead_letters).await?;

    let (tables, landing) = counting.end().await?;
    let report = Report {
        tables,
        landing,
        events: delivered.events,
        writes: writes.load(Ordering::Relaxed),
        requests,
        seconds: started.elapsed().as_secs_f64(),
    };
    let text = if args.json { serde_json::to_string(&report)? } else { report.to_text(&args.made.at) };
    report::print(&text)
}

/// Counts the puts of derived objects: whatever is stored and is no landing file.
fn count_writes(stack: &Stack) -> Arc<AtomicU64> {
    let writes = Arc::new(AtomicU64::new(0));
    let counter = writes.clone();
    stack.cloud.on_stored(move |object, _| {
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
    let told = dead_letters.into_iter().map(|letter| format!("\n  {}", stack.told(letter)));
    Err(Failed(told.collect()).into())
}

async fn follow(bar: ProgressBar, mut progress: tokio::sync::watch::Receiver<emulator::Progress>) {
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        bar.set_length(now.events + now.pending as u64);
        bar.set_position(now.events);
    }
}
