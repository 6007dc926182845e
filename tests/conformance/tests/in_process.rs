//! The emulator, reached in process.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use conformance::Target;
use emulator::Cloud;

async fn open() -> Option<Target> {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(directory.path()).unwrap();
    Some(Target::connect("http://localhost", Some(cloud.http_client()), (cloud, directory)).await)
}

conformance::suite!(crate::open);
conformance::suite!(strict crate::open);
