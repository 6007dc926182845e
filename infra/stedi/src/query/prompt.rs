//! The prompt of `stedi query` on a terminal.

use super::session::{Reader, Session};
use super::statements::Statements;
use crate::terminal::{message, message_on_new_line, print};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Editor, Helper};
use std::path::PathBuf;
use store::BoxError;

const PROMPT: &str = "stedi> ";
const WELCOME: &str = "\
A statement ends with `;` and may have many lines. Ctrl-C clears it, Ctrl-D ends.
Try: SHOW TABLES; or help";
const HELP: &str = "\
SHOW TABLES;                the tables, DESCRIBE customer_trusted; their columns
SELECT ... ;                a query, in the dialect of Athena
EXPLAIN SELECT ... ;        its plan and the objects that it would read
Ctrl-C                      clears the input, or stops the statement that runs
Up, Down, Ctrl-R            earlier statements
exit, quit, Ctrl-D          end the prompt
help, \\?                    show this text";
/// Statements that are kept for the next prompt.
const HISTORY_MAX: usize = 1_000;

/// Reads statements and shows their answers, until Ctrl-D.
pub(super) async fn run(session: &Session) -> Result<(), BoxError> {
    let config = Config::builder().max_history_size(HISTORY_MAX)?.history_ignore_dups(true)?.build();
    let mut editor = Editor::<UntilSemicolon, FileHistory>::with_config(config)?;
    editor.set_helper(Some(UntilSemicolon));
    let history = history_file();
    if let Some(file) = &history {
        // A missing history is an empty one.
        let _ = editor.load_history(file);
    }
    if !session.quiet {
        print(WELCOME)?;
    }
    loop {
        // It blocks the main thread, which runs nothing but this future.
        let text = match editor.readline(PROMPT) {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        match word(&text).as_deref() {
            Some("exit" | "quit") => break,
            Some(_) => {
                print(HELP)?;
                continue;
            }
            None => {}
        }
        if !text.trim().is_empty() {
            editor.add_history_entry(text.trim())?;
        }
        if answer(session, &text).await == Reader::Closed {
            break;
        }
    }
    if let Some(file) = &history
        && let Err(error) = save(&mut editor, file)
    {
        message(&format!("cannot save the history in {}: {error}", file.display()));
    }
    Ok(())
}

/// Runs the statements of an input, up to one that fails or is interrupted.
async fn answer(session: &Session, text: &str) -> Reader {
    for statement in Statements::split(text).all() {
        let result = tokio::select! {
            result = session.run(statement.sql) => result,
            _ = tokio::signal::ctrl_c() => {
                message_on_new_line("interrupted");
                return Reader::Open;
            }
        };
        match result {
            Ok(Reader::Open) => {}
            Ok(Reader::Closed) => return Reader::Closed,
            Err(error) => {
                message(&store::with_causes(error.as_ref()));
                return Reader::Open;
            }
        }
    }
    Reader::Open
}

/// Returns the input if it is a word for the prompt itself, in lower case and without `;`.
fn word(text: &str) -> Option<String> {
    let word = text.trim().trim_end_matches(';').to_ascii_lowercase();
    matches!(word.as_str(), "exit" | "quit" | "help" | "\\?").then_some(word)
}

/// Returns the file of the history, as the XDG base directory specification has it.
fn history_file() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("stedi").join("history"))
}

fn save(editor: &mut Editor<UntilSemicolon, FileHistory>, file: &std::path::Path) -> rustyline::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    editor.save_history(file)
}

/// Lets an input go on until its last statement ends with `;`.
struct UntilSemicolon;

impl Validator for UntilSemicolon {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        Ok(match Statements::split(text).last {
            Some(_) if word(text).is_none() => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}

impl Helper for UntilSemicolon {}
impl Highlighter for UntilSemicolon {}

impl Completer for UntilSemicolon {
    type Candidate = String;
}

impl Hinter for UntilSemicolon {
    type Hint = String;
}
