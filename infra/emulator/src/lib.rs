//! The product on one machine: S3, the Glue catalogue and event delivery over a directory of plain files.
//!
//! ```no_run
//! # async fn example(handler: emulator::Handler) -> Result<(), Box<dyn std::error::Error>> {
//! use emulator::{Cloud, Dispatcher, Options, Subscription};
//!
//! let cloud = Cloud::open("./lake".as_ref())?;
//! // Any AWS SDK client works with this, whatever endpoint it names.
//! let http_client = cloud.http_client();
//! let subscription = Subscription::new("customer_trusted", "stedi", ["customer/landing/"], handler);
//! let dispatcher = Dispatcher::start(&cloud, vec![subscription], Options::default())?;
//! // … put objects with the SDK, or let others do so through `cloud.serve` …
//! let report = dispatcher.wait_until_quiet().await;
//! # let _ = (http_client, report);
//! dispatcher.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! It is an emulator, and refuses what it does not know: an operation, a parameter or a header whose effect it would
//! have to fake is answered with an error that names it. It knows nothing of the product's functions; their handlers
//! are given to it.
//!
//! # On disk
//!
//! `DIR/BUCKET/KEY` is an object, readable by any other tool; a file dropped in by hand is an object too, though no
//! event announces it. `DIR/.stedi/` is the stack's own and no bucket: `lock`, `tmp/` (bodies being uploaded),
//! `events` (the journal of owed events) and `glue/`. Killing the process at any moment loses nothing that was
//! answered; a power failure may, since nothing is flushed to the disk.
//!
//! # Modules
//!
//! | module | knows |
//! |---|---|
//! | `cloud` | how the parts are put together; the lock that keeps a lake to one process |
//! | `wire` | HTTP: telling S3 from Glue and other JSON services, signatures, virtual hosts, STS, the in-process client and the TCP server |
//! | `s3` | S3's operations, conditions and errors, on the crate `s3s` |
//! | `objects` | files: keys as paths, atomic conditional writes, listings, ETags in extended attributes |
//! | `glue` | databases, tables and partitions |
//! | `dispatcher` | which function an object wakes, queues, batches, redelivery, the journal |
//! | `lines` | append-only files that survive a killed process |
//! | `requests`, `clock` | counters; the only clock |
//!
//! Nothing here is random, and the clock only stamps events and catalogue entries and tells how old a signature is.

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
pub use objects::StoredObject;
pub use objects::names::directory_of;
pub use requests::Requests;
pub use wire::access::Access;
pub use wire::json::JsonHandler;

/// The region that everything here is in.
pub const REGION: &str = "us-east-1";
