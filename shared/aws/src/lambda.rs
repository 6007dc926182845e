//! The bootstrap of a Lambda binary: logs, settings, clients, run, and the metrics of each invocation.

use crate::function::{Function, invoke};
use crate::lake::Lake;
use crate::settings::{self, Settings};
use crate::{BoxError, connect, logging, metrics};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

/// Runs the function that `new` makes of the lake its environment describes, until Lambda stops it.
pub async fn run<F: Function>(new: impl FnOnce(Lake) -> F) -> Result<(), BoxError> {
    let filter = std::env::var(settings::RUST_LOG);
    logging::init(filter.as_deref().unwrap_or(logging::DEFAULT_FILTER), std::io::stdout);
    let settings = Settings::from_env()?;
    let function = new(connect::from_env(&settings).await);
    // Boxed, since the type of so deep a future is more than the compiler likes to look through.
    let handler = |event: LambdaEvent<Value>| {
        let function = &function;
        Box::pin(async move {
            let answer = invoke(function, &event.payload).await;
            let times = answer.as_ref().map(|answer| answer.times.as_slice()).unwrap_or_default();
            metrics::print(&event.context.env_config.function_name, &function.lake().counters, times);
            answer.map(|answer| answer.response)
        })
    };
    lambda_runtime::run(service_fn(handler)).await
}
