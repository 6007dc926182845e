//! The bootstrap of a Lambda binary: logs, settings, clients, handler, and metrics for each invocation.

use crate::deadline::until;
use crate::function::{Function, invoke};
use crate::{logging, metrics, settings};
use futures::future::BoxFuture;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use store::lake::Lake;
use store::{BoxError, connect};

/// Connects to the lake of the environment, makes a function with `new`, and serves it until Lambda stops the process.
pub async fn run<F: Function>(new: impl FnOnce(Lake) -> F) -> Result<(), BoxError> {
    let filter = std::env::var(settings::RUST_LOG);
    logging::init(filter.as_deref().unwrap_or(logging::DEFAULT_FILTER), std::io::stdout);
    let settings = settings::from_env()?;
    let function = Arc::new(new(connect::from_env(&settings).await));
    let handler = move |event: LambdaEvent<Value>| -> BoxFuture<'static, Result<Value, BoxError>> {
        let function = function.clone();
        Box::pin(async move {
            // Emulators of Lambda may send a deadline that has passed already, which says nothing.
            let left = until(event.context.deadline());
            let time = left.map(|left| left.saturating_sub(ANSWER_TIME));
            let answer = invoke(&*function, &event.payload, time).await;
            let times = answer.as_ref().map(|answer| answer.times.as_slice()).unwrap_or_default();
            metrics::print(&event.context.env_config.function_name, &function.lake().counters, times);
            answer.map(|answer| answer.response)
        })
    };
    serve(Box::new(handler)).await
}

/// How long before its deadline an invocation stops its work, so that it can still answer which messages are done.
const ANSWER_TIME: Duration = Duration::from_secs(2);

type Handler = Box<dyn Fn(LambdaEvent<Value>) -> BoxFuture<'static, Result<Value, BoxError>> + Send + Sync>;

/// Runs the runtime of Lambda. Boxed, so that its HTTP client is compiled here and not in each of the five programs.
fn serve(handler: Handler) -> BoxFuture<'static, Result<(), BoxError>> {
    Box::pin(lambda_runtime::run(service_fn(handler)))
}
