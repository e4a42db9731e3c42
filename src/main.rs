//! The `gripwire` program: runs the command line and turns its outcome into an exit code. 0 is success, 1 a failure
//! that was explained on standard error, 2 a command line that could not be understood.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

use anyhow::Error;

fn main() -> ExitCode {
    match cli::run().map_err(Error::new) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gripwire: {error:#}");
            ExitCode::FAILURE
        }
    }
}
