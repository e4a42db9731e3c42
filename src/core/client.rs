//! A client as operators know it: by its id, with what it is doing now, to be closed or refreshed.

use super::Core;
use super::again::Reason;
use super::row::{Mark, Phase};
use crate::channel::Transport;
use crate::ids::{ConnectionId, Slot};
use crate::proto::http1::{LAST_CHUNK, Version};
use bytes::Bytes;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use uuid::Uuid;

/// What a client is doing.
pub(super) struct ClientState {
    pub id: ConnectionId,
    pub connection_id: Option<Uuid>,
    pub peer: Option<SocketAddr>,
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

impl Core {
    /// The id that `text` is, if its core exists.
    pub(super) fn known_id(&self, text: &str) -> Option<ConnectionId> {
        ConnectionId::parse(text).filter(|id| id.core().index() < self.cores)
    }

    /// The id of the connection in `slot`, by its place.
    pub(super) fn id_of_place(&self, slot: Slot) -> ConnectionId {
        ConnectionId::of_place(self.id, slot, self.wire.borrow().generation(slot))
    }

    /// The id of the connection in `slot`: the one `of_application`, if its application knows one.
    pub(super) fn connection_id(&self, slot: Slot, of_application: Option<Uuid>) -> ConnectionId {
        of_application.map_or_else(|| self.id_of_place(slot), ConnectionId::of_application)
    }

    /// What the client is doing; `None` if there is none with this id.
    pub(super) fn state_of_client(&self, id: ConnectionId) -> Option<ClientState> {
        let slot = self.find_client(id)?;
        let id = self.id_of_place(slot);
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
            id,
            connection_id,
            peer: row.peer(),
            transport,
            channels: self.subscriptions.borrow().channels_of(slot),
            is_behind: self.wire.borrow().is_backlogged(slot),
        })
    }

    /// Closes the connection of a client: a WebSocket with a close, a stream with its end, everything else as it is.
    /// Whether there was one.
    pub(super) fn close_client(self: &Rc<Self>, id: ConnectionId) -> bool {
        let Some(slot) = self.find_client(id) else { return false };
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
    pub(super) fn refresh_client(self: &Rc<Self>, id: ConnectionId) -> Refreshed {
        let Some(slot) = self.find_client(id) else { return Refreshed::NoClient };
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

    /// Whether the client with this id is answered or held.
    pub(super) fn is_present(&self, id: ConnectionId) -> bool {
        let slot = self.find_client(id);
        slot.is_some_and(|slot| self.rows.borrow_mut().get(slot).is_some_and(|row| row.mark != Mark::None))
    }

    /// Where the client with this id is, if it still is.
    fn find_client(&self, id: ConnectionId) -> Option<Slot> {
        let (slot, mut rows) = (id.slot(), self.rows.borrow_mut());
        let row = rows.get(slot).filter(|row| row.service.is_for_clients() && id.core() == self.id)?;
        if matches!(row.phase, Phase::Leaving { .. } | Phase::Lingering) {
            return None;
        }
        id.is_of(self.wire.borrow().generation(slot), row.id_of_application()).then_some(slot)
    }
}

fn stream_transport(version: Version) -> Transport {
    match version {
        Version::Http11 => Transport::StreamChunked,
        Version::Http10 => Transport::StreamRaw,
    }
}
