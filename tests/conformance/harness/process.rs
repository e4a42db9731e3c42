//! Child processes that cannot outlive the tests.
//!
//! Every child has a parting signal. Cargo's harness leaves statics undropped, so a handler at the exit of the test
//! process sends the signals, awaits the children's ends and removes the directories. If the test process itself is
//! killed, the kernel sends the signals (PR_SET_PDEATHSIG). It does so when the thread that started a child ends,
//! which is why each child is started by a thread that never does. Pushpin's signal is one it can act on, SIGTERM:
//! its own children are in process groups of their own, and only Pushpin knows them all.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::channel;
use std::sync::{Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

/// Children's process ids with their parting signals.
static CHILDREN: Mutex<Vec<(i32, i32)>> = Mutex::new(Vec::new());
static DIRECTORIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Starts a child that gets `parting_signal` should the test process die.
pub fn start(mut command: Command, parting_signal: i32) -> Result<Child, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let (report, result) = channel();
    thread::spawn(move || {
        // SAFETY: prctl is a bare system call, safe between fork and exec; the closure touches nothing else.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, parting_signal) == 0 {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                }
            });
        }
        let _ = report.send(command.spawn());
        loop {
            thread::park();
        }
    });
    let child = result.recv().expect("the keeper reports").map_err(|error| format!("{program}: {error}"))?;
    at_exit();
    CHILDREN.lock().expect("children").push((child.id() as i32, parting_signal));
    Ok(child)
}

/// A new directory that is removed when the tests end, unless `CONFORMANCE_KEEP` is set.
pub fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("conformance-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    at_exit();
    DIRECTORIES.lock().expect("directories").push(path.clone());
    path
}

/// The last lines of a log, for a failure's message.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

fn at_exit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `clear_away` is an extern "C" function without arguments that does not unwind.
        unsafe { libc::atexit(clear_away) };
    });
}

extern "C" fn clear_away() {
    let children: Vec<(i32, i32)> = CHILDREN.lock().map(|children| children.clone()).unwrap_or_default();
    for (pid, signal) in &children {
        // SAFETY: a bare system call; the process is this one's child, so its id cannot have been given to another.
        unsafe { libc::kill(*pid, *signal) };
    }
    for (pid, _) in &children {
        await_end(*pid);
    }
    if std::env::var_os("CONFORMANCE_KEEP").is_some() {
        return;
    }
    for path in DIRECTORIES.lock().iter().flat_map(|paths| paths.iter()) {
        let _ = std::fs::remove_dir_all(path);
    }
}

/// Waits until a child has ended, and makes it end if that takes too long.
fn await_end(pid: i32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    // SAFETY: waitpid(2) on a child of this process, without asking for its status.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) } == 0 {
        if Instant::now() > deadline {
            // SAFETY: as in `clear_away`; the child has not been waited for yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        thread::sleep(Duration::from_millis(10)); // Between looks: a handler at exit must not block for ever.
    }
}
