//! The one call of STS that everybody begins with: who am I?

use super::signed::{self, Distrust};
use super::{Guard, called};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use s3s::Body;

/// The account that everything here is in.
const ACCOUNT: &str = "000000000000";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Whether a request is one of STS: a form that is signed for it.
pub(super) fn is_meant(request: &Request<Body>) -> bool {
    let form = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    form && request.method() == Method::POST && signed::service(request.headers()) == Some("sts")
}

pub(super) async fn answer(request: Request<Body>, guard: Option<&Guard>) -> Result<Response<Body>, s3s::StdError> {
    let (status, document) = match called(request, guard).await {
        Err(Distrust { code, message }) => {
            (StatusCode::FORBIDDEN, refusal(code.trim_end_matches("Exception"), &message))
        }
        Ok(body) => match action(&body).as_deref() {
            Some("GetCallerIdentity") => (StatusCode::OK, identity()),
            other => {
                let asked = other.unwrap_or("no action");
                (
                    StatusCode::BAD_REQUEST,
                    refusal("InvalidAction", &format!("{asked} is not implemented by this endpoint")),
                )
            }
        },
    };
    let response = Response::builder().status(status).header(CONTENT_TYPE, "text/xml");
    Ok(response.body(Body::from(document))?)
}

fn action(form: &[u8]) -> Option<String> {
    let form = std::str::from_utf8(form).ok()?;
    let action = form.split('&').find_map(|pair| pair.strip_prefix("Action="))?;
    // What is told of it must not break the document that it is told in.
    action.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| action.to_owned())
}

fn identity() -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:root</Arn>\
         <UserId>{ACCOUNT}</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult><ResponseMetadata>\
         <RequestId>local</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )
}

fn refusal(code: &str, message: &str) -> String {
    let message = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>\
         </Error><RequestId>local</RequestId></ErrorResponse>"
    )
}
