//! SQL over the registered tables.

#[cfg(not(feature = "query"))]
pub(crate) use without_sql::{NOT_BUILT, is_prompt, query};

#[cfg(feature = "query")]
mod prompt;
#[cfg(feature = "query")]
mod session;
#[cfg(feature = "query")]
mod statements;

#[cfg(feature = "query")]
pub(crate) use session::{is_prompt, query};

#[cfg(not(feature = "query"))]
mod without_sql {
    use crate::args::Query;
    use store::BoxError;

    pub(crate) const NOT_BUILT: &str = "this `stedi` was built without SQL, which takes longer to compile than all the \
                                        rest; build it with `cargo build --release --features query`";

    pub(crate) async fn query(args: Query, _: bool) -> Result<(), BoxError> {
        // Wrong usage is wrong without SQL, too.
        args.format()?;
        Err(NOT_BUILT.into())
    }

    pub(crate) fn is_prompt(_: &Query) -> bool {
        false
    }
}
