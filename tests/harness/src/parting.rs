//! What is to be cleared away when the test process ends: programs that still run, and directories.
//!
//! Statics of a test binary are never dropped, so their owners note here what a handler at the exit of the process is
//! to end and remove. If the process is killed instead, the kernel ends the programs (see [`crate::process`]).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once};
use std::time::{Duration, Instant};

/// How a program is made to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// At once.
    Kill,
    /// By SIGTERM, because it has programs of its own that only it can end.
    Terminate,
}

impl Parting {
    pub(crate) fn signal(self) -> i32 {
        match self {
            Parting::Kill => libc::SIGKILL,
            Parting::Terminate => libc::SIGTERM,
        }
    }
}

/// How long a program may take to end before it is killed.
pub(crate) const PARTING_TIME: Duration = Duration::from_secs(5);

/// Notes a child of this process.
pub(crate) fn note_child(pid: i32, parting: Parting) {
    left().children.push((pid, parting));
}

/// A child has been waited for, or is about to be: its id may be another's afterwards.
pub(crate) fn forget_child(pid: i32) {
    left().children.retain(|(known, _)| *known != pid);
}

/// Notes a directory.
pub(crate) fn note_directory(path: &Path) {
    left().directories.push(path.to_owned());
}

/// Whether tests are asked to keep what they wrote.
pub(crate) fn keeps_files() -> bool {
    std::env::var_os("GRIPWIRE_TEST_KEEP").is_some()
}

/// Removes a directory, unless it is to be kept.
pub(crate) fn remove_directory(path: &Path) {
    left().directories.retain(|known| known != path);
    if !keeps_files() {
        let _ = std::fs::remove_dir_all(path);
    }
}

/// Sends a signal to a child that has not been waited for.
pub(crate) fn send(pid: i32, signal: i32) -> std::io::Result<()> {
    // SAFETY: a bare system call, without memory of this process.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[derive(Default)]
struct Left {
    children: Vec<(i32, Parting)>,
    directories: Vec<PathBuf>,
}

fn left() -> MutexGuard<'static, Left> {
    static ONCE: Once = Once::new();
    static LEFT: Mutex<Left> = Mutex::new(Left { children: Vec::new(), directories: Vec::new() });
    ONCE.call_once(|| {
        // SAFETY: `clear_away` is an extern "C" function without arguments that does not unwind.
        unsafe { libc::atexit(clear_away) };
    });
    LEFT.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

extern "C" fn clear_away() {
    let Left { children, directories } = std::mem::take(&mut *left());
    for (pid, parting) in &children {
        let _ = send(*pid, parting.signal());
    }
    children.iter().for_each(|(pid, _)| await_end(*pid));
    directories.iter().for_each(|path| remove_directory(path));
}

fn await_end(pid: i32) {
    let deadline = Instant::now() + PARTING_TIME;
    // SAFETY: waitpid(2) on a child of this process, without asking for its status.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) } == 0 {
        if Instant::now() > deadline {
            let _ = send(pid, libc::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(10)); // Between looks: a handler at exit must not block for ever.
    }
}
