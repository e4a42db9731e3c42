//! Programs of others, run line by line and ended with the test, if this machine has them.

use crate::deadline::patience;
use crate::parting::Parting;
use crate::process;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A program that is running.
pub struct Program {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Program {
    /// Starts it. What it says on stderr goes to that of the tests.
    pub fn start(command: &Command) -> Program {
        let stdio = [Stdio::piped(), Stdio::piped(), Stdio::inherit()];
        let child = process::spawn(command, stdio, Vec::new(), Parting::Kill);
        let mut child = child.unwrap_or_else(|error| panic!("{error}"));
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (line, lines) = channel();
        std::thread::spawn(move || {
            let read = BufReader::new(output).lines().map_while(Result::ok);
            read.take_while(|text| line.send(text.clone()).is_ok()).for_each(drop);
        });
        Program { child, input, lines }
    }

    /// The next line of its output.
    pub fn line(&mut self) -> String {
        self.lines.recv_timeout(patience()).unwrap_or_else(|_| panic!("no line from {:?}", self.child))
    }

    /// Writes a line to its input.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        process::end(&mut self.child, Parting::Kill);
    }
}

/// The program called `name`, as an absolute path or found in PATH; without it the test is skipped, or fails where
/// clients are required. `remedy` says how to get it.
pub fn find(name: impl AsRef<Path>, remedy: &str) -> Option<PathBuf> {
    let name = name.as_ref();
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.exists());
    if found.is_none() {
        let required = std::env::var("GRIPWIRE_TEST_CLIENTS").is_ok_and(|value| value == "required");
        assert!(!required, "{} is missing: {remedy}", name.display());
        eprintln!("skipped: {} is missing: {remedy}", name.display());
    }
    found
}
