//! Processes under test. They are started on one CPU and end with the run.

use anyhow::{Context, ensure};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A child process. Dropping it ends the process.
pub struct Process {
    child: Child,
    /// Whether the process has children, so that SIGTERM lets it end them.
    asked: bool,
}

impl Process {
    /// Starts `command` on the servers' CPU. Its output is discarded, because an unread pipe would block the process.
    pub fn start(command: &mut Command) -> anyhow::Result<Process> {
        Process::start_logged(command, Path::new("/dev/null"))
    }

    /// Starts `command` on the servers' CPU. Its standard error is written to `log`.
    pub fn start_logged(command: &mut Command, log: &Path) -> anyhow::Result<Process> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("creating {}", log.display()))?;
        let child =
            pinned(command, SERVER_CPU).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Process { child, asked: false })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Marks that the process has children, so that it is ended by SIGTERM rather than SIGKILL.
    pub fn with_children(mut self) -> Process {
        self.asked = true;
        self
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: i32) -> anyhow::Result<()> {
        // SAFETY: a signal to a child that has not been waited for.
        let sent = unsafe { libc::kill(self.child.id() as i32, signal) };
        ensure!(sent == 0, "cannot signal a process: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// The ids of the process and all its descendants.
    pub fn family(&self) -> Vec<u32> {
        let mut family = vec![self.child.id()];
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            family.extend(children(parent));
            next += 1;
        }
        family
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.asked {
            // SAFETY: a signal to a child that has not been waited for.
            unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
            let deadline = Instant::now() + Duration::from_secs(10);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Another process of this program, which follows orders on standard input.
pub struct Helper {
    input: ChildStdin,
    lines: BufReader<ChildStdout>,
    _process: Process,
}

impl Helper {
    /// Starts the process with `arguments` on `cpu`.
    pub fn start(arguments: &[&str], cpu: usize) -> anyhow::Result<Helper> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child =
            pinned(command.args(arguments), cpu).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = (input.context("no input")?, output.context("no output")?);
        Ok(Helper { input, lines: BufReader::new(output), _process: Process { child, asked: false } })
    }

    /// Sends an order and returns the answer.
    pub fn order(&mut self, order: &str) -> anyhow::Result<String> {
        writeln!(self.input, "{order}")?;
        self.line()
    }

    /// The next line of its output.
    pub fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.lines.read_line(&mut line)? > 0, "a process under test ended");
        Ok(line.trim_end().to_owned())
    }
}

fn pinned(command: &Command, cpu: usize) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.arg("-c").arg(cpu.to_string()).arg(command.get_program()).args(command.get_args());
    pinned.stderr(Stdio::null());
    pinned
}

/// The children that any thread of the process has started.
pub fn children(parent: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.collect::<String>().split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The path of a program that was built beside this one.
pub fn beside_this_program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(
        path.exists(),
        "{} is missing: build it with `cargo build --release --workspace`",
        path.display()
    );
    Ok(path)
}

/// The path of the program called `name`, in PATH or in Debian's directories of servers.
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders.map(|folder| folder.join(name)).find(|program| program.exists())
}

/// Keeps this thread, and those it starts, on one CPU.
pub fn pin(cpu: usize) -> anyhow::Result<()> {
    // SAFETY: a zeroed set is valid, and the macros stay within it for the few CPUs used here.
    let done = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    ensure!(done == 0, "cannot run on CPU {cpu}: {}", std::io::Error::last_os_error());
    Ok(())
}

/// CPU time of this thread, ns.
pub fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The servers' CPU.
pub const SERVER_CPU: usize = 0;
/// The clients' CPU.
pub const CLIENT_CPU: usize = 1;
