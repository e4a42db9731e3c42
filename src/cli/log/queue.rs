//! The queue of log lines from the cores to the thread that writes them: a buffer with a limit in bytes. A core copies its
//! line into the buffer and goes on. If standard error is blocked and the buffer is full, the line is lost and
//! counted.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Most bytes that wait for the thread.
const WAITING_BYTES: usize = 4 * 1024 * 1024;
/// Interval at which the thread asks for the lines about left-out lines.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time that the end of the process waits for the thread to write the last lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Lines that wait to be written.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    lost: u64,
    ends: bool,
    ended: bool,
}

/// The thread that writes. Dropping it waits up to [`LAST_WORDS`] for the thread to write the waiting lines.
pub(super) struct Thread(Arc<Queue>);

impl Queue {
    /// Starts the thread. It calls `more` for further lines every [`LOOK_EVERY`].
    pub fn write_to(
        self: Arc<Queue>,
        to: impl Write + Send + 'static,
        more: impl Fn() -> String + Send + 'static,
    ) -> Thread {
        let queue = self.clone();
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || queue.run(to, more));
        if let Err(error) = started {
            self.lock().ended = true;
            eprintln!("nothing will be logged, because the log's thread cannot be started: {error}");
        }
        Thread(self)
    }

    fn run(&self, mut to: impl Write, more: impl Fn() -> String) {
        let mut looked = Instant::now();
        loop {
            let (mut lines, ends) = self.take();
            if looked.elapsed() >= LOOK_EVERY || ends {
                looked = Instant::now();
                lines.extend_from_slice(more().as_bytes());
            }
            // If standard error is closed, no log is wanted.
            let _ = to.write_all(&lines).and_then(|()| to.flush());
            let mut state = self.lock();
            if ends && state.waiting.is_empty() {
                state.ended = true;
                self.changed.notify_all();
                return;
            }
            if state.waiting.is_empty() && !state.ends {
                let waited = self.changed.wait_timeout(state, LOOK_EVERY);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Takes the waiting lines. The flag says whether the process ends.
    pub fn take(&self) -> (Vec<u8>, bool) {
        let mut state = self.lock();
        let mut lines = std::mem::take(&mut state.waiting);
        let lost = std::mem::take(&mut state.lost);
        if lost > 0 {
            let line = format!("WARN {lost} lines of the log are lost, because standard error was blocked\n");
            lines.extend_from_slice(line.as_bytes());
        }
        (lines, state.ends)
    }

    fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.waiting.len() + line.len() > WAITING_BYTES {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        if state.waiting.len() == line.len() {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ends = true;
        self.0.changed.notify_all();
        let waits = |state: &mut State| !state.ended;
        let ended = self.0.changed.wait_timeout_while(state, LAST_WORDS, waits);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Each write is a whole line, or several.
impl Write for &Queue {
    fn write(&mut self, lines: &[u8]) -> std::io::Result<usize> {
        self.add(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A writer that blocks until it is released.
    struct Slow {
        go: mpsc::Receiver<()>,
        taken: mpsc::Sender<usize>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.go.recv();
            let _ = self.taken.send(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_beyond_the_bound_are_lost_and_counted() {
        let (queue, line) = (Queue::default(), [b'x'; 1024]);
        for _ in 0..WAITING_BYTES / line.len() + 7 {
            queue.add(&line);
        }
        let (lines, _) = queue.take();
        assert!(lines.len() <= WAITING_BYTES + 200);
        let text = String::from_utf8_lossy(&lines[WAITING_BYTES..]);
        assert!(text.contains("7 lines of the log are lost"), "{text}");
        queue.add(b"again");
        assert_eq!(queue.take().0, b"again");
    }

    #[test]
    fn what_waits_is_written_before_the_end() {
        let (queue, (go, blocked)) = (Arc::<Queue>::default(), mpsc::channel());
        let (taken, lengths) = mpsc::channel();
        let thread = queue.clone().write_to(Slow { go: blocked, taken }, || "more".to_owned());
        queue.add(b"first");
        queue.add(b"second");
        drop(go);
        drop(thread);
        assert_eq!(lengths.iter().sum::<usize>(), "firstsecondmore".len());
    }
}
