//! Does one piece of work a number of times, for a tool that counts instructions.

use benchmarks::{Sample, Work};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let times = args.next().and_then(|times| times.parse::<u32>().ok()).unwrap_or(1);
    let names = Work::ALL.map(Work::name).join(", ");
    let Some(work) = Work::ALL.into_iter().find(|work| work.name() == name) else {
        return fail(&format!("expected a piece of work and a number of times; the pieces are {names}"));
    };
    match Sample::new().and_then(|sample| (0..times).try_for_each(|_| sample.work(work).map(drop))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

#[expect(clippy::print_stderr, reason = "this is a command")]
fn fail(why: &str) -> ExitCode {
    eprintln!("benchmarks: {why}");
    ExitCode::FAILURE
}
