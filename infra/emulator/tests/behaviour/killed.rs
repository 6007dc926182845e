//! A process killed in the middle of its puts: what was answered is there, whole, and its events are owed.

use crate::support::{Calls, create_bucket, gated, one, put, send};
use emulator::{Cloud, Dispatcher, Options};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Names the lake to the process that is to be killed.
const LAKE: &str = "LOCAL_TEST_KILLED_LAKE";
const ROUNDS: usize = 5;
const KEYS: usize = 7;

/// Large enough that a kill falls into the middle of a write now and then.
fn body(number: usize) -> String {
    format!("{number:08} ").repeat(20_000)
}

/// The process that is killed. Run as a test of its own it has no lake, and nothing to do.
#[tokio::test]
async fn victim() {
    let Ok(directory) = std::env::var(LAKE) else { return };
    let cloud = Cloud::open(Path::new(&directory)).unwrap();
    create_bucket(&cloud).await;
    let never = Arc::new(Semaphore::new(0));
    let handler = gated(Calls::default().succeeding(), &never, &Arc::new(Semaphore::new(0)));
    let _dispatcher = Dispatcher::start(&cloud, one("in/", handler), Options::default()).unwrap();
    for number in 0.. {
        put(&cloud, &format!("in/{}", number % KEYS), &body(number)).await;
        // Straight to the pipe: the test harness keeps what is printed to itself.
        writeln!(std::io::stdout(), "\nstored {number}").unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_answered() {
    let directory = tempfile::tempdir().unwrap();
    for round in 1..=ROUNDS {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::victim", "--nocapture"])
            .env(LAKE, directory.path())
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
        assert_eq!(std::fs::read_dir(directory.path().join(".stedi/tmp")).unwrap().count(), 0);
        for (key, number) in &answered {
            let (status, text) = send(&cloud, "GET", &format!("lake/in/{key}"), &[], "").await;
            assert_eq!(status, 200);
            let found: usize = text[..8].parse().unwrap();
            // The put that was being answered may have come through, too.
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
