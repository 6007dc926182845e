//! The wire between a function's SDK clients and the emulator of S3 and Glue. It injects the faults.

use crate::faults::Kind;
use crate::operation::Operation;
use crate::run::{Invocation, Run};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use serde_json::{Value, json};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The HTTP client of one instance. An instance handles one invocation at a time, as in Lambda.
#[derive(Clone)]
pub(crate) struct Wire {
    inner: SharedHttpClient,
    run: Arc<Run>,
    invocation: Arc<Mutex<Arc<Invocation>>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    pub(crate) fn new(inner: SharedHttpClient, run: Arc<Run>, invocation: Arc<Invocation>) -> Self {
        Self { inner, run, invocation: Arc::new(Mutex::new(invocation)) }
    }

    /// Attributes further requests to this invocation.
    pub(crate) fn serve(&self, invocation: Arc<Invocation>) {
        *self.invocation.lock().unwrap_or_else(PoisonError::into_inner) = invocation;
    }

    pub(crate) fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Connector { inner, wire: self.clone() })
    }
}

#[derive(Clone, Debug)]
struct Connector {
    inner: SharedHttpConnector,
    wire: Wire,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.answer(request).await })
    }
}

impl Connector {
    async fn answer(&self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let run = &self.wire.run;
        let invocation = self.wire.invocation.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let operation = Operation::of(&request);
        run.check_role(&invocation, &operation);
        let plan = run.plan(&invocation, &operation);
        tokio::time::sleep(Duration::from_millis(plan.wait_ms)).await;
        run.record_start(&invocation, &operation, &plan);
        let trace = |fault: Kind| run.trace_invocation(&invocation, format_args!("{operation} → {fault}"));
        match plan.fault {
            Some(fault @ Kind::Kill) if plan.kill_before => {
                trace(fault);
                return self.die(&invocation).await;
            }
            Some(fault @ Kind::TimeOut) => {
                trace(fault);
                return Err(ConnectorError::timeout("the request timed out".into()));
            }
            Some(fault @ Kind::SlowDown) => {
                trace(fault);
                return Ok(s3_error(503, "SlowDown", "Please reduce your request rate."));
            }
            Some(fault @ Kind::Conflict) => {
                trace(fault);
                return Ok(s3_error(409, "ConditionalRequestConflict", "A conflicting operation is under way."));
            }
            Some(fault @ Kind::Throttle) => {
                trace(fault);
                return Ok(glue_answer(400, json!({"__type": "ThrottlingException", "Message": "Rate exceeded"})));
            }
            Some(fault @ Kind::ConcurrentModification) => {
                trace(fault);
                let error =
                    json!({"__type": "ConcurrentModificationException", "Message": "Another change is under way"});
                return Ok(glue_answer(400, error));
            }
            _ => {}
        }
        let mut withheld = None;
        if plan.fault == Some(Kind::PartitionError) {
            withheld = withhold_partition(&mut request);
            if let Some((values, rest)) = &withheld {
                trace(Kind::PartitionError);
                if *rest == 0 {
                    return Ok(glue_answer(200, json!({"Errors": [partition_error(values)]})));
                }
            }
        }
        let body = operation.is_put().then(|| Bytes::copy_from_slice(request.body().bytes().unwrap_or_default()));
        let mut response = self.inner.call(request).await?;
        if let Some(stored_ms) = operation.read_key().and_then(|key| run.last_modified_of(key)) {
            set_last_modified(&mut response, stored_ms);
        }
        run.record_response(&invocation, &operation, body, &response);
        if plan.fault == Some(Kind::Kill) {
            trace(Kind::Kill);
            return self.die(&invocation).await;
        }
        if plan.fault == Some(Kind::LostResponse) {
            trace(Kind::LostResponse);
            return Err(ConnectorError::io("the connection was reset".into()));
        }
        match withheld {
            Some((values, _)) => {
                let answer = response.body().bytes().and_then(|body| serde_json::from_slice(body).ok());
                let mut answer: Value = answer.unwrap_or_else(|| json!({}));
                let mut errors = answer["Errors"].as_array().cloned().unwrap_or_default();
                errors.push(partition_error(&values));
                answer["Errors"] = errors.into();
                Ok(glue_answer(200, answer))
            }
            None => Ok(response),
        }
    }

    /// Kills the invocation: the request never returns, and the world ends the function.
    async fn die(&self, invocation: &Invocation) -> Result<HttpResponse, ConnectorError> {
        self.wire.run.kill(invocation);
        std::future::pending().await
    }
}

/// Removes the last partition from a BatchCreatePartition. Returns its values, and how many partitions remain.
fn withhold_partition(request: &mut HttpRequest) -> Option<(Value, usize)> {
    let mut call: Value = serde_json::from_slice(request.body().bytes()?).ok()?;
    let partitions = call["PartitionInputList"].as_array_mut()?;
    let values = partitions.pop()?["Values"].clone();
    let rest = partitions.len();
    let body = call.to_string();
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
    Some((values, rest))
}

/// Gives an object the time of the simulated clock, at which it was stored.
fn set_last_modified(response: &mut HttpResponse, stored_ms: i64) {
    if response.headers().contains_key("last-modified")
        && let Ok(time) = DateTime::from_secs(stored_ms / 1000).fmt(Format::HttpDate)
    {
        response.headers_mut().insert("last-modified", time);
    }
}

fn partition_error(values: &Value) -> Value {
    let detail = json!({"ErrorCode": "InternalServiceException", "ErrorMessage": "An internal error occurred"});
    json!({"PartitionValues": values, "ErrorDetail": detail})
}

fn s3_error(status: u16, code: &str, message: &str) -> HttpResponse {
    response(status, "application/xml", format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}

fn glue_answer(status: u16, answer: Value) -> HttpResponse {
    response(status, "application/x-amz-json-1.1", answer.to_string())
}

fn response(status: u16, content_type: &'static str, body: String) -> HttpResponse {
    let status = StatusCode::try_from(status).unwrap_or_else(|_| http::StatusCode::INTERNAL_SERVER_ERROR.into());
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", content_type);
    response
}
