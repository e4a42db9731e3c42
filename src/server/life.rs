//! The parts of the server's life, for the main thread (`draining`), and what depends on them.

use crate::wire::{PortUse, SocketFile};
use std::path::PathBuf;
use std::time::Instant;

/// Which first signals end the server at once, without a drain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EndsAtOnce {
    /// Any.
    pub at_any: bool,
    /// SIGINT, because somebody sits at the terminal.
    pub at_interrupt: bool,
}

/// The part of its life that the server is in.
pub(super) enum Life {
    /// Nothing ends.
    Serving,
    /// The server says that it is not ready, and serves.
    Notice { begins_at: Instant, ends_at: Instant },
    /// So many cores still drain the connections of this use.
    Draining { port_use: PortUse, awaited: usize, ends_at: Instant },
}

/// The files of the Unix sockets. Dropping them removes the files, and nobody can begin to connect.
#[derive(Default)]
pub(super) struct SocketFiles {
    of_clients: Vec<SocketFile>,
    of_operators: Vec<SocketFile>,
    /// Those of an old process that no setting names any more.
    pub unused: Vec<SocketFile>,
}

impl SocketFiles {
    /// The files of the sockets of this use.
    pub fn of(&mut self, port_use: PortUse) -> &mut Vec<SocketFile> {
        match port_use {
            PortUse::Clients => &mut self.of_clients,
            PortUse::Operators => &mut self.of_operators,
        }
    }

    /// The paths of the files.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = self.of_clients.iter().chain(&self.of_operators);
        files.map(|file| file.path().to_owned()).collect()
    }

    /// From now on the files of the old process belong to this one. Those that are not used are removed.
    pub fn arm(&mut self) {
        let files = self.of_clients.iter_mut().chain(&mut self.of_operators);
        files.chain(&mut self.unused).for_each(SocketFile::arm);
        self.unused.clear();
    }

    /// Leaves the files to a new process.
    pub fn disarm(&mut self) {
        let SocketFiles { of_clients, of_operators, unused } = std::mem::take(self);
        of_clients.into_iter().chain(of_operators).chain(unused).for_each(SocketFile::disarm);
    }
}

impl Life {
    /// The next moment at which something is to be done.
    pub fn next(&self) -> Option<Instant> {
        match self {
            Life::Serving => None,
            Life::Notice { begins_at, ends_at } => Some(*begins_at.min(ends_at)),
            Life::Draining { ends_at, .. } => Some(*ends_at),
        }
    }
}
