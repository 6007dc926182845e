//! Clients: from the environment, as in Lambda, or over another transport.

use crate::catalog::Catalog;
use crate::counters::Counters;
use crate::lake::{Lake, LakeSettings};
use crate::objects::Store;
use crate::requests::{CountRequests, Service};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_s3::config::{
    Credentials, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// The dated defaults of the SDK that the tests use.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Connects to the lake of `settings`, with region, credentials and endpoint from the environment.
pub fn from_env(settings: &LakeSettings) -> BoxFuture<'_, Lake> {
    Box::pin(async move {
        // A request that hangs must not take the whole time of an invocation.
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIME).operation_timeout(OPERATION_TIME).build();
        let config = aws_config::defaults(behavior_version()).timeout_config(timeouts).load().await;
        lake(&config, settings, None)
    })
}

/// How long one attempt of a request may take, without the body of its answer. A cell of some MB takes less than a second.
const ATTEMPT_TIME: Duration = Duration::from_secs(20);
/// How long a request may take with its retries.
const OPERATION_TIME: Duration = Duration::from_secs(60);

/// Connects to the lake of `settings` through an HTTP client that needs neither network nor credentials.
///
/// Its clients depend neither on the wall clock nor on other clients of the process. The SDK draws its pauses from
/// `fastrand`. With a fixed `fastrand::seed` and a runtime of one thread, every run makes the same requests.
pub fn over(http_client: SharedHttpClient, region: &'static str, settings: &LakeSettings) -> Lake {
    // By default, all clients of a process share one retry budget.
    let budget = || RetryPartition::custom("lake").token_bucket(TokenBucket::default()).build();
    lake(&config_over(http_client, region), settings, Some([budget(), budget()]))
}

/// The configuration of clients behind an HTTP client that needs neither network nor credentials.
pub fn config_over(http_client: SharedHttpClient, region: &'static str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(behavior_version())
        .region(Region::from_static(region))
        .endpoint_url("http://localhost")
        .http_client(http_client)
        .identity_cache(IdentityCache::no_cache())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build()
}

/// Connects to the lake of `settings` with this configuration of clients.
pub fn with(config: &SdkConfig, settings: &LakeSettings) -> Lake {
    lake(config, settings, None)
}

/// The configuration of clients that reach an endpoint other than AWS over HTTP.
pub fn config_at<'a>(endpoint_url: &'a str, region: &'a str, access_key: &'a AccessKey) -> BoxFuture<'a, SdkConfig> {
    Box::pin(async move {
        let AccessKey { id, secret } = access_key;
        aws_config::defaults(behavior_version())
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint_url)
            .credentials_provider(Credentials::new(id, secret, None, None, "settings"))
            .load()
            .await
    })
}

/// The credentials of a client.
#[derive(Clone)]
pub struct AccessKey {
    /// The access key ID, which each request names.
    pub id: String,
    /// The secret access key, which signs each request.
    pub secret: String,
}

fn lake(config: &SdkConfig, settings: &LakeSettings, budgets: Option<[RetryPartition; 2]>) -> Lake {
    let counters = Arc::new(Counters::default());
    let count = |service| CountRequests { service, counters: counters.clone() };
    // An endpoint other than AWS may not resolve a bucket's name as a host.
    let mut s3 = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(config.endpoint_url().is_some())
        .interceptor(count(Service::S3));
    let mut glue = aws_sdk_glue::config::Builder::from(config).interceptor(count(Service::Glue));
    if config.credentials_provider().is_none() {
        // Without credentials there is nothing to sign with, and hashing every body is saved.
        s3.set_allow_no_auth();
        glue.set_allow_no_auth();
    }
    if let Some([of_s3, of_glue]) = budgets {
        s3.set_retry_partition(Some(of_s3));
        glue.set_retry_partition(Some(of_glue));
    }
    let store = Store::new(aws_sdk_s3::Client::from_conf(s3.build()), counters.clone());
    let glue = aws_sdk_glue::Client::from_conf(glue.build());
    let catalog = Catalog::new(glue, &settings.database, &settings.lake_bucket, counters.clone());
    Lake::new(store, catalog, counters, settings)
}
