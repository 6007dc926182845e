//! SQL over the registered tables.

use crate::args::Query;
use aws::BoxError;

/// Runs `stedi query`.
#[cfg(not(feature = "query"))]
pub(crate) async fn query(_: Query) -> Result<(), BoxError> {
    Err(NOT_BUILT.into())
}

/// What a command line without SQL says.
#[cfg(not(feature = "query"))]
pub(crate) const NOT_BUILT: &str = "this `stedi` was built without SQL, which takes longer to compile than all the rest; build it with \
                         `cargo build --release --features query`";

#[cfg(feature = "query")]
pub(crate) use with_sql::query;

#[cfg(feature = "query")]
mod with_sql {
    use super::*;
    use crate::args::QueryFormat;
    use crate::reach::reach;
    use query::output::{self, Format};
    use query::{Context, Engine, Limits};
    use std::fs::File;
    use std::io::{self, BufWriter, IsTerminal, Read, Write};
}
