//! The emulator over HTTP, with signed requests.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use conformance::Target;
use emulator::{Access, Cloud};
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

/// Requests with credentials of another endpoint.
#[tokio::test]
async fn another_key_or_secret_is_refused() {
    use aws_sdk_glue::config::Credentials as GlueCredentials;
    use aws_sdk_s3::config::Credentials;
    use conformance::refusal;

    let target = open().await.unwrap();
    for (id, secret, of_s3, of_glue) in [
        ("conformance", "other", "SignatureDoesNotMatch", "InvalidSignatureException"),
        ("other", "conformance", "InvalidAccessKeyId", "UnrecognizedClientException"),
    ] {
        let credentials = Credentials::new(id, secret, None, None, "other");
        let s3 = target.s3.config().to_builder().credentials_provider(credentials).build();
        let list = aws_sdk_s3::Client::from_conf(s3).list_objects_v2().bucket(&target.bucket).send().await;
        assert_eq!(refusal!(list), (403, Some(of_s3.into())));
        let credentials = GlueCredentials::new(id, secret, None, None, "other");
        let glue = target.glue.config().to_builder().credentials_provider(credentials).build();
        let get = aws_sdk_glue::Client::from_conf(glue).get_database().name(&target.database).send().await;
        assert_eq!(refusal!(get), (400, Some(of_glue.into())));
    }
}
