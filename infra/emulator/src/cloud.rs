//! The local stack as one value: opened on a directory, reached over a wire.

use crate::clock::Clock;
use crate::glue::Glue;
use crate::objects::{Objects, StoredObject};
use crate::requests::{Counters, Requests};
use crate::s3;
use crate::wire::access::Access;
use crate::wire::in_process::InProcess;
use crate::wire::json::{Handlers, JsonHandler};
use crate::wire::{Endpoint, server};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use s3s::service::S3ServiceBuilder;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::SystemTime;
use tokio::net::TcpListener;

/// Below the lake's directory; no bucket can have this name.
const OWN: &str = ".stedi";

/// Why a lake could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another [`Cloud`] of this one, has it open.
    #[error("the lake {} is already open: stop the process that uses it, or take another directory", .0.display())]
    InUse(PathBuf),
    /// The file system refused.
    #[error("the lake {} cannot be opened: expected a directory that can be read and written", directory.display())]
    Io {
        /// The lake's directory.
        directory: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

/// S3 and Glue over one directory. Clones are the same stack.
///
/// The lake stays locked until the last clone, HTTP client, server and dispatcher of it is gone.
#[derive(Clone)]
pub struct Cloud {
    inner: Arc<Inner>,
}

struct Inner {
    objects: Arc<Objects>,
    endpoint: Arc<Endpoint>,
    handlers: Arc<Handlers>,
    counters: Arc<Counters>,
    clock: Clock,
    own: PathBuf,
    has_dispatcher: AtomicBool,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("own", &self.inner.own).finish_non_exhaustive()
    }
}

impl Cloud {
    /// Opens the lake in `directory`, creating it if need be. Costs the same however much is in it.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if it is open already, here or in another process.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one clock: it stamps events and catalogue entries, and tells how old a signature is"
    )]
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Self::open_with_clock(directory, Arc::new(SystemTime::now))
    }

    /// As [`Cloud::open`], with another clock for the times in events, in the catalogue and of signatures.
    ///
    /// # Errors
    /// As [`Cloud::open`].
    pub fn open_with_clock(directory: &Path, clock: Clock) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { directory: directory.into(), source };
        let own = directory.join(OWN);
        std::fs::create_dir_all(&own).map_err(failed)?;
        let lock = File::create(own.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(directory.into())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let objects = Objects::open(directory.into(), own.join("tmp"), own.join("uploads"), lock).map_err(failed)?;
        let objects = Arc::new(objects);
        let counters = Arc::new(Counters::default());
        let handlers = Arc::new(Handlers::default());
        let endpoint = Arc::new(Endpoint {
            s3: S3ServiceBuilder::new(s3::Service { objects: Arc::clone(&objects), clock: Arc::clone(&clock) }).build(),
            glue: Glue::new(own.join("glue"), Arc::clone(&clock)),
            handlers: Arc::downgrade(&handlers),
            counters: Arc::clone(&counters),
            answered: AtomicU64::new(0),
            clock: Arc::clone(&clock),
        });
        let has_dispatcher = AtomicBool::new(false);
        Ok(Self { inner: Arc::new(Inner { objects, endpoint, handlers, counters, clock, own, has_dispatcher }) })
    }

    /// A client for the AWS SDKs whose requests are answered in this process, whatever endpoint they name. For S3 use
    /// path-style addresses.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(InProcess(Arc::clone(&self.inner.endpoint)))
    }

    /// Answers the HTTP requests on `listener` of those who have access until `shutdown` is done, and then finishes the
    /// requests under way.
    ///
    /// # Errors
    /// If the listener accepts no more connections.
    pub async fn serve(
        &self,
        listener: TcpListener,
        access: Access,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        server::serve(Arc::clone(&self.inner.endpoint), listener, access, shutdown).await
    }

    /// From now on, and until the last clone of this is gone, `handler` answers the calls whose `X-Amz-Target` is
    /// `SERVICE.Operation`, over every wire. They are counted as [`Requests::other`].
    ///
    /// A handler may hold HTTP clients of this cloud, but no clone of it: that would keep itself, and the lake locked.
    pub fn serve_json(&self, service: &str, handler: JsonHandler) {
        self.inner.handlers.register(service, handler);
    }

    /// The requests answered so far, over all wires.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.inner.counters.read()
    }

    /// Calls `listener` after every put that stored an object, and before any function is woken by it, in the task of
    /// the put and while nobody else may write the key: it must be quick, must not block, and must not use the cloud.
    ///
    /// If the object took the place of an earlier version, the listener has that one's file, to be read from wherever it
    /// likes: it is the last who can.
    pub fn on_stored(&self, listener: impl Fn(&StoredObject, Option<&File>) + Send + Sync + 'static) {
        self.inner.objects.listen(Arc::new(listener));
    }

    /// The file of an object, for whoever has many of them to look at and needs no more than their bytes; none if there is
    /// no such object.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn file(&self, bucket: &str, key: &str) -> io::Result<Option<File>> {
        self.inner.objects.file(bucket, key)
    }

    /// How many partitions of a table are registered. To ask for them page by page would cost by their number.
    ///
    /// # Errors
    /// If there is no such table, or if the catalogue's files cannot be read.
    pub fn partitions(&self, database: &str, table: &str) -> io::Result<usize> {
        self.inner.endpoint.glue.partitions(database, table)
    }

    pub(crate) fn objects(&self) -> &Arc<Objects> {
        &self.inner.objects
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.inner.clock)()
    }

    /// A file of the stack's own.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.inner.own.join(name)
    }

    pub(crate) fn has_dispatcher(&self) -> &AtomicBool {
        &self.inner.has_dispatcher
    }
}
