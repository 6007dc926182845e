//! The local stack over HTTP, with signed requests.

#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use conformance::Target;
use local::{Access, Cloud};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

async fn open() -> Option<Target> {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(directory.path()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let access = Access::Signed { id: "conformance".into(), secret: "conformance".into() };
    tokio::spawn(async move { cloud.serve(listener, access, async { drop(stopped.await) }).await });
    Some(Target::connect(&url, None, (stop, directory)).await)
}

conformance::suite!(crate::open);
conformance::suite!(strict crate::open);
