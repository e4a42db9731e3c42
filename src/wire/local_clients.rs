//! The Unix listeners of a core, and the clients that were accepted and are being moved into the ring's table of
//! direct descriptors. `local` moves them.

use super::admission::PortUse;
use super::ledger::EntryId;
use super::proxied::Preface;
use super::socket_file::Credentials;
use rustc_hash::FxHashMap;
use std::os::fd::RawFd;
use std::os::unix::net::{UnixListener, UnixStream};

/// The Unix listeners of a core, and the clients that are being moved.
#[derive(Default)]
pub(super) struct LocalClients {
    pub listeners: Vec<LocalListener>,
    pub moving: FxHashMap<u32, Moving>,
    pub moved: u32,
}

/// A listening Unix socket.
pub(super) struct LocalListener {
    /// `None` if it is closed.
    pub socket: Option<UnixListener>,
    pub port_use: PortUse,
    /// Another process has the socket too.
    pub is_shared: bool,
    /// A poll is in flight.
    pub is_watched: bool,
    /// A client connected when there was no free slot.
    pub is_waiting: bool,
}

/// A client whose descriptor is being copied into the table of direct descriptors.
pub(super) struct Moving {
    /// Closed when the descriptor was copied.
    pub _stream: UnixStream,
    /// The one descriptor, which the kernel replaces by the slot. Not a `Box`, because a `Box` may not be aliased by
    /// a pointer.
    pub place: Vec<RawFd>,
    /// The listener that accepted the client.
    pub listener: usize,
    /// The credentials of the client's process.
    pub peer: Credentials,
    /// The ledger entry in which the client is counted.
    pub entry_id: Option<EntryId>,
    pub port_use: PortUse,
}

impl LocalClients {
    /// Listens on `sockets`, which are non-blocking.
    pub fn new(sockets: Vec<(UnixListener, Preface)>) -> LocalClients {
        let listener = |(socket, preface): (UnixListener, Preface)| LocalListener {
            socket: Some(socket),
            port_use: preface.port_use,
            is_shared: preface.is_shared,
            is_watched: false,
            is_waiting: false,
        };
        let listeners = sockets.into_iter().map(listener).collect();
        LocalClients { listeners, ..LocalClients::default() }
    }

    /// Slots that the clients being moved will take.
    pub fn moving(&self) -> usize {
        self.moving.len()
    }

    /// Slots among these that operators will take.
    pub fn moving_operators(&self) -> usize {
        self.moving.values().filter(|moving| moving.port_use == PortUse::Operators).count()
    }
}
