//! The emulator as one value: opened on a directory, used in process or over HTTP.

use crate::clock::Clock;
use crate::glue::Glue;
use crate::objects::{Objects, StoredObject};
use crate::requests::{Counters, Requests};
use crate::wire::access::Access;
use crate::wire::in_process::InProcess;
use crate::wire::json::{Handlers, JsonHandler};
use crate::wire::{Endpoint, server};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;
use tokio::net::TcpListener;

/// The emulator's state, beside the buckets; no bucket can have this name.
const STATE_DIRECTORY: &str = ".emulator";

/// Why a directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another [`Cloud`] of this one, has it open.
    #[error("the directory {} is already open: stop the process that uses it, or take another directory", .0.display())]
    InUse(PathBuf),
    /// The directory cannot be used.
    #[error("cannot open {}: expected a directory that can be read and written", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
}

/// S3 and Glue over one directory. Clones share their state.
///
/// The directory stays locked until the last clone, HTTP client, server and dispatcher is dropped.
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
    state: PathBuf,
    has_dispatcher: AtomicBool,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("state", &self.inner.state).finish_non_exhaustive()
    }
}

impl Cloud {
    /// Opens or creates `directory`. The time does not depend on the number of objects.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if this or another process has it open; [`OpenError::Io`] if it cannot be used.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one clock: it stamps events and catalog entries, and gives the age of a signature"
    )]
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Self::open_with_clock(directory, Arc::new(SystemTime::now))
    }

    /// Like [`Cloud::open`], with another clock for events, the catalog and signatures.
    ///
    /// # Errors
    /// As [`Cloud::open`].
    pub fn open_with_clock(directory: &Path, clock: Clock) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { directory: directory.into(), source };
        let state = directory.join(STATE_DIRECTORY);
        std::fs::create_dir_all(&state).map_err(failed)?;
        let lock = File::create(state.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(directory.into())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let objects =
            Objects::open(directory.into(), state.join("tmp"), state.join("uploads"), lock).map_err(failed)?;
        let objects = Arc::new(objects);
        let counters = Arc::new(Counters::default());
        let handlers = Arc::new(Handlers::default());
        let glue = Glue::new(state.join("glue"), Arc::clone(&clock));
        let endpoint = Endpoint::new(objects.clone(), glue, &handlers, counters.clone(), clock.clone());
        let endpoint = Arc::new(endpoint);
        let has_dispatcher = AtomicBool::new(false);
        Ok(Self { inner: Arc::new(Inner { objects, endpoint, handlers, counters, clock, state, has_dispatcher }) })
    }

    /// Returns a client for the AWS SDKs whose requests are answered in this process, at any endpoint URL. For S3 use
    /// path-style addresses.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(InProcess(Arc::clone(&self.inner.endpoint)))
    }

    /// Serves HTTP requests on `listener` until `shutdown` completes, and then finishes the requests in progress. `access`
    /// says which requests are allowed.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        access: Access,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        server::serve(self.inner.endpoint.with_access(access), listener, shutdown).await
    }

    /// Registers `handler` for the calls whose `X-Amz-Target` is `SERVICE.Operation`, in process and over HTTP, until the
    /// last clone of this is dropped. They are counted as [`Requests::other`].
    ///
    /// A handler may own HTTP clients of this cloud, but not a clone of it: that cycle would keep the directory locked.
    pub fn serve_json(&self, service: &str, handler: JsonHandler) {
        self.inner.handlers.register(service, handler);
    }

    /// The requests answered so far, in process and over HTTP.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.inner.counters.read()
    }

    /// Calls `listener` after every put that stored an object, before the object triggers a function. The call is in the
    /// task of the put, under the lock of the key: it must be quick, must not block, and must not use the cloud.
    pub fn on_stored(&self, listener: impl Fn(&StoredObject) + Send + Sync + 'static) {
        self.inner.objects.listen(Arc::new(listener));
    }

    /// Opens the file of an object, for programs that read the bytes of many objects; `None` if the object does not exist.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn file(&self, bucket: &str, key: &str) -> io::Result<Option<File>> {
        self.inner.objects.file(bucket, key)
    }

    pub(crate) fn objects(&self) -> &Arc<Objects> {
        &self.inner.objects
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.inner.clock)()
    }

    /// The path of a file in the state directory.
    pub(crate) fn state_file(&self, name: &str) -> PathBuf {
        self.inner.state.join(name)
    }

    pub(crate) fn has_dispatcher(&self) -> &AtomicBool {
        &self.inner.has_dispatcher
    }
}
