//! Snapshots of what the command line says: help texts and the main error messages, in `snapshots`.
//!
//! After a change, `INSTA_UPDATE=always cargo test -p stedi --test command_line` writes them anew; read the difference.

#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::fs;
use std::path::Path;
use std::process::Command;

const COMMANDS: [&str; 8] = ["run", "up", "query", "tables", "generate", "simulate", "completions", "man"];

/// Runs `stedi` in `folder`; returns its exit status and what it prints, with the command on the first line.
fn stedi(folder: &Path, line: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stedi"));
    command.args(line.split(' ').filter(|argument| !argument.is_empty())).current_dir(folder);
    let output = command.env_remove("RUST_LOG").env_remove("COLUMNS").output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let status = output.status.code().unwrap();
    format!("$ stedi {line}\n{stdout}{stderr}[exit status {status}]")
}

fn check(name: &str, folder: &Path, lines: &[&str]) {
    let texts: Vec<_> = lines.iter().map(|line| stedi(folder, line)).collect();
    let text = texts.join("\n\n");
    insta::assert_snapshot!(name, text);
}

#[test]
fn help_texts() {
    let folder = tempfile::tempdir().unwrap();
    check("first_steps", folder.path(), &[""]);
    check("help_short", folder.path(), &["-h"]);
    check("help", folder.path(), &["--help"]);
    for command in COMMANDS {
        check(&format!("help_{command}"), folder.path(), &[&format!("{command} --help")]);
    }
    let commands = COMMANDS.map(|command| format!("{command} --help"));
    for line in ["", "-h", "--help"].into_iter().chain(commands.iter().map(String::as_str)) {
        let text = stedi(folder.path(), line);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}

/// Returns the titles and the synopsis of a manual page.
fn head_of_page(folder: &Path, command: &str) -> String {
    let page = stedi(folder, &format!("man {command}"));
    let begin = page.find(".TH ").unwrap();
    let end = page.find(".SH DESCRIPTION").unwrap();
    page[begin..end].to_owned()
}

#[test]
fn manual_pages() {
    let folder = tempfile::tempdir().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let heads = ["", "run", "query", "generate"].map(|command| head_of_page(folder.path(), command));
    insta::assert_snapshot!("manual_pages", heads.join("\n").replace(version, "VERSION"));
    for command in COMMANDS {
        let title = format!(".TH STEDI-{} 1 ", command.to_uppercase());
        assert!(head_of_page(folder.path(), command).starts_with(&title), "{command}");
    }
}

#[test]
fn wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    check(
        "wrong_usage",
        folder.path(),
        &[
            "walk",
            "generate",
            "run --consent sometimes",
            "run --pairs all",
            "run --slices 7",
            "run --slices 0",
            "run --duplicate 0",
            "run --duplicate none",
            "run --shuffle",
            "run --bucket A",
            "tables --json --partitions",
            "query --file a.sql SELECT",
            "query --format xml SELECT",
            "query --output x.txt SELECT",
            "query --output a.parquet.gz SELECT",
            "simulate --faults rain",
            "simulate --faults kill,rain",
            "simulate --runs 0",
            "simulate --jobs 0",
            "simulate --trace --json",
            "simulate --replay a.json --seed 1",
            "completions cmd",
            "man walk",
        ],
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "wrong usage writes nothing");
}

#[test]
fn errors() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["empty", "without/customer/landing", "elsewhere/data", "landing/customer/landing", "bare/stedi"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("elsewhere/data/customer.json"), "{}").unwrap();
    std::os::unix::fs::symlink("/dev/null", folder.path().join("landing/customer/landing/device.json")).unwrap();
    fs::write(folder.path().join("file"), "{}").unwrap();
    fs::write(folder.path().join("text"), "no JSON").unwrap();
    fs::write(folder.path().join("list"), r#"{"scenario": [], "faults": [], "schedule": 1}"#).unwrap();
    check(
        "errors",
        folder.path(),
        &[
            "tables",
            "tables --lake bare",
            "run nowhere",
            "run file",
            "run empty",
            "run without",
            "run elsewhere",
            "run landing",
            "generate landing",
            "simulate --replay nowhere.json",
            "simulate --replay file",
            "simulate --replay text",
            "simulate --replay list",
        ],
    );
}

#[test]
fn errors_of_a_lake() {
    let folder = tempfile::tempdir().unwrap();
    stedi(folder.path(), "generate landing --customers 2");
    assert!(stedi(folder.path(), "run landing --quiet").ends_with("[exit status 0]"));
    let lines = [
        "run landing --consent at-reading",
        "run landing --pairs same-customer",
        "run landing --slices 60",
        "tables --bucket other",
        "run landing --bucket other",
    ];
    check("errors_of_a_lake", folder.path(), &lines);
}
