//! Runs the statements of a command line, a file, standard input or the prompt.

use super::prompt;
use super::statements::{Statement, Statements};
use crate::args::{Query, QueryFormat, usage_error};
use crate::protected::protected;
use crate::reader::LakeReader;
use crate::report::grouped;
use crate::terminal::{Screen, columns, finished, message};
use emulator_client::ObjectLocation;
use emulator_sql::output::{self, Format, OutputError};
use emulator_sql::{Answer, Context, Engine, Limits};
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use store::BoxError;
use tempfile::Builder;
use uuid::Uuid;

/// Where a CREATE TABLE AS without a location writes its files.
const RESULTS: &str = "athena/results/";
/// The longest script.
const SCRIPT_BYTES_MAX: u64 = 16 << 20;

/// Why a query could not begin, or its result could not be written.
#[derive(Debug, thiserror::Error)]
enum QueryError {
    #[error("cannot read {0}")]
    Input(String, #[source] io::Error),
    #[error("{0} has more than {SCRIPT_BYTES_MAX} bytes; split it")]
    TooLong(String),
    #[error("no statement in {0}")]
    NoStatement(String),
    #[error("cannot write {0}")]
    Output(String, #[source] io::Error),
    #[error("an argument takes one statement; several statements: -f FILE or standard input")]
    Several(#[source] BoxError),
    #[error("statement {number}, which begins in line {line}")]
    Statement { number: usize, line: usize, source: BoxError },
}

/// Returns whether the statements come from a prompt.
pub(crate) fn is_prompt(args: &Query) -> bool {
    args.sql.is_none() && args.file.is_none() && io::stdin().is_terminal()
}

/// Runs `stedi query`.
pub(crate) async fn query(args: Query, quiet: bool) -> Result<(), BoxError> {
    let format = args.format()?;
    if format == QueryFormat::Parquet && args.output.is_none() && io::stdout().is_terminal() {
        return Err(usage_error("a terminal cannot show Parquet; give a file with --output"));
    }
    if is_prompt(&args) {
        if args.output.is_some() {
            return Err(usage_error("--output needs a statement; a prompt shows its results"));
        }
        return prompt::run(&Session::open(&args, quiet).await?).await;
    }
    if let Some(sql) = args.sql.as_deref().filter(|sql| *sql != "-") {
        // Athena takes one statement, and so does an argument.
        let answered = Session::open(&args, quiet).await?.run(sql).await;
        return match answered {
            Err(error) if Statements::split(sql).all().len() > 1 => Err(QueryError::Several(error).into()),
            answered => answered.map(|_| ()),
        };
    }
    let (name, text) = read_script(args.file.as_deref())?;
    let statements = Statements::split(&text).all();
    match statements.len() {
        0 => return Err(QueryError::NoStatement(name).into()),
        1 => {}
        _ if args.output.is_some() || format == QueryFormat::Parquet => {
            return Err(usage_error(format!("one output takes the rows of one statement, but {name} has several")));
        }
        _ => {}
    }
    Session::open(&args, quiet).await?.run_all(&statements).await
}

/// Reads a file, or standard input; returns its name, too.
fn read_script(file: Option<&Path>) -> Result<(String, String), QueryError> {
    let file = file.filter(|file| *file != Path::new("-"));
    let name = file.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
    let failed = |error| QueryError::Input(name.clone(), error);
    let input: Box<dyn Read> = match file {
        Some(file) => Box::new(File::open(file).map_err(failed)?),
        None => Box::new(io::stdin()),
    };
    let mut text = String::new();
    input.take(SCRIPT_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > SCRIPT_BYTES_MAX { Err(QueryError::TooLong(name)) } else { Ok((name, text)) }
}

/// Whether the reader of standard output takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Open,
    Closed,
}

/// An engine over a lake, and how its answers are written.
pub(super) struct Session {
    engine: Engine,
    database: String,
    explain: bool,
    format: Format,
    output: Option<PathBuf>,
    pub(super) quiet: bool,
    reader: LakeReader,
}

impl Session {
    async fn open(args: &Query, quiet: bool) -> Result<Self, BoxError> {
        let reader = LakeReader::open(&args.lake, "stedi query").await?;
        let (catalog, store) = (reader.clients.catalog.clone(), reader.clients.store.clone());
        let format = match args.format()? {
            QueryFormat::Table => Format::Table,
            QueryFormat::Csv => Format::Csv,
            QueryFormat::Json => Format::Json,
            QueryFormat::Parquet => Format::Parquet,
        };
        Ok(Self {
            engine: Engine::new(catalog, store, Limits::default(), protected(reader.lake.bucket())),
            database: args.database.clone(),
            explain: args.explain,
            format,
            output: args.output.clone(),
            quiet,
            reader,
        })
    }

    /// Runs statements up to the first that fails.
    async fn run_all(&self, statements: &[Statement<'_>]) -> Result<(), BoxError> {
        for (i, Statement { sql, line }) in statements.iter().enumerate() {
            let result = self.run(sql).await;
            let reader = match result {
                Err(source) if statements.len() > 1 => {
                    return Err(QueryError::Statement { number: i + 1, line: *line, source }.into());
                }
                result => result?,
            };
            if reader == Reader::Closed {
                break;
            }
        }
        Ok(())
    }

    /// Runs one statement and writes its answer.
    pub(super) async fn run(&self, sql: &str) -> Result<Reader, BoxError> {
        let explain = if self.explain { "EXPLAIN " } else { "" };
        let statement = self.engine.parse(&format!("{explain}{sql}"), &[])?;
        let id = Uuid::new_v4().to_string();
        let output = ObjectLocation { bucket: self.reader.lake.bucket().to_owned(), key: format!("{RESULTS}{id}/") };
        let context = Context { catalog: "AwsDataCatalog".into(), database: self.database.clone(), output, id };
        let answer = self.engine.run(statement, &context).await?;
        match &self.output {
            Some(file) => {
                let rows = write_file(answer, self.format, file).await?;
                if !self.quiet {
                    let unit = if rows == 1 { "row" } else { "rows" };
                    let format = format!("{:?}", self.format).to_lowercase();
                    message(&format!("wrote {} {unit} as {format} to {}", grouped(rows), file.display()));
                }
                Ok(Reader::Open)
            }
            None => write_stdout(answer, self.format).await,
        }
    }
}

async fn write_stdout(answer: Answer, format: Format) -> Result<Reader, BoxError> {
    let columns = if format == Format::Table { columns() } else { None };
    let mut screen = Screen::new(BufWriter::new(io::stdout()), columns);
    let error = match output::write(answer, format, &mut screen).await {
        Ok(_) => screen.finish().err(),
        Err(OutputError::Io(error)) => Some(error),
        Err(error) => return Err(error.into()),
    };
    match error {
        None => Ok(Reader::Open),
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Closed),
        Some(error) => finished(Err(error)).map(|()| Reader::Open),
    }
}

/// Replaces the file when the answer is complete: a query that fails or is stopped leaves the file as it was. Returns the
/// number of rows.
async fn write_file(answer: Answer, format: Format, file: &Path) -> Result<u64, BoxError> {
    let failed = |error| QueryError::Output(file.display().to_string(), error);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A device or a pipe, such as /dev/stdout, is written and not replaced.
    let is_device = fs::metadata(file).is_ok_and(|about| !about.is_file());
    let mut options = File::options();
    options.write(true).create_new(!is_device);
    // Opened and written without `NamedTempFile`, whose errors name the temporary file.
    let opened = |path: &Path| options.open(path);
    let new = (!is_device).then(|| Builder::new().make_in(folder, opened)).transpose().map_err(failed)?;
    let mut buffered = BufWriter::new(match &new {
        Some(new) => new.as_file().try_clone().map_err(failed)?,
        None => opened(file).map_err(failed)?,
    });
    let rows = match output::write(answer, format, &mut buffered).await {
        Err(OutputError::Io(error)) => return Err(failed(error).into()),
        rows => rows?,
    };
    buffered.flush().map_err(failed)?;
    if let Some(new) = new {
        new.persist(file).map_err(|error| failed(error.error))?;
    }
    Ok(rows)
}
