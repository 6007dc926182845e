//! The Athena API of `stedi up`.

use crate::stack::Stack;
use http::StatusCode;
use local::JsonHandler;
use std::sync::Arc;

/// What `X-Amz-Target` begins with.
const SERVICE: &str = "AmazonAthena";

/// From now on, the stack's endpoint answers Athena's clients.
#[cfg(feature = "query")]
pub(crate) async fn serve(stack: &Stack) -> Result<(), aws::BoxError> {
    use query::athena::{Athena, Settings};
    use query::{Engine, Limits};

    let (catalog, store) = (stack.lake.data_catalog.clone(), stack.lake.store.clone());
    let engine = Engine::new(catalog.clone(), store.clone(), Limits::default());
    let athena = Athena::new(engine, catalog, store, Settings::new(stack.lake.bucket(), local::REGION));
    // Results that are too old go now, not when somebody asks next.
    athena.recover().await?;
    let handler: JsonHandler = Arc::new(move |operation, body| {
        let athena = athena.clone();
        Box::pin(async move {
            let (status, document) = athena.answer(&operation, &body).await;
            (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), document)
        })
    });
    stack.cloud.serve_json(SERVICE, handler);
    Ok(())
}

/// Athena's clients are told what is missing.
#[cfg(not(feature = "query"))]
pub(crate) async fn serve(stack: &Stack) -> Result<(), aws::BoxError> {
    let handler: JsonHandler = Arc::new(|_, _| {
        let document = serde_json::json!({
            "__type": "InvalidRequestException", "message": crate::query::NOT_BUILT,
            "Message": crate::query::NOT_BUILT, "AthenaErrorCode": "INVALID_INPUT",
        });
        Box::pin(async move { (StatusCode::BAD_REQUEST, document.to_string()) })
    });
    stack.cloud.serve_json(SERVICE, handler);
    Ok(())
}
