//! Any other implementation: set `CONFORMANCE_ENDPOINT_URL`, for example to `http://localhost:5000`.

#![allow(clippy::print_stderr, reason = "prints why nothing was tested")]

use conformance::Target;

async fn open() -> Option<Target> {
    match std::env::var("CONFORMANCE_ENDPOINT_URL") {
        Ok(url) => Some(Target::connect(&url, None, ()).await),
        Err(_) => {
            eprintln!("skipped: CONFORMANCE_ENDPOINT_URL names no endpoint to test");
            None
        }
    }
}

conformance::suite!(crate::open);
