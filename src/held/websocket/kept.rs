//! What the WebSockets of a core keep of what their clients send: messages that are not whole, and events that wait for
//! applications. It is counted for each, given back when that lets go of it, and bounded for all together. A few
//! kilobytes of each are free, so that whoever sends short messages goes on when others have used up the bound.

use super::socket::{Application, Busy, Socket};
use crate::context::ticks;
use crate::held::Holds;
use crate::ids::Slot;
use crate::proto::websocket::{Close, close_frame};
use std::rc::Rc;

/// What a WebSocket may keep whatever others keep.
const FREE_BYTES: usize = 16 * 1024;

impl Busy {
    fn kept_bytes(&self) -> usize {
        self.incoming.as_ref().map_or(0, |incoming| incoming.bytes()) + self.waiting.kept_bytes()
    }
}

impl Socket {
    /// Bytes that are kept of what its client sends.
    pub fn kept_bytes(&self) -> usize {
        // The request that is under way goes on without its client.
        let passing = match &self.application {
            Application::Through(through) => through.kept_bytes(),
            _ => 0,
        };
        let busy = self.busy.borrow();
        let kept =
            busy.as_ref().map_or(0, |busy| busy.booking.bytes().saturating_sub(busy.waiting.offered_bytes()));
        kept + passing
    }

    /// Whether its frames pass through to an application that speaks WebSocket.
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

    /// Counts what a WebSocket keeps; how much it is.
    pub(super) fn count_kept(&self, socket: &Socket) -> usize {
        let mut busy = socket.busy.borrow_mut();
        let Some(busy) = &mut *busy else { return 0 };
        let bytes = busy.kept_bytes();
        busy.booking = self.context.accounts.incoming.book(bytes);
        bytes
    }

    /// The same; whether it may keep that.
    pub(super) fn may_keep(&self, socket: &Socket) -> bool {
        self.count_kept(socket) <= FREE_BYTES
            || self.context.accounts.incoming.bytes()
                <= self.context.settings().websocket.incoming_bytes_per_core
    }

    /// The client is gone: what it has begun will never be whole, however long its application takes for the rest.
    pub(super) fn forget_incoming(&self, socket: &Socket) {
        if let Some(busy) = &mut *socket.busy.borrow_mut() {
            busy.incoming = None;
        }
        self.count_kept(socket);
    }

    /// The client takes too much: its application does not get what it has not got yet.
    pub(super) fn forget_waiting(&self, socket: &Socket) {
        if let Some(busy) = &mut *socket.busy.borrow_mut() {
            busy.waiting.forget();
        }
        self.count_kept(socket);
    }

    /// When the message that a client is sending must be whole, if it is read.
    pub(super) fn message_due(&self, socket: &Socket) -> Option<u32> {
        let busy = socket.busy.borrow();
        let incoming = busy.as_ref().filter(|busy| !busy.paused)?.incoming.as_ref()?;
        Some(incoming.begun.wrapping_add(ticks(self.context.settings().websocket.message_timeout_ms)))
    }

    /// Whether that time is over.
    pub(super) fn message_is_late(&self, socket: &Socket) -> bool {
        self.message_due(socket).is_some_and(|due| due.wrapping_sub(self.context.now()) as i32 <= 0)
    }

    /// Closes a WebSocket whose client takes more than its share, with `code`.
    pub(super) fn refuse_message(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>, code: u16) {
        tracing::debug!(
            route = socket.route().id,
            code,
            "a WebSocket is closed: its message is too large or late"
        );
        self.context.metrics.refused_messages_total.add(1);
        self.forget_waiting(socket);
        let _ = self.clients.send(slot, close_frame(Some(&Close::with(code))));
        self.close_socket(slot, socket, true);
    }
}
