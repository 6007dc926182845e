//! Stops a function before one of its requests.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Notify, Semaphore};

/// An HTTP client that stops one request until it is released.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    inner: SharedHttpClient,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    requests: AtomicUsize,
    stop_before: usize,
    stopped: Notify,
    go_on: Semaphore,
}

impl Gate {
    /// Lets `stop_before` requests through, stops the next one, and lets all others through.
    pub(crate) fn new(inner: SharedHttpClient, stop_before: usize) -> Self {
        let (requests, stopped, go_on) = (AtomicUsize::new(0), Notify::new(), Semaphore::new(0));
        Self { inner, state: Arc::new(State { requests, stop_before, stopped, go_on }) }
    }

    /// Waits until a request is stopped.
    pub(crate) async fn stopped(&self) {
        self.state.stopped.notified().await;
    }

    /// Releases the stopped request.
    pub(crate) fn go_on(&self) {
        self.state.go_on.add_permits(1);
    }
}

#[derive(Debug)]
struct GateConnector {
    inner: SharedHttpConnector,
    state: Arc<State>,
}

impl HttpClient for Gate {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(GateConnector { inner, state: self.state.clone() })
    }
}

impl HttpConnector for GateConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, state) = (self.inner.clone(), self.state.clone());
        HttpConnectorFuture::new(async move {
            if state.requests.fetch_add(1, Ordering::SeqCst) == state.stop_before {
                state.stopped.notify_one();
                // The semaphore is never closed, so this cannot fail.
                let _ = state.go_on.acquire().await;
            }
            inner.call(request).await
        })
    }
}
