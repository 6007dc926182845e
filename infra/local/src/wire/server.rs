//! The endpoint on a TCP listener, over HTTP/1.1 and HTTP/2.

use super::{Endpoint, Guard};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::Body;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const HEADERS_SECONDS_MAX: Duration = Duration::from_secs(30);

/// Accepts connections until `shutdown` is done, then lets the requests under way finish.
pub(crate) async fn serve(
    endpoint: Arc<Endpoint>,
    guard: Guard,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut builder = Builder::new(TokioExecutor::new());
    // A client that never ends its headers does not keep a connection for ever.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_SECONDS_MAX);
    let guard = Arc::new(guard);
    let connections = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            // In this order, so that a stream of new connections cannot delay the end, and without a random choice.
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // The client's: it gave up while it was still in the queue.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => continue,
                Err(error) => return Err(error),
            },
        };
        // Small answers must not wait for an acknowledgement; a socket that refuses this only is slower.
        let _ = stream.set_nodelay(true);
        let (endpoint, guard) = (Arc::clone(&endpoint), Arc::clone(&guard));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (endpoint, guard) = (Arc::clone(&endpoint), Arc::clone(&guard));
            async move { Ok::<_, Infallible>(endpoint.answer(request.map(Body::from), Some(&guard)).await) }
        });
        let connection = connections.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    connections.shutdown().await;
    Ok(())
}
