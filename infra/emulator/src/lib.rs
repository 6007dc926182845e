//! An emulator of S3, the Glue Data Catalog and S3 events over a directory of plain files.
//!
//! ```no_run
//! # async fn example(handler: emulator::Handler) -> Result<(), Box<dyn std::error::Error>> {
//! use emulator::{Cloud, Dispatcher, Options, Subscription};
//!
//! let cloud = Cloud::open("./data".as_ref())?;
//! // Any AWS SDK client works with this, at any endpoint URL.
//! let http_client = cloud.http_client();
//! let subscription = Subscription::new("thumbnails", "photos", ["uploads/"], handler);
//! let dispatcher = Dispatcher::start(&cloud, vec![subscription], Options::default())?;
//! // Put objects with the SDK, or let other clients do so through `cloud.serve`.
//! let report = dispatcher.wait_until_quiet().await;
//! # let _ = (http_client, report);
//! dispatcher.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! The emulator refuses what it does not implement: an operation, a parameter or a header whose effect is missing is
//! answered with an error that names it. It knows nothing of its host program, which registers functions as handlers.
//!
//! `DIR/BUCKET/KEY` is an object. `DIR/.emulator/` contains `lock`, `tmp/` (bodies during their upload), `uploads/`
//! (multipart uploads), `events` (the journal of undelivered events) and `glue/`.
//!
//! # Modules
//!
//! | module | contents |
//! |---|---|
//! | `cloud` | the parts as one value; the lock that keeps a directory to one process |
//! | `wire` | HTTP: dispatch to S3, Glue, other JSON services and STS; signatures, virtual hosts, the in-process client, the TCP server |
//! | `s3` | the operations, conditions and errors of S3, on the crate `s3s` |
//! | `objects` | files: keys as paths, atomic conditional writes, listings, ETags in extended attributes |
//! | `glue` | databases, tables and partitions |
//! | `dispatcher` | which functions an object triggers, queues, batches, redelivery, the journal |
//! | `lines` | append-only files that survive a killed process |
//! | `requests`, `clock` | counters; the only clock |
//!
//! Nothing is random unless a seed is given. The clock only stamps events and catalog entries, and gives the age of a
//! signature.

mod clock;
mod cloud;
mod dispatcher;
mod glue;
mod lines;
mod objects;
mod requests;
mod s3;
mod wire;

pub use clock::Clock;
pub use cloud::{Cloud, OpenError};
pub use dispatcher::{DeadLetter, DispatchError, Dispatcher, Handler, Options, Progress, Report, Subscription};
pub use objects::{StoredObject, object_file};
pub use requests::Requests;
pub use wire::access::Access;
pub use wire::json::JsonHandler;

/// The region of all resources.
pub const REGION: &str = "us-east-1";
