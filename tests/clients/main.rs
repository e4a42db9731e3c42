//! Real clients: a browser, curl, and the libraries with which applications speak GRIP. The script `install` installs the
//! libraries. If a program or library is missing, its test prints one line and is skipped, unless
//! `GRIPWIRE_TEST_CLIENTS=required` is set.

mod autobahn;
mod browser;
mod curl;
mod frameworks;
mod libraries;
mod restart;
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
