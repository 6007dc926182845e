//! SQL over the registered tables.

use crate::args::Query;
use store::BoxError;

/// What a command line without SQL says to those who ask for it.
#[cfg(not(feature = "query"))]
pub(crate) const NOT_BUILT: &str = "this `stedi` was built without SQL, which takes longer to compile than all the rest; \
                                    build it with `cargo build --release --features query`";

/// Runs `stedi query`.
#[cfg(not(feature = "query"))]
pub(crate) async fn query(_: Query) -> Result<(), BoxError> {
    Err(NOT_BUILT.into())
}

#[cfg(feature = "query")]
pub(crate) use with_sql::query;

#[cfg(feature = "query")]
mod with_sql {
    use super::{BoxError, Query};
    use crate::args::QueryFormat;
    use crate::protected::protected;
    use crate::reach::reach;
    use emulator_client::ObjectLocation;
    use emulator_sql::engine::STATEMENT_BYTES_MAX;
    use emulator_sql::output::{self, Format, OutputError};
    use emulator_sql::{Answer, Context, Engine, Limits};
    use std::fs::Permissions;
    use std::io::{self, BufWriter, ErrorKind, IsTerminal, Read, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use tempfile::NamedTempFile;
    use uuid::Uuid;

    /// Where a CREATE TABLE AS that says no location puts its files.
    const RESULTS: &str = "athena/results/";

    /// Why nothing was asked.
    #[derive(Debug, thiserror::Error)]
    enum Refused {
        #[error("Parquet is no text for a terminal; give a file with --output")]
        Terminal,
        #[error("cannot read a statement from standard input")]
        Input(#[source] io::Error),
        #[error("cannot write {0}")]
        Output(String, #[source] io::Error),
    }

    /// Runs `stedi query`.
    pub(crate) async fn query(args: Query) -> Result<(), BoxError> {
        let format = match args.format {
            QueryFormat::Table => Format::Table,
            QueryFormat::Csv => Format::Csv,
            QueryFormat::Json => Format::Json,
            QueryFormat::Parquet => Format::Parquet,
        };
        if format == Format::Parquet && args.output.is_none() && io::stdout().is_terminal() {
            return Err(Refused::Terminal.into());
        }
        let mut sql = if args.sql == "-" { from_stdin()? } else { args.sql };
        if args.explain {
            sql.insert_str(0, "EXPLAIN ");
        }
        let reached = reach(&args.at).await?;
        let (catalog, store) = (reached.clients.catalog.clone(), reached.clients.store.clone());
        let engine = Engine::new(catalog, store, Limits::default(), protected(reached.lake.bucket()));
        let statement = engine.parse(&sql, &[])?;
        let id = Uuid::new_v4().to_string();
        let output = ObjectLocation { bucket: reached.lake.bucket().to_owned(), key: format!("{RESULTS}{id}/") };
        let context = Context { catalog: "AwsDataCatalog".into(), database: args.database, output, id };
        let answer = engine.run(statement, &context).await?;
        match args.output {
            Some(file) => into_file(answer, format, &file).await,
            None => to_stdout(answer, format).await,
        }
    }

    fn from_stdin() -> Result<String, Refused> {
        let mut sql = String::new();
        // One byte more than is allowed, so that the engine says that it is too much.
        io::stdin().take(STATEMENT_BYTES_MAX as u64 + 1).read_to_string(&mut sql).map_err(Refused::Input)?;
        Ok(sql)
    }

    /// Whoever closed standard output has seen enough.
    async fn to_stdout(answer: Answer, format: Format) -> Result<(), BoxError> {
        let mut stdout = BufWriter::new(io::stdout());
        let written = output::write(answer, format, &mut stdout).await;
        match written.and_then(|_| Ok(stdout.flush()?)) {
            Err(OutputError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// The file is there when it is complete: a query that fails or is stopped leaves what was there before.
    async fn into_file(answer: Answer, format: Format, file: &Path) -> Result<(), BoxError> {
        let refused = |error| Refused::Output(file.display().to_string(), error);
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut new = NamedTempFile::new_in(folder).map_err(refused)?;
        let mut buffered = BufWriter::new(&mut new);
        output::write(answer, format, &mut buffered).await?;
        buffered.flush().map_err(refused)?;
        drop(buffered);
        // A temporary file is its owner's alone; this one is like any other.
        new.as_file().set_permissions(Permissions::from_mode(0o644)).map_err(refused)?;
        new.persist(file).map_err(|error| refused(error.error))?;
        Ok(())
    }
}
