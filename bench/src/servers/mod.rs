//! What is measured. Each server is started as its own users would for load: one worker on one CPU, its limits raised,
//! its logs off. `floor` is no server but the least the kernel charges: a loop of send(2) over as many sockets.

mod floor;
mod gripwire;
mod nchan;
mod pushpin;

pub use floor::{Floor, run as run_floor};

use crate::process::{Process, beside_this_program, installed};
use anyhow::ensure;
use gripwire_loadgen::{Origin, Target};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A kind of server.
#[derive(Clone, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Server {
    /// A loop of send(2)
    Floor,
    /// The `gripwire` built beside this program
    Gripwire,
    /// Another build of Gripwire, by its path
    #[value(skip)]
    Other(PathBuf),
    /// nginx with Debian's nchan
    Nchan,
    /// Debian's Pushpin
    Pushpin,
}

/// A server that runs. It ends when this is dropped.
pub struct Running {
    pub target: Target,
    /// Where clients connect.
    pub clients: SocketAddrV4,
    /// Where messages are published.
    pub publish: SocketAddrV4,
    /// Where datagrams are published, if they are.
    pub udp: Option<SocketAddrV4>,
    processes: Vec<Process>,
    /// The application behind it, if it is not built in.
    _origin: Option<Origin>,
    _directory: Option<Directory>,
}

impl Server {
    /// As in the table.
    pub fn name(&self) -> &'static str {
        match self {
            Server::Floor => "send(2) loop",
            Server::Gripwire => "gripwire",
            Server::Other(_) => "other build",
            Server::Nchan => "nchan",
            Server::Pushpin => "pushpin",
        }
    }

    /// Why it cannot be measured here, if so.
    pub fn missing(&self) -> Option<&'static str> {
        let is_there = |names: &[&str]| names.iter().all(|name| installed(name).is_some());
        match self {
            Server::Nchan if !is_there(&["nginx"]) || !nchan::has_module() => {
                Some("nchan is left out: install nginx and libnginx-mod-nchan")
            }
            Server::Pushpin if !is_there(&["pushpin", "condure", "zurl"]) => {
                Some("pushpin is left out: install pushpin, condure and zurl")
            }
            _ => None,
        }
    }

    /// Starts it for `connections` clients and waits until it works.
    pub fn start(&self, connections: u32) -> anyhow::Result<Running> {
        match self {
            Server::Floor => anyhow::bail!("the floor is no server"),
            Server::Gripwire => gripwire::start(&beside_this_program("gripwire")?, connections),
            Server::Other(program) => gripwire::start(program, connections),
            Server::Nchan => nchan::start(),
            Server::Pushpin => pushpin::start(),
        }
    }
}

impl Running {
    /// Its processes, whose CPU and memory are what it costs.
    pub fn family(&self) -> Vec<u32> {
        self.processes.iter().flat_map(Process::family).collect()
    }

    fn await_listening(&mut self) -> anyhow::Result<()> {
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

/// A folder for a server's files, removed with it.
pub struct Directory(pub PathBuf);

impl Directory {
    /// A new one.
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

/// An address of this machine that nobody listens on.
pub fn free_address() -> anyhow::Result<SocketAddrV4> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// Connections of one process, below the limit of 20,000 open files that is common in containers.
pub const CONNECTIONS_PER_PROCESS: u32 = 18_000;
/// How long anything is awaited.
pub const PATIENCE: Duration = Duration::from_secs(20);
