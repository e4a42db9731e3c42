//! A running server: its processes, addresses and files.

use crate::process::Process;
use anyhow::ensure;
use gripwire_loadgen::{Origin, Target};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A running server. Dropping it ends the server.
pub struct Running {
    pub target: Target,
    /// The address for clients.
    pub clients: SocketAddrV4,
    /// The address for publishing.
    pub publish: SocketAddrV4,
    /// The address for datagrams, if UDP is on.
    pub udp: Option<SocketAddrV4>,
    pub(super) processes: Vec<Process>,
    /// The application of the server, if it needs one.
    pub(super) _origin: Option<Origin>,
    pub(super) _directory: Option<Directory>,
}

impl Running {
    /// The ids of all processes whose CPU and memory count as the server's cost.
    pub fn family(&self) -> Vec<u32> {
        self.processes.iter().flat_map(Process::family).collect()
    }

    /// Waits until the server accepts connections.
    pub fn await_listening(&mut self) -> anyhow::Result<()> {
        for address in [self.clients, self.publish] {
            let deadline = Instant::now() + PATIENCE;
            while TcpStream::connect(address).is_err() {
                let name = self.target.name();
                ensure!(!self.processes.iter_mut().any(Process::has_ended), "{name} ended while it started");
                ensure!(Instant::now() < deadline, "{name} did not start");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

/// A temporary directory for a server's files. Dropping it removes the directory.
pub struct Directory(pub PathBuf);

impl Directory {
    /// Creates a directory.
    pub fn new(name: &str, port: u16) -> anyhow::Result<Directory> {
        let path = std::env::temp_dir().join(format!("gripwire-bench-{name}-{port}"));
        std::fs::create_dir_all(&path)?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An unused loopback address.
pub fn free_address() -> anyhow::Result<SocketAddrV4> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// Connections of one process, below the limit of 20,000 open files that is common in containers.
pub const CONNECTIONS_PER_PROCESS: u32 = 18_000;
/// Most time for starting a server, and for other waits.
pub const PATIENCE: Duration = Duration::from_secs(20);
