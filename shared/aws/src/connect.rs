//! Clients: from the environment, as in Lambda, or over another wire.

use crate::catalog::Catalog;
use crate::lake::Lake;
use crate::settings::Settings;
use crate::store::Store;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{Credentials, Region, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// The dated defaults of the SDK that this software was tested with.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// The lake that `settings` describe, with the region, the credentials and the endpoint of the environment.
pub async fn from_env(settings: &Settings) -> Lake {
    lake(&aws_config::load_defaults(behavior_version()).await, settings)
}

/// The lake that `settings` describe, behind an HTTP client that needs neither network nor credentials.
pub fn over(http_client: SharedHttpClient, region: &'static str, settings: &Settings) -> Lake {
    let credentials = Credentials::new("local", "local", None, None, "local");
    let config = SdkConfig::builder()
        .behavior_version(behavior_version())
        .region(Region::from_static(region))
        .endpoint_url("http://localhost")
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .build();
    lake(&config, settings)
}

fn lake(config: &SdkConfig, settings: &Settings) -> Lake {
    // Path-style addresses work with AWS and with any endpoint of one's own.
    let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(config.endpoint_url().is_some()).build();
    let store = Store::new(aws_sdk_s3::Client::from_conf(s3));
    let catalog = Catalog::new(aws_sdk_glue::Client::new(config), &settings.database, &settings.lake_bucket);
    Lake::new(store, catalog, settings)
}
