//! SQL over the tables registered in Glue, answered as Athena (engine version 3) would.
//!
//! Tables are what the catalog says they are: columns, location and registered partitions come from Glue, files from
//! S3, both over the wire, so that the same code works on AWS. Nothing here knows the command line, HTTP, or where a
//! lake is on a disk.
//!
//! | module | knows |
//! |---|---|
//! | [`engine`] | one statement from its text to its answer |
//! | [`error`] | what went wrong, in Athena's words |
//! | [`answer`] | what comes back: columns, rows, what was read and written |
//! | [`sql_type`] | Athena's types, as Hive, Trino and Arrow spell them |
//! | [`text`] | a value as Athena writes it into CSV |

pub mod answer;
pub mod engine;
pub mod error;
pub mod sql_type;
pub mod text;

pub use answer::{Answer, Column, Rows, Scanned};
pub use engine::{Context, Engine, Kind, Limits, Statement};
pub use error::{ErrorKind, SqlError};
pub use sql_type::SqlType;
pub use text::text_of;
