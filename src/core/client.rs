//! A client as operators know it: by a name, with what it is doing now, to be closed or refreshed.
//!
//! The name is the client's core, its slot there, and the slot's generation: `0-17-3`. A WebSocket over HTTP may be
//! named by its Connection-Id too, which its application knows: a UUID that tells its core and slot, so that nobody has
//! to keep a table of them.

use super::Core;
use super::again::Reason;
use super::row::{Phase, Service};
use crate::channel::Transport;
use crate::ids::{CoreId, Slot};
use crate::proto::http1::{LAST_CHUNK, Version};
use bytes::Bytes;
use rustc_hash::FxHasher;
use std::fmt;
use std::hash::Hasher;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use uuid::Uuid;

/// Names a connection, as long as it is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ClientName {
    pub core: CoreId,
    slot: Slot,
    proof: Proof,
}

/// What tells it from others that had or will have its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Proof {
    Generation(u32),
    ConnectionId(Uuid),
}

/// What a client is doing.
pub(super) struct ClientState {
    pub name: ClientName,
    pub connection_id: Option<Uuid>,
    pub peer: SocketAddr,
    /// How it is written to, if it is held.
    pub transport: Option<Transport>,
    pub channels: Vec<Arc<str>>,
    /// It has not taken what was sent to it.
    pub is_behind: bool,
}

/// Whether an application is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refreshed {
    /// It is.
    Asked,
    /// The client has nothing that could be asked for.
    Nothing,
    /// There is no such client.
    NoClient,
}

impl ClientName {
    /// Reads a name.
    pub fn parse(text: &str) -> Option<ClientName> {
        if let Ok(id) = Uuid::try_parse(text) {
            let (core, slot) = place_of(id);
            return Some(ClientName { core, slot, proof: Proof::ConnectionId(id) });
        }
        let mut numbers = text.split('-').map(|number| number.parse::<u32>().ok());
        let mut next = || numbers.next().flatten();
        let (core, slot, generation) = (next()?, next()?, next()?);
        let core = CoreId(u16::try_from(core).ok()?);
        let proof = Proof::Generation(generation);
        numbers.next().is_none().then_some(ClientName { core, slot: Slot(slot), proof })
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.proof {
            Proof::Generation(generation) => write!(out, "{}-{}-{generation}", self.core.0, self.slot.0),
            Proof::ConnectionId(id) => id.fmt(out),
        }
    }
}

/// A new Connection-Id for a client of `core`. It looks like any other random UUID: its last 48 bits are the place,
/// hidden by a hash of the bits before them.
pub(super) fn connection_id(core: CoreId, slot: Slot) -> Uuid {
    let mut bytes = Uuid::new_v4().into_bytes();
    let place = (u64::from(core.0) << 32) | u64::from(slot.0);
    let hidden = (place ^ mask(&bytes)).to_be_bytes();
    for (byte, hidden) in bytes.iter_mut().skip(10).zip(hidden.iter().skip(2)) {
        *byte = *hidden;
    }
    Uuid::from_bytes(bytes)
}

/// Where a client would be that has this Connection-Id.
fn place_of(id: Uuid) -> (CoreId, Slot) {
    let (_, low) = id.as_u64_pair();
    let place = (low ^ mask(id.as_bytes())) & PLACE;
    (CoreId((place >> 32) as u16), Slot(place as u32))
}

/// What hides a place in the bits before it.
fn mask(bytes: &[u8; 16]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes.get(..10).unwrap_or_default());
    hasher.finish() & PLACE
}

/// The last 48 bits.
const PLACE: u64 = (1 << 48) - 1;

impl Core {
    /// The name of the client in `slot`.
    pub(super) fn name_of_client(&self, slot: Slot) -> ClientName {
        let generation = self.wire.borrow().generation(slot);
        ClientName { core: self.id, slot, proof: Proof::Generation(generation) }
    }

