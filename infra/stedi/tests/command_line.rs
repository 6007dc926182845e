//! Snapshots of what the command line says: help texts and the main error messages, in `snapshots`.
//!
//! After a change, `INSTA_UPDATE=always cargo test -p stedi --test command_line` writes them anew; read the difference.

#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::fs;
use std::path::Path;
use std::process::Command;

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
    for command in ["run", "up", "query", "tables", "generate", "simulate", "completions", "man"] {
        check(&format!("help_{command}"), folder.path(), &[&format!("{command} --help")]);
    }
    let texts = ["", "-h", "--help", "query --help"].map(|line| stedi(folder.path(), line)).concat();
    assert!(texts.lines().all(|line| line.chars().count() <= 80), "{texts}");
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
            "run --duplicate 0",
            "run --bucket A",
            "tables --json --partitions",
            "query --file a.sql SELECT",
            "query --format xml SELECT",
            "query --output x.txt SELECT",
            "simulate --faults rain",
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
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::create_dir_all(folder.path().join("landing/customer/landing")).unwrap();
    std::os::unix::fs::symlink("/dev/null", folder.path().join("landing/customer/landing/device.json")).unwrap();
    fs::write(folder.path().join("file"), "{}").unwrap();
    check(
        "errors",
        folder.path(),
        &[
            "tables",
            "run nowhere",
            "run file",
            "run empty",
            "run landing",
            "generate landing",
            "simulate --replay nowhere.json",
            "simulate --replay file",
        ],
    );
}

#[test]
fn errors_of_a_lake() {
    let folder = tempfile::tempdir().unwrap();
    stedi(folder.path(), "generate landing --customers 2");
    assert!(stedi(folder.path(), "run landing --quiet").ends_with("[exit status 0]"));
    let lines = ["run landing --consent at-reading", "tables --bucket other", "run landing --bucket other"];
    check("errors_of_a_lake", folder.path(), &lines);
}
