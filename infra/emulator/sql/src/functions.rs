//! The functions of Trino's that DataFusion has not.

mod json_path;
mod pattern;
mod scalar;
mod times;

use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::ScalarUDF;

/// Makes them known.
pub(crate) fn register(session: &SessionContext) {
    for function in scalar::all() {
        session.register_udf(ScalarUDF::new_from_impl(function));
    }
}
