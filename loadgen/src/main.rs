//! The `gripwire-loadgen` program: reads the command line, executes the run while it shows the progress on one line, and
//! writes the reports. The exit code is 0 for a finished run, 1 for a run that failed or, with `--strict`, was not clean,
//! and 2 for a wrong command line.

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
