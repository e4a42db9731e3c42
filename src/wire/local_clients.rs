//! The listeners of a core with a file, and the clients that were accepted from them and are on their way into its table
//! of direct descriptors. `local` moves them.

use super::admission::PortUse;
use super::ledger::EntryId;
use super::socket_file::Credentials;
use rustc_hash::FxHashMap;
use std::os::fd::RawFd;
use std::os::unix::net::{UnixListener, UnixStream};

/// The listeners of a core, and the clients on their way into its table.
#[derive(Default)]
pub(super) struct LocalClients {
    pub listeners: Vec<LocalListener>,
    pub moving: FxHashMap<u32, Moving>,
    pub moved: u32,
}

/// A listening socket with a file.
pub(super) struct LocalListener {
    pub socket: UnixListener,
    pub port_use: PortUse,
    /// A poll is in flight.
    pub is_watched: bool,
    /// Someone came when there was no room.
    pub is_waiting: bool,
}

/// A client whose descriptor the kernel copies into the table.
pub(super) struct Moving {
    /// Closed when it was copied.
    pub _stream: UnixStream,
    /// The one descriptor, in whose place the kernel writes the slot. Not in a box, which may not be pointed into.
    pub place: Vec<RawFd>,
    /// By which listener it came.
    pub listener: usize,
    /// Whose process it is.
    pub peer: Credentials,
    /// Where it is counted.
    pub entry_id: Option<EntryId>,
    pub port_use: PortUse,
}

impl LocalClients {
    /// Listens on `sockets`, which do not block.
    pub fn new(sockets: Vec<(UnixListener, PortUse)>) -> LocalClients {
        let listener =
            |(socket, port_use)| LocalListener { socket, port_use, is_watched: false, is_waiting: false };
        let listeners = sockets.into_iter().map(listener).collect();
        LocalClients { listeners, ..LocalClients::default() }
    }

    /// Slots that connections on their way will take.
    pub fn moving(&self) -> usize {
        self.moving.len()
    }

    /// Those of operators among them.
    pub fn moving_operators(&self) -> usize {
        self.moving.values().filter(|moving| moving.port_use == PortUse::Operators).count()
    }
}
