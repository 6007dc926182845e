//! SQL over the tables registered in Glue, answered as Athena (engine version 3) would.
//!
//! Tables are what the catalog says they are: columns, location and registered partitions come from Glue, files from
//! S3, both over the wire, so that the same code works on AWS. Nothing here knows the command line, HTTP, or where a
//! lake is on a disk.
//!
//! | module | knows |
//! |---|---|
//! | [`athena`] | the Athena API over the engine |
//! | [`engine`] | one statement from its text to its answer |
//! | [`error`] | what went wrong, in Athena's words |
//! | [`answer`] | what comes back: columns, rows, what was read and written |
//! | [`output`] | an answer as a readable table, CSV, JSON lines or Parquet |
//! | [`sql_type`] | Athena's types, as Hive, Trino and Arrow spell them |
//! | [`text`] | a value as Athena writes it into CSV |
//! | `statement` | the two grammars, Hive's and Trino's, and what of Trino's has another name in DataFusion |
//! | `query` | a query's tables, found in the catalog; its plan; its rows |
//! | `registered`, `partition` | a table of the catalog as DataFusion scans it |
//! | `files`, `parquet`, `json` | a table's files, in the version that was listed, and what is in them |
//! | `functions` | functions of Trino's that DataFusion has not |
//! | `telling`, `view` | `information_schema` and hidden tables; views |
//! | `ddl`, `write` | what changes the catalog, what writes files |
//! | `failure` | DataFusion's errors in Athena's words |

pub mod answer;
pub mod athena;
pub mod engine;
pub mod error;
pub mod output;
pub mod sql_type;
pub mod text;

mod ddl;
mod failure;
mod files;
mod functions;
mod json;
mod parquet;
mod partition;
mod protected;
mod query;
mod registered;
mod statement;
mod telling;
mod view;
mod write;

pub use answer::{Answer, Column, Rows, Scanned};
pub use engine::{Context, Engine, Kind, Limits, Statement};
pub use error::{ErrorKind, SqlError};
pub use protected::Protected;
pub use sql_type::SqlType;
pub use text::text_of;
