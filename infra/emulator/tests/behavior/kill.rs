//! Kills a process during its puts: every answered put is stored completely, and its event is delivered at the next start.

use crate::support::{Calls, Gated, create_bucket, one, put, send};
use emulator::{Cloud, Dispatcher, Options};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Passes the directory to the process that is to be killed.
const DIRECTORY: &str = "EMULATOR_TEST_KILLED_DIRECTORY";
const ROUNDS: usize = 5;
const KEYS: usize = 7;

/// Large enough that some kills happen during a write.
fn body(number: usize) -> String {
    format!("{number:08} ").repeat(20_000)
}

/// The process that is killed. Without the variable, as in a normal run of the tests, it does nothing.
#[tokio::test]
async fn victim() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let cloud = Cloud::open(Path::new(&directory)).unwrap();
    create_bucket(&cloud).await;
    // Its calls get no permit.
    let Gated { subscriptions, .. } = Gated::new(Calls::default().succeeding(), 100);
    let _dispatcher = Dispatcher::start(&cloud, subscriptions, Options::default()).unwrap();
    for number in 0.. {
        put(&cloud, &format!("in/{}", number % KEYS), &body(number)).await;
        // Directly to the pipe, because the test harness captures the output of println.
        writeln!(std::io::stdout(), "\nstored {number}").unwrap();
    }
}

#[tokio::test]
async fn a_kill_loses_no_answered_put_and_no_event() {
    let directory = tempfile::tempdir().unwrap();
    for round in 1..=ROUNDS {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::victim", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut answered = BTreeMap::new();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut stored = || lines.find_map(|line| line.unwrap().strip_prefix("stored ")?.parse::<usize>().ok());
        for _ in 0..KEYS * round + round {
            let number = stored().unwrap();
            answered.insert(number % KEYS, number);
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        while let Some(number) = stored() {
            answered.insert(number % KEYS, number);
        }

        let cloud = Cloud::open(directory.path()).unwrap();
        assert_eq!(std::fs::read_dir(directory.path().join(".emulator/tmp")).unwrap().count(), 0);
        for (key, number) in &answered {
            let (status, text) = send(&cloud, "GET", &format!("bucket/in/{key}"), &[], "").await;
            assert_eq!(status, 200);
            let found: usize = text[..8].parse().unwrap();
            // A put that was stored but not yet answered is visible, too.
            assert!([*number, number + KEYS].contains(&found), "{found} for {number}");
            assert!(text == body(found), "half of a body was visible");
        }
        let calls = Calls::default();
        let dispatcher = Dispatcher::start(&cloud, one("in/", calls.succeeding()), Options::default()).unwrap();
        dispatcher.wait_until_quiet().await;
        dispatcher.stop().await;
        let delivered = calls.keys();
        for key in answered.keys() {
            assert!(delivered.contains(&format!("in/{key}")), "the event of in/{key} was lost");
        }
    }
}
