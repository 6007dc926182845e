//! Standard output and standard error: lines cut to a terminal's width, and no harm from a reader that leaves.

use std::io::{self, ErrorKind, IsTerminal, Write};
use store::BoxError;
use terminal_size::{Width, terminal_size_of};
use unicode_width::UnicodeWidthChar;

/// Returns the columns of the terminal on standard output; none if it is a file or a pipe.
pub(crate) fn columns() -> Option<usize> {
    let stdout = io::stdout();
    let size = if stdout.is_terminal() { terminal_size_of(stdout) } else { None };
    size.map(|(Width(columns), _)| columns.into())
}

/// Prints whole lines to standard output.
pub(crate) fn print(text: &str) -> Result<(), BoxError> {
    print_on(text, None)
}

/// Prints bytes as they are to standard output.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), BoxError> {
    finished(io::stdout().write_all(bytes))
}

/// Prints a table to standard output, cut if that is a terminal.
pub(crate) fn print_table(text: &str) -> Result<(), BoxError> {
    print_on(text, columns())
}

fn print_on(text: &str, columns: Option<usize>) -> Result<(), BoxError> {
    let mut screen = Screen::new(io::stdout(), columns);
    finished(writeln!(screen, "{text}").and_then(|()| screen.finish()))
}

/// A reader that closed standard output has seen enough; any other failure is an error.
pub(crate) fn finished(written: io::Result<()>) -> Result<(), BoxError> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}").into())
        }
        _ => Ok(()),
    }
}

/// Writes a message to standard error, which may be closed.
pub(crate) fn message(text: &str) {
    let _ = writeln!(io::stderr(), "stedi: {text}");
}

/// Writes a message behind the `^C` that a terminal shows.
pub(crate) fn message_on_new_line(text: &str) {
    let _ = writeln!(io::stderr());
    message(text);
}

/// Standard error for logs. It drops what cannot be written: the logger would panic, and end the task that logs.
pub(crate) struct Log(io::Stderr);

impl Log {
    pub(crate) fn new() -> Self {
        Self(io::stderr())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// A writer that cuts lines to the width of a terminal and says so at the end. Elsewhere it writes all as it is.
pub(crate) struct Screen<W> {
    out: W,
    columns: Option<usize>,
    line: Vec<u8>,
    has_cut: bool,
}

impl<W: Write> Screen<W> {
    /// A screen of so many columns; with none, lines are not cut.
    pub(crate) fn new(out: W, columns: Option<usize>) -> Self {
        Self { out, columns, line: Vec::new(), has_cut: false }
    }

    /// Writes what is left, and a note if a line was cut.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            self.write_line()?;
        }
        if let (true, Some(columns)) = (self.has_cut, self.columns) {
            writeln!(self.out, "(cut to {columns} columns; a file or a pipe gets whole lines)")?;
        }
        self.out.flush()
    }

    fn write_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        match self.columns.and_then(|columns| cut(&line, columns)) {
            Some(cut) => {
                self.has_cut = true;
                writeln!(self.out, "{cut}")
            }
            None => writeln!(self.out, "{line}"),
        }
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.columns.is_none() {
            return self.out.write(bytes);
        }
        let mut lines = bytes.split(|byte| *byte == b'\n');
        self.line.extend_from_slice(lines.next().unwrap_or_default());
        for line in lines {
            self.write_line()?;
            self.line.extend_from_slice(line);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns the beginning of a line that takes more columns than there are.
fn cut(line: &str, columns: usize) -> Option<String> {
    let (mut used, mut end) = (0, 0);
    for (i, c) in line.char_indices() {
        used += c.width().unwrap_or_default();
        if used > columns {
            return Some(format!("{}…", &line[..end]));
        }
        // One column stays for the sign that the line was cut.
        if used < columns {
            end = i + c.len_utf8();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;

    fn shown(text: &str, columns: Option<usize>) -> String {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, columns);
        // In pieces, as a buffered writer writes.
        text.as_bytes().chunks(3).for_each(|piece| screen.write_all(piece).unwrap());
        screen.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn long_lines_are_cut_with_one_note() {
        let note = "(cut to 5 columns; a file or a pipe gets whole lines)\n";
        assert_eq!(shown("abcde\nabcdef\nab\nabcdefgh\n", Some(5)), format!("abcde\nabcd…\nab\nabcd…\n{note}"));
        assert_eq!(shown("abcde\n\nab", Some(5)), "abcde\n\nab\n");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(cut("表表表", 5).as_deref(), Some("表表…"));
        assert_eq!(cut("表表表", 6), None);
        assert_eq!(cut("a表表", 4).as_deref(), Some("a表…"));
    }

    #[test]
    fn nothing_is_cut_elsewhere() {
        let text = "x".repeat(500) + "\ny";
        assert_eq!(shown(&text, None), text);
    }
}
