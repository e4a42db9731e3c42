//! The `gripwire-loadgen` program: reads the command line, carries the run out with a line that shows how it goes, and
//! writes the reports. Exit code 0 is a finished run, 1 one that failed or, with `--strict`, was not clean, 2 a command
//! line that could not be understood.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gripwire-loadgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}
