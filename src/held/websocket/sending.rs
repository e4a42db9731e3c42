//! Writes to a WebSocket: messages of its application, and published items.

use super::socket::{Application, Closing, Socket};
use crate::channel::Transport;
use crate::clients::Undeliverable;
use crate::ids::Slot;
use crate::proto::client_network::ClientNetwork;
use crate::proto::grip::{LinkTarget, Publication, SocketFormat, Then};
use crate::proto::websocket::{Close, Opcode, close_frame, compressed_frame, deflate, frame};
use crate::requests::Origin;
use bytes::Bytes;
use std::rc::Rc;

impl Socket {
    /// The frame of `item`; empty if the item sends none. If filters have made other `content`, it replaces the item's.
    /// `None` if this kind of message cannot hold the content.
    pub fn published_frame(&self, item: &Publication, content: Option<Bytes>) -> Option<Bytes> {
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

    /// The frame of a message for the client, compressed if that was agreed and makes it smaller.
    pub(super) fn encode(&self, opcode: Opcode, content: &[u8]) -> Bytes {
        let compression = self.compression().filter(|_| !opcode.is_control());
        match compression.and_then(|compression| deflate(content, compression)) {
            Some(deflated) => compressed_frame(opcode, &deflated),
            None => frame(opcode, content),
        }
    }
}

impl Socket {
    /// Sends a published item, and carries out what follows it. If filters have made other `content`, it replaces the
    /// item's.
    ///
    /// # Errors
    /// If the backlog has no room, or this kind of message cannot hold the content.
    pub fn send_published(
        self: &Rc<Self>,
        slot: Slot,
        item: &Publication,
        content: Option<Bytes>,
    ) -> Result<(), Undeliverable> {
        let frame = self.published_frame(item, content).ok_or(Undeliverable::Unsendable)?;
        let holds = self.holds();
        if holds.clients.send(slot, frame).is_err() {
            holds.delivery.overflowed(slot);
            return Err(Undeliverable::Dropped);
        }
        if let Some(rare) = &mut *self.rare.borrow_mut() {
            rare.clock.sent(holds.context.now());
        }
        match item.then_socket() {
            Then::End => holds.close_was_sent(slot, self),
            Then::Refresh => {
                holds.refresh_socket(slot, self);
            }
            Then::Stay | Then::Refetch => {}
        }
        Ok(())
    }

    /// Closes the WebSocket because an item could not be delivered.
    pub fn fail_undelivered(&self, slot: Slot, error: &str) {
        if self.closing.get() == Closing::No {
            let close = Close { code: Close::INTERNAL_ERROR, reason: error.into() };
            let _ = self.holds().clients.send(slot, close_frame(Some(&close)));
            self.holds().close_was_sent(slot, self);
        }
    }

    /// The origin of the WebSocket, for filters that ask an application.
    pub fn origin(&self) -> Origin {
        match &self.application {
            Application::OverHttp(over_http) => {
                self.holds().requests.origin_of(&over_http.handshake(), self.route())
            }
            Application::Through(through) => {
                Origin::at(through.asked_for.clone(), self.route(), through.client)
            }
            // The client's side of a SockJS conversation has no channels, and so no filters.
            Application::SockJs(_) => Origin::at(LinkTarget::default(), self.route(), ClientNetwork::NOBODY),
        }
    }
}
