//! Clients: from the environment, as in Lambda, or over another wire.

use crate::catalog::Catalog;
use crate::counters::Counters;
use crate::lake::{Lake, LakeSettings};
use crate::objects::Store;
use crate::requests::{CountRequests, Service};
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_s3::config::{
    Credentials, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures::future::BoxFuture;
use std::sync::Arc;

/// The dated defaults of the SDK that this software was tested with.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// The lake that `settings` describe, with the region, the credentials and the endpoint of the environment.
pub fn from_env(settings: &LakeSettings) -> BoxFuture<'_, Lake> {
    Box::pin(async move { lake(&aws_config::load_defaults(behavior_version()).await, settings, None) })
}

/// The lake that `settings` describe, behind an HTTP client that needs neither network nor credentials.
///
/// Nothing that its clients do depends on the wall clock or on other clients of the process: with `fastrand::seed` (the
/// SDK draws its pauses from there) the same requests are made in every run on a runtime of one thread.
pub fn over(http_client: SharedHttpClient, region: &'static str, settings: &LakeSettings) -> Lake {
    // By default all clients of a process share one budget of retries.
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

/// The lake that `settings` describe, behind clients with this configuration.
pub fn with(config: &SdkConfig, settings: &LakeSettings) -> Lake {
    lake(config, settings, None)
}

/// The configuration of clients of an endpoint of one's own: a stack that is running, reached over HTTP.
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

/// What a client signs its requests with.
#[derive(Clone)]
pub struct AccessKey {
    /// The part that requests name.
    pub id: String,
    /// The part that they are signed with.
    pub secret: String,
}

fn lake(config: &SdkConfig, settings: &LakeSettings, budgets: Option<[RetryPartition; 2]>) -> Lake {
    let counters = Arc::new(Counters::default());
    let count = |service| CountRequests { service, counters: counters.clone() };
    // Path-style addresses work with AWS and with any endpoint of one's own.
    let mut s3 = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(config.endpoint_url().is_some())
        .interceptor(count(Service::S3));
    let mut glue = aws_sdk_glue::config::Builder::from(config).interceptor(count(Service::Glue));
    if config.credentials_provider().is_none() {
        // To sign is to hash every body.
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
