//! The Athena API over a lake in a temporary folder: what clients call, without HTTP.

mod api;
mod executions;
mod groups;
mod results;
