//! Processes under test: started, spoken to by lines, looked at through /proc, and ended with the run.

use anyhow::{Context, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A child process that is killed when this is dropped.
pub struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    /// Starts this program again with `arguments`.
    pub fn this_program(arguments: &[&str]) -> anyhow::Result<Process> {
        Process::start(Command::new(std::env::current_exe()?).args(arguments))
    }

    fn start(command: &mut Command) -> anyhow::Result<Process> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("no output")?;
        Ok(Process { child, lines: BufReader::new(output) })
    }

    /// Sends an order and returns the answer.
    pub fn order(&mut self, order: &str) -> anyhow::Result<String> {
        writeln!(self.child.stdin.as_ref().context("no input")?, "{order}")?;
        self.line()
    }

    /// The next line it says.
    pub fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.lines.read_line(&mut line)? > 0, "a process under test ended");
        Ok(line.trim_end().to_owned())
    }

    /// CPU time of all its threads, ns.
    pub fn cpu_ns(&self) -> anyhow::Result<u64> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let mut sum = 0;
        for task in std::fs::read_dir(tasks)? {
            let account = std::fs::read_to_string(task?.path().join("schedstat"))?;
            sum += account.split(' ').next().context("no schedstat")?.parse::<u64>()?;
        }
        Ok(sum)
    }

    /// Its resident set, bytes.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Gripwire with one core and the demo application.
pub struct Gripwire {
    pub process: Process,
    pub clients: SocketAddr,
    pub control: SocketAddr,
}

impl Gripwire {
    /// Starts the `gripwire` built beside this program and waits until it answers.
    pub fn start() -> anyhow::Result<Gripwire> {
        let binary = beside_this_program("gripwire")?;
        let (clients, control) = (free_address()?, free_address()?);
        let mut command = Command::new("taskset");
        command.args(["-c", &crate::scenarios::SERVER_CPU.to_string()]).arg(binary).args(["serve", "--demo"]);
        command.args(["--cores", "1", "--listen", &clients.to_string(), "--control", &control.to_string()]);
        let process = Process::start(&mut command)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(clients).is_err() {
            ensure!(Instant::now() < deadline, "gripwire did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Gripwire { process, clients, control })
    }

    /// A request that publishes a message in one format to `channel`.
    pub fn publish_request(channel: &str, format: &str) -> String {
        let body = format!("{{\"items\":[{{\"channel\":\"{channel}\",\"formats\":{{{format}}}}}]}}");
        format!("POST /publish/ HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    /// Publishes `times`, one request each, without waiting in between.
    pub fn publish(&self, request: &str, times: usize) -> anyhow::Result<()> {
        let mut publisher = TcpStream::connect(self.control)?;
        publisher.write_all(request.repeat(times).as_bytes())?;
        let mut answers = Vec::new();
        while count(&answers, b"Published\n") < times {
            let mut part = [0; 4096];
            match publisher.read(&mut part)? {
                0 => bail!("publishing failed: {}", String::from_utf8_lossy(&answers)),
                length => answers.extend_from_slice(&part[..length]),
            }
        }
        Ok(())
    }
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).filter(|window| *window == needle).count()
}

fn beside_this_program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is missing: build it with `cargo build --release`", path.display());
    Ok(path)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
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
