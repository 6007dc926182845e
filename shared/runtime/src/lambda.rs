//! The bootstrap of a Lambda binary: logs, settings, clients, run, and the metrics of each invocation.

use crate::function::{Function, invoke};
use crate::{logging, metrics, settings};
use futures::future::BoxFuture;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use std::sync::Arc;
use store::lake::Lake;
use store::{BoxError, connect};

/// Runs the function that `new` makes of the lake its environment describes, until Lambda stops it.
pub async fn run<F: Function>(new: impl FnOnce(Lake) -> F) -> Result<(), BoxError> {
    let filter = std::env::var(settings::RUST_LOG);
    logging::init(filter.as_deref().unwrap_or(logging::DEFAULT_FILTER), std::io::stdout);
    let settings = settings::from_env()?;
    let function = Arc::new(new(connect::from_env(&settings).await));
    let handler = move |event: LambdaEvent<Value>| -> BoxFuture<'static, Result<Value, BoxError>> {
        let function = function.clone();
        Box::pin(async move {
            let answer = invoke(&*function, &event.payload).await;
            let times = answer.as_ref().map(|answer| answer.times.as_slice()).unwrap_or_default();
            metrics::print(&event.context.env_config.function_name, &function.lake().counters, times);
            answer.map(|answer| answer.response)
        })
    };
    serve(Box::new(handler)).await
}

type Handler = Box<dyn Fn(LambdaEvent<Value>) -> BoxFuture<'static, Result<Value, BoxError>> + Send + Sync>;

/// Boxed, so that the runtime and its HTTP client are compiled here and not in each of the five programs.
fn serve(handler: Handler) -> BoxFuture<'static, Result<(), BoxError>> {
    Box::pin(lambda_runtime::run(service_fn(handler)))
}
