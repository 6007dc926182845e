//! How far the work is.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// On a terminal, shows how many of `length` are done; elsewhere nothing.
pub(crate) fn bar(length: u64, unit: &str) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    match ProgressStyle::with_template(&format!("{{elapsed_precise}} {{wide_bar}} {{pos}}/{{len}} {unit}")) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