    /// What the client is doing; `None` if there is none of this name.
    pub(super) fn state_of_client(&self, name: ClientName) -> Option<ClientState> {
        let slot = self.find_client(name)?;
        let mut rows = self.rows.borrow_mut();
        let row = rows.get(slot)?;
        let (transport, connection_id) = match &row.phase {
            Phase::Stream(stream) => (Some(stream_transport(stream.asked.version)), None),
            Phase::Linked(linked) => (Some(stream_transport(linked.stream.asked.version)), None),
            Phase::Poll(_) => (Some(Transport::Response), None),
            Phase::Socket(socket) => (Some(Transport::Socket), socket.connection_id()),
            _ => (None, None),
        };
        Some(ClientState {
            name: self.name_of_client(slot),
            connection_id,
            peer: row.peer(),
            transport,
            channels: self.subscriptions.borrow().channels_of(slot),
            is_behind: self.wire.borrow().is_backlogged(slot),
        })
    }

    /// Closes the connection of a client: a WebSocket with a close, a stream with its end, everything else as it is.
    /// Whether there was one.
    pub(super) fn close_client(self: &Rc<Self>, name: ClientName) -> bool {
        let Some(slot) = self.find_client(name) else { return false };
        let (socket, version) = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Socket(socket)) => (Some(socket.clone()), None),
            Some(Phase::Stream(stream)) => (None, Some(stream.asked.version)),
            Some(Phase::Linked(linked)) => (None, Some(linked.stream.asked.version)),
            _ => (None, None),
        };
        match (socket, version) {
            (Some(socket), _) => self.send_away(slot, &socket),
            (None, Some(version)) => {
                let end = if version == Version::Http11 { LAST_CHUNK } else { b"" };
                let sent = self.wire.borrow_mut().send(slot, Bytes::from_static(end));
                match sent {
                    Ok(()) => self.leave(slot, true),
                    Err(_) => self.close(slot),
                }
            }
            (None, None) => self.close(slot),
        }
        true
    }

    /// Has the application asked for what it has for the client.
    pub(super) fn refresh_client(self: &Rc<Self>, name: ClientName) -> Refreshed {
        let Some(slot) = self.find_client(name) else { return Refreshed::NoClient };
        let (is_socket, can_ask) = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Socket(socket)) => (true, socket.can_be_asked()),
            Some(Phase::Linked(linked)) => (false, linked.can_go_on()),
            Some(Phase::Poll(_)) => (false, true),
            _ => (false, false),
        };
        match (can_ask, is_socket) {
            (false, _) => return Refreshed::Nothing,
            (true, true) => self.refresh_socket(slot),
            (true, false) => self.catch_up(slot, Reason::Hint),
        }
        Refreshed::Asked
    }

    /// Where the client of this name is, if it still is.
    fn find_client(&self, name: ClientName) -> Option<Slot> {
        let mut rows = self.rows.borrow_mut();
        let row = rows.get(name.slot).filter(|row| row.service == Service::Clients)?;
        let is_it = match (name.proof, &row.phase) {
            (_, Phase::Leaving { .. } | Phase::Lingering) => false,
            (Proof::Generation(generation), _) => generation == self.wire.borrow().generation(name.slot),
            (Proof::ConnectionId(id), Phase::Socket(socket)) => socket.connection_id() == Some(id),
            (Proof::ConnectionId(_), _) => false,
        };
        is_it.then_some(name.slot)
    }
}

fn stream_transport(version: Version) -> Transport {
    match version {
        Version::Http11 => Transport::StreamChunked,
        Version::Http10 => Transport::StreamRaw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back() {
        let name = ClientName::parse("3-17-9").expect("a name");
        assert_eq!((name.core, name.slot, name.to_string().as_str()), (CoreId(3), Slot(17), "3-17-9"));
        for text in ["", "1-2", "1-2-3-4", "1-2-x", "70000-1-1", "-1-2-3"] {
            assert_eq!(ClientName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_connection_id_tells_its_place_and_is_a_random_uuid_otherwise() {
        for (core, slot) in [(0, 0), (7, 123_456), (u16::MAX, u32::MAX)] {
            let ids = [(); 2].map(|()| connection_id(CoreId(core), Slot(slot)));
            assert_ne!(ids[0].as_bytes()[10..], ids[1].as_bytes()[10..]);
            for id in ids {
                assert_eq!((place_of(id), id.get_version_num()), ((CoreId(core), Slot(slot)), 4));
                assert_eq!(
                    ClientName::parse(&id.to_string()).map(|name| name.to_string()),
                    Some(id.to_string())
                );
            }
        }
    }
}
