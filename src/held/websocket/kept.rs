//! Bounds the bytes that the WebSockets of a core keep for messages from clients: incomplete messages, and events that
//! wait for applications. The bytes are counted for each WebSocket, and bounded for all together. Each WebSocket may
//! always keep a few kilobytes, so clients with short messages can go on when others have used up the bound.

use super::socket::{Application, Busy, Socket};
use crate::context::ticks;
use crate::held::Holds;
use crate::ids::Slot;
use crate::proto::websocket::{Close, close_frame};
use std::rc::Rc;

/// A WebSocket may always keep this many bytes.
const FREE_BYTES: usize = 16 * 1024;

impl Busy {
    fn kept_bytes(&self) -> usize {
        self.incoming.as_ref().map_or(0, |incoming| incoming.bytes()) + self.waiting.kept_bytes()
    }
}

impl Socket {
    /// Bytes that are kept of the client's messages.
    pub fn kept_bytes(&self) -> usize {
        // A request that is under way goes on even if the client is reset, so its bytes are left out.
        let passing = match &self.application {
            Application::Through(through) => through.kept_bytes(),
            _ => 0,
        };
        let busy = self.busy.borrow();
        let kept =
            busy.as_ref().map_or(0, |busy| busy.booking.bytes().saturating_sub(busy.waiting.offered_bytes()));
        kept + passing
    }

    /// Whether frames pass through to an application that speaks WebSocket.
    pub fn passes_through(&self) -> bool {
        matches!(self.application, Application::Through(_))
    }
}

impl Holds {
    /// How large a message may become when it is inflated.
    pub(super) fn room_to_inflate(&self) -> usize {
        let most = self.context.settings().websocket.incoming_bytes_per_core;
        most.saturating_sub(self.context.accounts.incoming.bytes()).max(FREE_BYTES)
    }

    /// Books the bytes that a WebSocket keeps, and returns them.
    pub(super) fn count_kept(&self, socket: &Socket) -> usize {
        let mut busy = socket.busy.borrow_mut();
        let Some(busy) = &mut *busy else { return 0 };
        let bytes = busy.kept_bytes();
        busy.booking = self.context.accounts.incoming.book(bytes);
        bytes
    }

    /// Books the bytes that a WebSocket keeps. Returns whether it may keep them.
    pub(super) fn may_keep(&self, socket: &Socket) -> bool {
        self.count_kept(socket) <= FREE_BYTES
            || self.context.accounts.incoming.bytes()
                <= self.context.settings().websocket.incoming_bytes_per_core
    }

    /// Forgets the incomplete message of a client that is gone, because the message will never be complete.
    pub(super) fn forget_incoming(&self, socket: &Socket) {
        if let Some(busy) = &mut *socket.busy.borrow_mut() {
            busy.incoming = None;
        }
        self.count_kept(socket);
    }

    /// Forgets the events that the application has not got yet, because their client uses too much memory.
    pub(super) fn forget_waiting(&self, socket: &Socket) {
        if let Some(busy) = &mut *socket.busy.borrow_mut() {
            busy.waiting.forget();
        }
        self.count_kept(socket);
    }

    /// The tick at which the message that the client is sending must be complete, if the client is being read.
    pub(super) fn message_due(&self, socket: &Socket) -> Option<u32> {
        let busy = socket.busy.borrow();
        let incoming = busy.as_ref().filter(|busy| !busy.paused)?.incoming.as_ref()?;
        Some(incoming.begun.wrapping_add(ticks(self.context.settings().websocket.message_timeout_ms)))
    }

    /// Whether the message that the client is sending is late.
    pub(super) fn message_is_late(&self, socket: &Socket) -> bool {
        self.message_due(socket).is_some_and(|due| due.wrapping_sub(self.context.now()) as i32 <= 0)
    }

    /// Closes a WebSocket with `code`, because its message is late or there is no room for it.
    pub(super) fn refuse_message(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>, code: u16) {
        tracing::debug!(
            route = socket.route().id,
            code,
            "a WebSocket was closed: a message was late or there was no room for it"
        );
        self.context.metrics.refused_messages_total.add(1);
        self.forget_waiting(socket);
        let _ = self.clients.send(slot, close_frame(Some(&Close::with(code))));
        self.close_socket(slot, socket, true);
    }
}
