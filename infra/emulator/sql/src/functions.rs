//! Trino's functions that DataFusion lacks.

mod json_path;
mod scalar;
mod times;

use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::ScalarUDF;

/// Registers the functions in a session.
pub(crate) fn register(session: &SessionContext) {
    for function in scalar::all() {
        session.register_udf(ScalarUDF::new_from_impl(function));
    }
}
