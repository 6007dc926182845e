//! An HTTP client for the SDK without a network: it passes requests to the endpoint.

use super::Endpoint;
use super::body::Faults;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::HeaderValue;
use http::header::HOST;
use s3s::Body;
use std::fmt;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct InProcess(pub(crate) Arc<Endpoint>);

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let endpoint = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let request = incoming(request).map_err(ConnectorError::user)?;
            let answer = endpoint.answer(request, Faults::default()).await;
            outgoing(answer).map_err(|error| ConnectorError::other(error, None))
        })
    }
}

fn incoming(request: HttpRequest) -> Result<http::Request<Body>, s3s::StdError> {
    let mut request = request.try_into_http1x()?;
    // An HTTP client adds this header; the service needs it to know the host.
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(request.map(Body::http_body))
}

fn outgoing(response: http::Response<Body>) -> Result<HttpResponse, s3s::StdError> {
    let response = response.map(|body| match body.bytes() {
        Some(bytes) => SdkBody::from(bytes),
        None => SdkBody::from_body_1_x(body),
    });
    Ok(HttpResponse::try_from(response)?)
}
