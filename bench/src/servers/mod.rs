//! The measured servers. Each server is started as its users would start it for load: one worker on one CPU, limits raised,
//! logs off. `floor` is not a server but the least cost in the kernel: a loop of send(2) over equally many sockets.

mod floor;
mod gripwire;
mod nchan;
mod pushpin;
mod running;

pub use floor::{Floor, run as run_floor};
pub use running::{CONNECTIONS_PER_PROCESS, Directory, PATIENCE, Running, free_address};

use crate::process::{beside_this_program, installed};
use std::path::PathBuf;

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

impl Server {
    /// The name in the table.
    pub fn name(&self) -> &'static str {
        match self {
            Server::Floor => "send(2) loop",
            Server::Gripwire => "gripwire",
            Server::Other(_) => "other build",
            Server::Nchan => "nchan",
            Server::Pushpin => "pushpin",
        }
    }

    /// Why the server cannot be measured on this machine, if it cannot.
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

    /// Starts the server for `connections` clients and waits until it is ready.
    pub fn start(&self, connections: u32) -> anyhow::Result<Running> {
        match self {
            Server::Floor => anyhow::bail!("the floor is not a server"),
            Server::Gripwire => gripwire::start(&beside_this_program("gripwire")?, connections),
            Server::Other(program) => gripwire::start(program, connections),
            Server::Nchan => nchan::start(),
            Server::Pushpin => pushpin::start(),
        }
    }
}
