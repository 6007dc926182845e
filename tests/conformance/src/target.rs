//! An implementation under test: clients, and a bucket and a database of its own.

use aws_sdk_glue::types::DatabaseInput;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};

/// The clients of an implementation, and a bucket and a database for one test.
pub struct Target {
    pub s3: aws_sdk_s3::Client,
    pub glue: aws_sdk_glue::Client,
    /// An empty bucket that only this test uses.
    pub bucket: String,
    /// An empty database that only this test uses.
    pub database: String,
    /// Resources that must live as long as the implementation: its directory, its server.
    _kept: Box<dyn Any + Send + Sync>,
}

impl Target {
    /// Connects to `endpoint_url`, through `http_client` if there is one.
    pub async fn connect(
        endpoint_url: &str,
        http_client: Option<SharedHttpClient>,
        kept: impl Any + Send + Sync,
    ) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("conformance-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let credentials = Credentials::new("conformance", "conformance", None, None, "conformance");
        let mut s3 = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials.clone())
            .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
            .endpoint_url(endpoint_url)
            .force_path_style(true);
        let mut glue = aws_sdk_glue::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .retry_config(aws_sdk_glue::config::retry::RetryConfig::disabled())
            .endpoint_url(endpoint_url);
        if let Some(http_client) = http_client {
            s3 = s3.http_client(http_client.clone());
            glue = glue.http_client(http_client);
        }
        let target = Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            glue: aws_sdk_glue::Client::from_conf(glue.build()),
            bucket: name.clone(),
            database: name,
            _kept: Box::new(kept),
        };
        target.s3.create_bucket().bucket(&target.bucket).send().await.unwrap();
        let database = DatabaseInput::builder().name(&target.database).build().unwrap();
        target.glue.create_database().database_input(database).send().await.unwrap();
        target
    }

    /// Stores an object without a condition.
    pub async fn put(&self, key: &str, body: impl Into<Vec<u8>>) -> PutObjectOutput {
        let body = ByteStream::from(body.into());
        self.s3.put_object().bucket(&self.bucket).key(key).body(body).send().await.unwrap()
    }

    /// Reads an object's body.
    pub async fn get(&self, key: &str) -> Vec<u8> {
        let object = self.s3.get_object().bucket(&self.bucket).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }

    /// All keys below a prefix, page by page.
    pub async fn list(&self, prefix: &str) -> Vec<String> {
        let mut pages = self.s3.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            keys.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().to_owned()));
        }
        keys
    }
}

/// The HTTP status and the error code of a refusal.
#[macro_export]
macro_rules! refusal {
    ($result:expr) => {{
        use aws_sdk_s3::error::ProvideErrorMetadata as _;
        let error = $result.expect_err("a refusal was expected");
        let status = error.raw_response().expect("an answer was expected").status().as_u16();
        (status, error.code().map(str::to_owned))
    }};
}
