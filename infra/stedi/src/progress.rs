//! How far the work is, on a terminal.

use crate::landing::LandingFile;
use crate::report::grouped;
use crate::stack::Stack;
use emulator::{Cloud, Dispatcher};
use formats::receipt::Receipt;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use model::layout::RECEIPTS;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::{self, IsTerminal, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;

/// How often the bar is drawn while nothing is done, so that its clock does not stop.
const TICK: Duration = Duration::from_millis(250);

/// Returns a bar that shows how many of `length` units are done; elsewhere than on a terminal, or if `quiet`, it shows
/// nothing.
pub(crate) fn bar(length: u64, unit: &str, quiet: bool) -> ProgressBar {
    let template = format!("{{elapsed}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{eta}} left");
    styled(length, quiet, ProgressStyle::with_template(&template).ok())
}

fn styled(length: u64, quiet: bool, style: Option<ProgressStyle>) -> ProgressBar {
    let is_shown = !quiet && io::stderr().is_terminal();
    let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    match style {
        Some(style) => bar.with_style(style),
        None => bar,
    }
}

/// Shows how many files of a run have their receipts, until it is dropped.
pub(crate) struct RunProgress {
    bar: ProgressBar,
    follower: Option<JoinHandle<()>>,
}

impl RunProgress {
    /// Follows the receipts of `files`, from before the first is uploaded.
    pub(crate) fn start(stack: &Stack, files: &[LandingFile], dispatcher: &Dispatcher, quiet: bool) -> Self {
        let rows = Arc::new(AtomicU64::new(0));
        let template = "{elapsed} {wide_bar} {pos}/{len} files, {rows_per_second} rows/s{time_left}{msg}";
        let style = ProgressStyle::with_template(template).ok().map(|style| {
            let rows = rows.clone();
            let style = style.with_key("rows_per_second", move |state: &ProgressState, text: &mut dyn Write| {
                let seconds = state.elapsed().as_secs_f64().max(0.001);
                let rate = rows.load(Ordering::Relaxed) as f64 / seconds;
                let _ = text.write_str(&grouped(rate.round() as u64));
            });
            style.with_key("time_left", |state: &ProgressState, text: &mut dyn Write| {
                let files_left = state.len().unwrap_or_default().saturating_sub(state.pos());
                let _ = text.write_str(&time_left(files_left, state.eta()));
            })
        });
        let bar = styled(files.len() as u64, quiet, style);
        if bar.is_hidden() {
            return Self { bar, follower: None };
        }
        bar.enable_steady_tick(TICK);
        let (sender, mut stored) = unbounded_channel();
        let bucket = stack.lake.bucket().to_owned();
        stack.cloud.on_stored(move |object| {
            if object.bucket == bucket && object.key.starts_with(RECEIPTS) {
                // The receiver is gone when the run ends.
                let _ = sender.send(object.key.clone());
            }
        });
        let mut missing: BTreeSet<_> = files.iter().map(|file| file.receipt(&stack.lake)).collect();
        let (shown, cloud, bucket) = (bar.clone(), stack.cloud.clone(), stack.lake.bucket().to_owned());
        let mut progress = dispatcher.progress();
        let follower = tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(key) = stored.recv() => if missing.remove(&key) {
                        shown.inc(1);
                        rows.fetch_add(rows_of_receipt(&cloud, &bucket, &key), Ordering::Relaxed);
                    },
                    Ok(()) = progress.changed() => {
                        let pending = progress.borrow_and_update().pending;
                        // Consent, curated tables and training rows follow the last receipt.
                        if missing.is_empty() && pending > 0 {
                            shown.set_message(format!(", {pending} events left"));
                        }
                    }
                    else => return,
                }
            }
        });
        Self { bar, follower: Some(follower) }
    }

    /// Counts a file that the lake holds already.
    pub(crate) fn skip(&self) {
        self.bar.inc(1);
    }
}

/// Says how long the files that are left take. Events that follow the last file have no estimate, and neither has the
/// time before the first is done.
fn time_left(files_left: u64, estimate: Duration) -> String {
    if files_left == 0 || estimate < Duration::from_secs(1) {
        return String::new();
    }
    format!(", {:#} left", HumanDuration(estimate))
}

impl Drop for RunProgress {
    fn drop(&mut self) {
        if let Some(follower) = &self.follower {
            follower.abort();
        }
        self.bar.finish_and_clear();
    }
}

/// Reads a receipt from its file, so that the report counts no request for it. Without it the rate is too low, no more.
fn rows_of_receipt(cloud: &Cloud, bucket: &str, key: &str) -> u64 {
    let read = || {
        let mut json = Vec::new();
        cloud.file(bucket, key).ok()??.read_to_end(&mut json).ok()?;
        Some(Receipt::decode(&json.into()).ok()?.rows)
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_left_while_files_are() {
        assert_eq!(time_left(2, Duration::from_secs(10)), ", 10s left");
        assert_eq!(time_left(2, Duration::from_millis(400)), "");
        assert_eq!(time_left(0, Duration::from_secs(10)), "");
    }
}
