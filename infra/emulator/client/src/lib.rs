//! S3 and Glue for clients that are not functions: the SQL engine of the emulator, and command lines.
//!
//! | module | what it holds |
//! |---|---|
//! | [`objects`] | S3: versioned reads, conditional puts, listings, byte ranges, uploads in parts, removal |
//! | [`data_catalog`] | Glue: all databases, tables and partitions that are registered |
//!
//! It knows nothing of any application. Each function that awaits an SDK returns a boxed future, so that its code is
//! generated here and not in each crate that calls it.

use aws_config::SdkConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

pub mod data_catalog;
pub mod objects;

pub use objects::{Found, Object, ObjectLocation, Put, RangeRead, Store, StoreError, Version, Writing};

/// Clients of one endpoint.
#[derive(Clone, Debug)]
pub struct Clients {
    /// S3.
    pub store: Store,
    /// Glue.
    pub catalog: data_catalog::DataCatalog,
}

impl Clients {
    /// Clients with this configuration.
    pub fn new(config: &SdkConfig) -> Self {
        // Path-style addresses work with AWS and with any endpoint of one's own.
        let path_style = config.endpoint_url().is_some();
        let mut s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(path_style);
        let mut glue = aws_sdk_glue::config::Builder::from(config);
        if config.credentials_provider().is_none() {
            s3.set_allow_no_auth();
            glue.set_allow_no_auth();
        }
        let store = Store::new(aws_sdk_s3::Client::from_conf(s3.build()));
        let catalog = data_catalog::DataCatalog::new(aws_sdk_glue::Client::from_conf(glue.build()));
        Self { store, catalog }
    }
}

/// An error and all its causes on one line.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What a service answered, in one line: code, message and HTTP status; without an answer, why there is none.
pub(crate) fn answer_of<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match (error.code(), error.raw_response()) {
        (Some(code), Some(response)) => {
            let message = error.message().map(|message| format!(": {message}")).unwrap_or_default();
            format!("{code}{message} (HTTP {})", response.status().as_u16())
        }
        (None, Some(response)) => format!("{} (HTTP {})", with_causes(error), response.status().as_u16()),
        (_, None) => with_causes(error),
    }
}
