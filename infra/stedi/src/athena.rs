//! The Athena API of `stedi up`.

use crate::stack::Stack;
use emulator::JsonHandler;
use http::StatusCode;
use std::sync::Arc;

/// What `X-Amz-Target` begins with.
const SERVICE: &str = "AmazonAthena";

#[cfg(feature = "query")]
pub(crate) use with_sql::Served;
#[cfg(not(feature = "query"))]
pub(crate) use without_sql::Served;

#[cfg(feature = "query")]
mod with_sql {
    use super::{Arc, JsonHandler, SERVICE, Stack, StatusCode};
    use crate::protected::protected;
    use emulator_sql::athena::{Athena, Settings};
    use emulator_sql::{Engine, Limits};

    /// The API, while it is served.
    pub(crate) struct Served(Athena);

    impl Served {
        /// The services that are up, for people.
        pub(crate) const SERVICES: &str = "S3, Glue and Athena";
        /// The environment that only its clients need, as lines for a shell.
        pub(crate) const ENVIRONMENT: &str = "\nexport AWS_ATHENA_WORK_GROUP=primary";

        /// Makes the endpoint of the stack answer the clients of Athena.
        pub(crate) async fn begin(stack: &Stack) -> Result<Self, store::BoxError> {
            let (catalog, store) = (stack.clients.catalog.clone(), stack.clients.store.clone());
            let protected = protected(stack.lake.bucket());
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
}

#[cfg(not(feature = "query"))]
mod without_sql {
    use super::{Arc, JsonHandler, SERVICE, Stack, StatusCode};
    use crate::query::NOT_BUILT;

    /// Answers the clients of Athena that SQL is missing.
    pub(crate) struct Served;

    impl Served {
        pub(crate) const SERVICES: &str = "S3 and Glue";
        pub(crate) const ENVIRONMENT: &str = "";

        pub(crate) async fn begin(stack: &Stack) -> Result<Self, store::BoxError> {
            let handler: JsonHandler = Arc::new(|_, _| {
                let document = serde_json::json!({
                    "__type": "InvalidRequestException", "message": NOT_BUILT, "Message": NOT_BUILT,
                    "AthenaErrorCode": "INVALID_INPUT",
                });
                Box::pin(async move { (StatusCode::BAD_REQUEST, document.to_string()) })
            });
            stack.cloud.serve_json(SERVICE, handler);
            Ok(Self)
        }

        pub(crate) async fn stop(&self) {}
    }
}
