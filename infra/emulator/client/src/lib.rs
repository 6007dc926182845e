//! Clients of S3 and Glue for the SQL engine of the emulator and for command lines.
//!
//! | module | contents |
//! |---|---|
//! | [`objects`] | S3: versioned reads, conditional puts, listings, byte ranges, uploads in parts, removal |
//! | [`data_catalog`] | Glue: all registered databases, tables and partitions |
//!
//! The crate knows no application. Its functions return boxed futures, so that the code of the SDK is generated here and
//! not in each crate that calls them.

use aws_config::SdkConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

pub mod data_catalog;
pub mod objects;

pub use objects::{Object, ObjectLocation, ObjectWriter, Put, RangeRead, Store, StoreError, Version, VersionedObject};

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
        // A custom endpoint may not resolve the names of buckets as virtual hosts.
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

/// The error of a service on one line: code, message and HTTP status, or the cause without an answer.
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
