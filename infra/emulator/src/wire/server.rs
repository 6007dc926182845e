//! The endpoint on a TCP listener, over HTTP/1.1 and HTTP/2.

use super::Endpoint;
use super::body::Faults;
use super::fault::Fault;
use futures::{StreamExt, stream};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::Body;
use s3s::dto::StreamingBlob;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The maximum number of concurrent connections; more wait to be accepted. It is below the usual limit of open files.
const CONNECTIONS_MAX: usize = 512;
/// The time limit for the head of a request, and for the pause before the next request of a connection.
const HEAD_SECONDS_MAX: u64 = 60;
/// The time limit for a pause within a body.
const BODY_PAUSE_SECONDS_MAX: u64 = 60;
/// The pause after an error of accept, for example because of too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `shutdown` completes, then finishes the requests in progress.
pub(crate) async fn serve(
    endpoint: Endpoint,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEAD_SECONDS_MAX));
    builder.http2().timer(TokioTimer::new());
    let connections = GracefulShutdown::new();
    let endpoint = Arc::new(endpoint);
    let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::pin!(shutdown);
    loop {
        let (stream, permit) = tokio::select! {
            // In this order, so that new connections cannot delay the end, and without a random choice.
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &free) => accepted?,
        };
        // Small responses must not wait for an acknowledgment. A socket without this option is only slower.
        let _ = stream.set_nodelay(true);
        let endpoint = Arc::clone(&endpoint);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let endpoint = Arc::clone(&endpoint);
            async move {
                let faults = Faults::default();
                let request = request.map(|body| with_timeout(body, faults.clone()));
                Ok::<_, Infallible>(endpoint.answer(request, faults).await)
            }
        });
        let connection = connections.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
            drop(permit);
        });
    }
    connections.shutdown().await;
    Ok(())
}

/// Returns the next connection with its permit.
async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(free).acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, permit)),
            // The listener itself failed.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected) => {
                return Err(error);
            }
            // The client gave up before it was accepted, or a resource is temporarily exhausted.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Returns the body, which fails if a pause is too long.
fn with_timeout(body: Incoming, faults: Faults) -> Body {
    use hyper::body::Body as _;
    if body.is_end_stream() {
        return Body::empty();
    }
    let stream = stream::try_unfold((Body::from(body), faults), |(mut body, faults)| async move {
        match timeout(Duration::from_secs(BODY_PAUSE_SECONDS_MAX), body.next()).await {
            Ok(Some(Ok(chunk))) => Ok(Some((chunk, (body, faults)))),
            Ok(Some(Err(error))) => Err(faults.record(Fault::Frames(format!("the body ends early: {error}")))),
            Ok(None) => Ok(None),
            Err(_) => Err(faults.record(Fault::Slow)),
        }
    });
    Body::from(StreamingBlob::wrap(stream))
}
