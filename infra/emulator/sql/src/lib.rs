//! SQL over the tables registered in Glue, answered as Athena (engine version 3) would.
//!
//! Columns, location and partitions of a table come from Glue, and its files from S3. Both are reached over the wire, so
//! the same code works on AWS. The crate knows no command line, no HTTP server, no files on a disk and no application: its
//! caller names the tables that are [`Protected`].
//!
//! | module | contents |
//! |---|---|
//! | [`athena`] | the Athena API over the engine |
//! | [`engine`] | one statement from its text to its answer |
//! | [`error`] | errors with Athena's messages |
//! | [`answer`] | an answer: columns, rows, bytes read, files written |
//! | [`output`] | an answer as a readable table, CSV, JSON lines or Parquet |
//! | [`sql_type`] | Athena's types, in the spelling of Hive, Trino and Arrow |
//! | [`text`] | values in the format of Athena's CSV files |
//! | `protected` | tables and objects that statements must not change |
//! | `statement` | the parsers of both grammars, Hive's and Trino's, and the rewriting for DataFusion |
//! | `query` | a query: its tables in the catalog, its plan, its rows |
//! | `table_provider`, `partition` | DataFusion's scan of a table of the catalog |
//! | `files`, `parquet`, `json` | the files of a table, in the listed version, and their rows |
//! | `functions` | Trino's functions that DataFusion lacks |
//! | `metadata_tables`, `view` | `information_schema` and `"table$partitions"`; views |
//! | `ddl`, `write` | statements that change the catalog; statements that write files |
//! | `datafusion_error` | the translation of DataFusion's errors into Athena's |

pub mod answer;
pub mod athena;
pub mod engine;
pub mod error;
pub mod output;
pub mod sql_type;
pub mod text;

mod datafusion_error;
mod ddl;
mod files;
mod functions;
mod json;
mod metadata_tables;
mod parquet;
mod partition;
mod protected;
mod query;
mod statement;
mod table_provider;
mod view;
mod write;

pub use answer::{Answer, Column, Rows, Scanned};
pub use engine::{Context, Engine, Kind, Limits, Statement};
pub use error::{ErrorKind, SqlError};
pub use protected::Protected;
pub use sql_type::SqlType;
pub use text::text_of;
