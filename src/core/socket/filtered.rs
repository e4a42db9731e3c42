//! What a WebSocket gets by way of its filters, and what those know of it.

use super::{Application, Closing, Socket};
use crate::channel::{Publication, SocketFormat, Then, Transport};
use crate::core::Core;
use crate::core::links::Origin;
use crate::core::row::Phase;
use crate::ids::Slot;
use crate::proto::client_network::ClientNetwork;
use crate::proto::grip::LinkTarget;
use crate::proto::websocket::{Close, Opcode, close_frame, compressed_frame, deflate, frame};
use bytes::Bytes;
use std::rc::Rc;

impl Socket {
    /// The frame of `item`, empty if that sends none; with `content` instead of its own if there is any. `None` if its kind
    /// of message cannot hold that.
    pub(in crate::core) fn published_frame(
        &self,
        item: &Publication,
        content: Option<Bytes>,
    ) -> Option<Bytes> {
        match (content, &item.socket) {
            (Some(content), Some(SocketFormat::Message { opcode, .. })) => {
                opcode.can_hold(&content).then(|| self.encode(*opcode, &content))
            }
            _ => {
                let frame = match self.transport() {
                    Transport::CompressedSocket => item.compressed_socket_frame(),
                    _ => item.socket_frame(),
                };
                Some(frame.cloned().unwrap_or_default())
            }
        }
    }

    /// Whether its route says to tell developers what fails.
    pub(in crate::core) fn debugs(&self) -> bool {
        self.route.debug
    }

    /// A message for the client, compressed if that was agreed and is worth it.
    pub(super) fn encode(&self, opcode: Opcode, content: &[u8]) -> Bytes {
        let compression = self.compression().filter(|_| !opcode.is_control());
        match compression.and_then(|compression| deflate(content, compression)) {
            Some(deflated) => compressed_frame(opcode, &deflated),
            None => frame(opcode, content),
        }
    }
}

impl Core {
    /// Sends what was published to a WebSocket, and does what comes `then`.
    pub(in crate::core) fn hand_to_socket(
        self: &Rc<Self>,
        slot: Slot,
        socket: &Socket,
        frame: Bytes,
        then: Then,
    ) {
        if self.wire.borrow_mut().send(slot, frame).is_err() {
            return self.overflowed(slot);
        }
        if let Some(rare) = &mut *socket.rare.borrow_mut() {
            rare.clock.sent(self.now());
        }
        match then {
            Then::End => self.socket_was_closed(slot, socket),
            Then::Refresh => self.refresh_socket(slot),
            Then::Stay | Then::Refetch => {}
        }
    }

    /// Closes the WebSocket in `slot`, if there is one, because an item could not be delivered.
    pub(in crate::core) fn fail_filtered_socket(&self, slot: Slot, error: &str) {
        let socket = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Socket(socket)) => socket.clone(),
            _ => return,
        };
        if socket.closing.get() == Closing::No {
            let close = Close { code: Close::INTERNAL_ERROR, reason: error.into() };
            let _ = self.wire.borrow_mut().send(slot, close_frame(Some(&close)));
            self.socket_was_closed(slot, &socket);
        }
    }

    /// Where a WebSocket comes from, for filters that ask an application.
    pub(in crate::core) fn origin_of_socket(&self, socket: &Socket) -> Origin {
        match &socket.application {
            Application::OverHttp(over_http) => self.origin_of(&over_http.handshake(), &socket.route),
            Application::Through(through) => {
                Origin::at(through.asked_for.clone(), &socket.route, through.client)
            }
            // The client's end of a conversation has no channels, so no filters.
            Application::SockJs(_) => Origin::at(LinkTarget::default(), &socket.route, ClientNetwork::NOBODY),
        }
    }
}
