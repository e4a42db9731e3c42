//! A server and its successors: each is started by the one before, and takes over from it.
//!
//! The first is a child of the test. When it has ended, its own child becomes the test's, which asks the kernel for that
//! (PR_SET_CHILD_SUBREAPER), and so on. All of them are one process group, which a guardian ends should the test be killed.

use gripwire_harness::deadline::await_some;
use gripwire_harness::directory::Directory;
use gripwire_harness::server::{Launch, Server, gripwire};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The process that serves, and the ports and files that all have in common.
pub struct Succession {
    pub server: Server,
    /// The process that serves now.
    pid: u32,
    /// The path at which each looks for the program of the next.
    program: PathBuf,
    directory: Directory,
    guardian: Child,
}

impl Succession {
    /// Starts the first with the configuration that `launch` has, which has the cores in it.
    pub fn start(launch: Launch) -> Succession {
        // SAFETY: prctl(2) with this option takes a number and touches no memory.
        let adopts = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        assert_eq!(adopts, 0, "{}", std::io::Error::last_os_error());
        let directory = Directory::new("program");
        let program = directory.file("gripwire");
        place(&PathBuf::from(gripwire().get_program()), &directory.file("genuine"));
        place(&directory.file("genuine"), &program);
        let server = launch.program(&["setsid", &program.display().to_string()]).start();
        let pid = server.id();
        let guard = format!("cat > /dev/null; kill -KILL -{pid}");
        let mut command = Command::new("sh");
        command.args(["-c", &guard]).process_group(0).stdin(Stdio::piped()).stderr(Stdio::null());
        let guardian = command.spawn().expect("a guardian");
        Succession { server, pid, program, directory, guardian }
    }

    /// Asks for an upgrade, and waits until the process that served has ended well and its successor is alone.
    pub fn upgrade(&mut self) {
        let old = self.pid;
        signal(old, libc::SIGUSR2);
        let new = await_some("a successor", || children(old).first().copied());
        let status = await_some("the old process's end", || {
            let ended = self.ended(old);
            assert!(ended.is_some() || is_running(new), "the successor ended:\n{}", self.server.log().tail());
            ended
        });
        assert!(status.success(), "the old process ended so: {status}\n{}", self.server.log().tail());
        self.pid = new;
    }

    /// Asks for an upgrade that fails. Waits until the log has given a `reason`, and the new process has gone; the old one
    /// goes on.
    pub fn fail(&mut self, reason: &str) {
        let old = self.pid;
        signal(old, libc::SIGUSR2);
        let line = self.server.log().await_next("no upgrade took place, and the old process goes on: ");
        assert!(line.contains(reason), "not {reason:?}: {line}");
        await_some("the new process's end", || children(old).is_empty().then_some(()));
        assert_eq!(self.ended(old), None, "the old process ended:\n{}", self.server.log().tail());
    }

    /// Has the next processes be started by these lines of a shell, in which `GENUINE` is the program.
    pub fn replace_program(&self, lines: &str) {
        let genuine = format!("'{}'", self.directory.file("genuine").display());
        let script = format!("#!/bin/sh\n{}\n", lines.replace("GENUINE", &genuine));
        self.directory.write("script", &script);
        let script = self.directory.file("script");
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("a program");
        std::fs::rename(&script, &self.program).expect("another program");
    }

    /// Has the next processes be the genuine program.
    pub fn restore_program(&self) {
        place(&self.directory.file("genuine"), &self.directory.file("script"));
        std::fs::rename(self.directory.file("script"), &self.program).expect("the program");
    }

    /// How a process of this succession has ended, if it has.
    pub fn ended(&mut self, pid: u32) -> Option<ExitStatus> {
        if pid == self.server.id() {
            return self.server.ended();
        }
        let mut status = 0;
        // SAFETY: a process that this one has adopted and not waited for, and a valid place for its status.
        let waited = unsafe { libc::waitpid(pid as i32, &mut status, libc::WNOHANG) };
        (waited == pid as i32).then(|| ExitStatus::from_raw(status))
    }
}

impl Drop for Succession {
    fn drop(&mut self) {
        // At the end of its input the guardian ends all that are left.
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
        if self.pid != self.server.id() {
            // SAFETY: waitpid(2) on a process that this one has adopted, without asking for its status.
            unsafe { libc::waitpid(self.pid as i32, std::ptr::null_mut(), 0) };
        }
    }
}

/// Sends a signal to a process that has not been waited for.
pub fn signal(pid: u32, signal: i32) {
    // SAFETY: a bare system call, without memory of this process.
    let sent = unsafe { libc::kill(pid as i32, signal) };
    assert_eq!(sent, 0, "signal {signal} to {pid}: {}", std::io::Error::last_os_error());
}

/// The children of all threads of a process.
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let numbers =
        |list: String| list.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>();
    lists.flat_map(numbers).collect()
}

/// Whether a process exists and is not only waiting to be waited for.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// Puts a program at another path, as a link where the file system has links.
fn place(from: &PathBuf, to: &PathBuf) {
    if std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    }
}
