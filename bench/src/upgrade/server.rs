//! The server that is upgraded and restarted: the process that serves, and the one that replaces it.

use crate::process::{Process, beside_this_program, children};
use crate::servers::{Directory, PATIENCE, free_address};
use anyhow::{Context, ensure};
use std::net::{SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// A server on the servers' CPU. Dropping it ends the server.
pub struct Server {
    pub clients: SocketAddrV4,
    pub udp: SocketAddrV4,
    program: PathBuf,
    control: SocketAddrV4,
    cores: usize,
    directory: Directory,
    pub serving: Serving,
}

/// A process that serves.
pub struct Serving {
    pub pid: u32,
    /// A process that was started here. One that has replaced another was started by that one.
    process: Option<Process>,
    has_ended: bool,
}

impl Server {
    /// Starts `program` with the built-in demo, and waits until it listens.
    pub fn start(program: Option<PathBuf>, cores: usize) -> anyhow::Result<Server> {
        // Processes that replace others become children of this one when those have ended.
        // SAFETY: prctl(2) with this option takes a number and touches no memory.
        let adopts = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        ensure!(adopts == 0, "cannot adopt processes: {}", std::io::Error::last_os_error());
        let program = program.map_or_else(|| beside_this_program("gripwire"), Ok)?;
        let (clients, control, udp) = (free_address()?, free_address()?, free_address()?);
        let directory = Directory::new("upgrade", clients.port())?;
        std::fs::write(directory.0.join("gripwire.toml"), "")?;
        let serving = Serving { pid: 0, process: None, has_ended: true };
        let mut server = Server { clients, udp, program, control, cores, directory, serving };
        server.start_again()?;
        Ok(server)
    }

    /// Starts the server again after its end.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["serve", "--route", "* demo,over_http", "--log", "info"]);
        command.arg("--config").arg(self.directory.0.join("gripwire.toml"));
        command.args(["--cores", &self.cores.to_string(), "--udp", &self.udp.to_string()]);
        command.args(["--listen", &self.clients.to_string(), "--control", &self.control.to_string()]);
        let mut process = Process::start_logged(&mut command, &self.log_path())?;
        let deadline = Instant::now() + PATIENCE;
        while [self.clients, self.control].into_iter().any(|address| TcpStream::connect(address).is_err()) {
            ensure!(!process.has_ended(), "gripwire ended while it started:\n{}", self.log());
            ensure!(Instant::now() < deadline, "gripwire did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
        self.serving = Serving { pid: process.id(), process: Some(process), has_ended: false };
        Ok(())
    }

    /// The process that is to replace the one that serves, as soon as it exists.
    pub fn successor(&mut self) -> anyhow::Result<Serving> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(&pid) = children(self.serving.pid).first() {
                return Ok(Serving { pid, process: None, has_ended: false });
            }
            ensure!(Instant::now() < deadline, "no new process was started:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// All lines of the log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.0.join("log")
    }
}

impl Serving {
    /// Sends a signal.
    pub fn signal(&self, signal: i32) -> anyhow::Result<()> {
        // SAFETY: a bare system call on a process that has not been waited for.
        let sent = unsafe { libc::kill(self.pid as i32, signal) };
        ensure!(sent == 0, "cannot signal the server: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        if !self.has_ended {
            self.has_ended = match &mut self.process {
                Some(process) => process.has_ended(),
                // SAFETY: waitpid(2) without asking for the status. A process that is no child yet has not ended.
                None => unsafe {
                    libc::waitpid(self.pid as i32, std::ptr::null_mut(), libc::WNOHANG) == self.pid as i32
                },
            };
        }
        self.has_ended
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.process.is_none() && !self.has_ended() {
            let _ = self.signal(libc::SIGKILL).context("a process that has ended");
            let deadline = Instant::now() + PATIENCE;
            while !self.has_ended() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
