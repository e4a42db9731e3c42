//! Real clients: a browser, curl, and the libraries with which applications speak GRIP. `install` gets the libraries;
//! what is missing is said in one line and skipped, unless `GRIPWIRE_TEST_CLIENTS=required`.

mod autobahn;
mod browser;
mod curl;
mod frameworks;
mod libraries;
mod sockjs;

use gripwire_harness::program::Program;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of these tests.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Starts a program in that folder.
fn run(command: &mut Command) -> Program {
    Program::start(command.current_dir(folder()))
}
