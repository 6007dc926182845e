//! Counts the requests that the SDK's clients send.

use crate::counters::Counters;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use std::sync::Arc;

/// The service that a client calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    S3,
    Glue,
}

/// Counts each request of a client just before it is sent.
#[derive(Debug)]
pub(crate) struct CountRequests {
    pub(crate) service: Service,
    pub(crate) counters: Arc<Counters>,
}

impl Intercept for CountRequests {
    fn name(&self) -> &'static str {
        "CountRequests"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_retry = config.load::<RequestAttempts>().is_some_and(|attempts| attempts.attempts() > 1);
        self.counters.add(|counts| {
            match self.service {
                Service::S3 => counts.s3_requests += 1,
                Service::Glue => counts.glue_requests += 1,
            }
            counts.retries += u64::from(is_retry);
        });
        Ok(())
    }
}
