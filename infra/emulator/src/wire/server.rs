//! The endpoint on a TCP listener, over HTTP/1.1 and HTTP/2.

use super::Endpoint;
use super::access::Access;
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

/// Connections at the same time; more wait to be accepted. Below what a process may open on a usual system.
const CONNECTIONS_MAX: usize = 512;
/// How long a client may take to send a request's head, and to send another one on the same connection.
const HEAD_SECONDS_MAX: u64 = 60;
/// How long nothing may come of a body.
const BODY_PAUSE_SECONDS_MAX: u64 = 60;
/// After a connection could not be accepted, for example because there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `shutdown` is done, then lets the requests under way finish.
pub(crate) async fn serve(
    endpoint: Arc<Endpoint>,
    listener: TcpListener,
    access: Access,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEAD_SECONDS_MAX));
    builder.http2().timer(TokioTimer::new());
    let connections = GracefulShutdown::new();
    let access = Arc::new(access);
    let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::pin!(shutdown);
    loop {
        let (stream, place) = tokio::select! {
            // In this order, so that a stream of new connections cannot delay the end, and without a random choice.
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &free) => accepted?,
        };
        // Small answers must not wait for an acknowledgement; a socket that refuses this only is slower.
        let _ = stream.set_nodelay(true);
        let (endpoint, access) = (Arc::clone(&endpoint), Arc::clone(&access));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (endpoint, access) = (Arc::clone(&endpoint), Arc::clone(&access));
            async move {
                let faults = Faults::default();
                let request = request.map(|body| impatient(body, faults.clone()));
                Ok::<_, Infallible>(endpoint.answer(request, &access, faults).await)
            }
        });
        let connection = connections.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
            drop(place);
        });
    }
    connections.shutdown().await;
    Ok(())
}

/// The next connection, and its place among those allowed.
async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(free).acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, place)),
            // The listener itself is gone.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected) => {
                return Err(error);
            }
            // The client gave up while it was still in the queue, or something is used up that will be free again.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The body, which breaks off if nothing more comes.
fn impatient(body: Incoming, faults: Faults) -> Body {
    use hyper::body::Body as _;
    if body.is_end_stream() {
        return Body::empty();
    }
    let stream = stream::try_unfold((Body::from(body), faults), |(mut body, faults)| async move {
        match timeout(Duration::from_secs(BODY_PAUSE_SECONDS_MAX), body.next()).await {
            Ok(Some(Ok(chunk))) => Ok(Some((chunk, (body, faults)))),
            Ok(Some(Err(error))) => Err(faults.found(Fault::Frames(format!("the body breaks off: {error}")))),
            Ok(None) => Ok(None),
            Err(_) => Err(faults.found(Fault::Slow)),
        }
    });
    Body::from(StreamingBlob::wrap(stream))
}
