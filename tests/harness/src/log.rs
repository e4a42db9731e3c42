//! What a program under test writes to its outputs, kept line by line while it runs.

use crate::deadline::patience;
use crate::parting;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

/// The log of a program, which any thread may wait on.
#[derive(Clone, Default)]
pub struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    /// The last lines, and how many came before them.
    kept: VecDeque<String>,
    dropped: usize,
    /// How many lines [`Log::await_next`] has passed.
    passed: usize,
    has_ended: bool,
}

impl Log {
    /// Reads `output` on a thread of its own until it ends, and copies it to a file where tests are asked to keep what
    /// they wrote. There is none otherwise, as the directory may be one that the program watches.
    pub fn read(output: PipeReader, copy: &Path) -> Log {
        let create = || File::create(copy).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
        let mut file = parting::keeps_files().then(create);
        let log = Log::default();
        let writer = log.clone();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                if let Some(file) = &mut file {
                    file.write_all(&line).expect("the copy of a log");
                }
                writer.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
            writer.lines().has_ended = true;
            writer.0.changed.notify_all();
        });
        log
    }

    /// Waits for a line with `text`, behind the one that the last call found. So calls in a row assert an order.
    pub fn await_next(&self, text: &str) -> String {
        self.wait(&format!("a line with {text:?}"), |lines| {
            let skipped = lines.passed.saturating_sub(lines.dropped);
            let found = lines.kept.iter().skip(skipped).position(|line| line.contains(text))?;
            lines.passed = lines.dropped + skipped + found + 1;
            Some(lines.kept[skipped + found].clone())
        })
    }

    /// Waits for a line that has all of `words`, wherever it is.
    pub fn await_words(&self, words: &[&str]) -> String {
        let has_all = |line: &&String| words.iter().all(|word| line.contains(word));
        self.wait(&format!("a line with {words:?}"), |lines| lines.kept.iter().find(has_all).cloned())
    }

    /// Whether a line so far has `text`.
    pub fn has(&self, text: &str) -> bool {
        self.lines().kept.iter().any(|line| line.contains(text))
    }

    /// Waits until the program and those that it started have written everything.
    pub fn await_end(&self) {
        let lines = self.lines();
        let ended = self.0.changed.wait_timeout_while(lines, patience(), |lines| !lines.has_ended);
        assert!(ended.expect("no panic of a reader").0.has_ended, "the log does not end");
    }

    /// The last lines, for the message of a failure.
    pub fn tail(&self) -> String {
        self.last_lines(|_| true)
    }

    /// The last warnings and errors, for the message of a failure.
    pub fn warnings(&self) -> String {
        self.last_lines(|line| line.contains("WARN") || line.contains("ERR"))
    }

    fn last_lines(&self, is_wanted: impl Fn(&String) -> bool) -> String {
        let lines = self.lines();
        let mut last: Vec<&String> =
            lines.kept.iter().rev().filter(|line| is_wanted(line)).take(TAIL_LINES).collect();
        last.reverse();
        last.into_iter().map(|line| format!("    {line}\n")).collect()
    }

    fn wait<T>(&self, what: &str, mut look: impl FnMut(&mut Lines) -> Option<T>) -> T {
        let deadline = Instant::now() + patience();
        let mut lines = self.lines();
        loop {
            if let Some(found) = look(&mut lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.has_ended {
                drop(lines);
                panic!("there is not {what} in the log, which ends:\n{}", self.tail());
            }
            lines = self.0.changed.wait_timeout(lines, left).expect("no panic of a reader").0;
        }
    }

    fn push(&self, line: String) {
        let mut lines = self.lines();
        if lines.kept.len() == KEPT_LINES {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
        lines.kept.push_back(line);
        self.0.changed.notify_all();
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().expect("no panic of a reader")
    }
}

/// A log of every request of a long test must not fill the memory.
const KEPT_LINES: usize = 100_000;
const TAIL_LINES: usize = 20;
