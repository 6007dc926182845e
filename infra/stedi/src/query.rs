//! SQL over the registered tables.

use crate::args::Query;
use aws::BoxError;

/// Runs `stedi query`.
pub(crate) async fn query(_: Query) -> Result<(), BoxError> {
    Err("not there yet".into())
}
