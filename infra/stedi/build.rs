//! Sets `STEDI_VERSION`: the version with the commit, if this is a checkout, and the features. The program closes the
//! parenthesis after the stored format.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let mut details = Vec::new();
    if let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) {
        details.push(format!("commit {commit}"));
        // It gets a line with every commit and every checkout.
        if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
            println!("cargo:rerun-if-changed={log}");
        }
    }
    let features = if std::env::var_os("CARGO_FEATURE_QUERY").is_some() { "query" } else { "none" };
    details.push(format!("features: {features}"));
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    println!("cargo:rustc-env=STEDI_VERSION={version} ({}", details.join(", "));
}

/// Runs git in this folder; none without git or outside of a checkout.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
