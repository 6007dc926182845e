//! The Athena API of `stedi up`.

use crate::stack::Stack;
use emulator::JsonHandler;
use http::StatusCode;
use std::sync::Arc;
use store::BoxError;

/// What `X-Amz-Target` begins with.
const SERVICE: &str = "AmazonAthena";
/// The services that are up, for people.
pub(crate) const SERVICES: &str = if cfg!(feature = "query") { "S3, Glue and Athena" } else { "S3 and Glue" };
/// The environment that only Athena's clients need, as lines for a shell.
pub(crate) const ENVIRONMENT: &str =
    if cfg!(feature = "query") { "\nexport AWS_ATHENA_WORK_GROUP=primary" } else { "" };

/// The API, while it is served.
pub(crate) struct Served(#[cfg(feature = "query")] emulator_sql::athena::Athena);

#[cfg(feature = "query")]
impl Served {
    /// Makes the endpoint of the stack answer the clients of Athena.
    pub(crate) async fn begin(stack: &Stack) -> Result<Self, BoxError> {
        use emulator_sql::athena::{Athena, Settings};
        use emulator_sql::{Engine, Limits};

        let (catalog, store) = (stack.clients.catalog.clone(), stack.clients.store.clone());
        let protected = crate::protected::protected(stack.lake.bucket());
        let engine = Engine::new(catalog.clone(), store.clone(), Limits::default(), protected);
        let athena = Athena::new(engine, catalog, store, Settings::new(stack.lake.bucket(), emulator::REGION));
        // Deletes expired results now, not at the next request.
        athena.recover().await?;
        let answering = athena.clone();
        let handler: JsonHandler = Arc::new(move |operation, body| {
            let athena = answering.clone();
            Box::pin(async move {
                let (status, document) = athena.answer(&operation, &body).await;
                (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), document)
            })
        });
        stack.cloud.serve_json(SERVICE, handler);
        Ok(Self(athena))
    }

    /// Cancels the queries that run. Their clients read that state when the stack is up again.
    pub(crate) async fn stop(&self) {
        self.0.stop().await;
    }
}

#[cfg(not(feature = "query"))]
impl Served {
    /// Answers the clients of Athena that SQL is missing.
    pub(crate) async fn begin(stack: &Stack) -> Result<Self, BoxError> {
        let handler: JsonHandler = Arc::new(|_, _| {
            let message = crate::query::NOT_BUILT;
            let document = serde_json::json!({
                "__type": "InvalidRequestException", "message": message, "Message": message,
                "AthenaErrorCode": "INVALID_INPUT",
            });
            Box::pin(async move { (StatusCode::BAD_REQUEST, document.to_string()) })
        });
        stack.cloud.serve_json(SERVICE, handler);
        Ok(Self())
    }

    pub(crate) async fn stop(&self) {}
}
