//! SQL over the registered tables.
