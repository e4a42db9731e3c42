//! Takes what the client of a WebSocket over HTTP sends, and queues it for the application.

use super::event_batch::WAITING_BYTES;
use super::state::OverHttp;
use crate::held::Holds;
use crate::held::websocket::life::note_ping;
use crate::held::websocket::socket::{Application, Busy, Closing, Socket};
use crate::ids::Slot;
use crate::proto::grip::WebSocketEvent;
use crate::proto::websocket::{Compression, ProtocolError, Seen};
use bytes::Bytes;
use std::mem;
use std::rc::Rc;
use uuid::Uuid;

impl Socket {
    /// The state of a WebSocket over HTTP; `None` for other kinds.
    pub(super) fn over_http(&self) -> Option<&OverHttp> {
        match &self.application {
            Application::OverHttp(over_http) => Some(over_http),
            Application::Through(_) | Application::SockJs(_) => None,
        }
    }

    /// The Connection-Id, if the application knows one.
    pub fn connection_id(&self) -> Option<Uuid> {
        self.over_http().map(|over_http| over_http.id)
    }

    /// Whether the application can be asked for events.
    pub fn can_be_asked(&self) -> bool {
        !self.detached.get() && self.over_http().is_some()
    }

    /// How messages are compressed, if compression was agreed.
    pub(in crate::held::websocket) fn compression(&self) -> Option<Compression> {
        self.over_http()?.compression
    }

    /// Whether the queue of events for the application is full.
    fn is_full(&self) -> bool {
        self.busy.borrow().as_ref().is_some_and(|busy| busy.waiting.bytes() > WAITING_BYTES)
    }

    /// Queues an event for the application.
    pub(in crate::held::websocket) fn tell(&self, event: WebSocketEvent) {
        if !self.detached.get() {
            self.busy().waiting.push(event);
        }
    }
}

impl Holds {
    /// Takes bytes from a client whose application is attached.
    pub(in crate::held::websocket) fn received_over_http(
        self: &Rc<Self>,
        slot: Slot,
        socket: &Rc<Socket>,
        bytes: &[u8],
    ) -> Result<(), ProtocolError> {
        self.heard(socket);
        let was_closing = socket.closing.get();
        if matches!(was_closing, Closing::ByClient | Closing::Done) {
            return Ok(());
        }
        // An event takes more memory than its bytes. So beyond the bound, bytes are kept undecoded.
        let mut pings = Vec::new();
        socket.decode(self, bytes, self.context.settings().websocket.message_bytes, |event| {
            self.take(slot, socket, event, &mut pings) && !socket.is_full()
        })?;
        self.answer_pings(slot, &pings);
        if !self.may_keep(slot, socket) {
            // The caller closes the WebSocket, and none of these events has been sent.
            return Ok(());
        }
        let is_told_later = was_closing == Closing::ByDrain || socket.busy.borrow().is_none();
        if socket.closing.get() == Closing::Done && is_told_later {
            self.close_socket(slot, socket, false);
            return Ok(());
        }
        let is_first = |busy: &mut Box<Busy>| !mem::replace(&mut busy.paused, true);
        let pauses = socket.is_full() && socket.busy.borrow_mut().as_mut().is_some_and(is_first);
        if pauses {
            self.clients.pause(slot);
        }
        self.talk(slot, socket);
        Ok(())
    }

    /// Handles one event of the client. Adds pings that must be answered to `pings`. Returns whether another event may
    /// follow.
    fn take(&self, slot: Slot, socket: &Socket, event: WebSocketEvent, pings: &mut Vec<Bytes>) -> bool {
        match event {
            WebSocketEvent::Ping(content) if self.context.settings().websocket.answer_pings => {
                note_ping(pings, content);
            }
            WebSocketEvent::Pong(content) if self.is_own_ping(&content) => {}
            WebSocketEvent::Close(close) => {
                let (closing, event) = match socket.closing.get() {
                    Closing::ByServer => (Closing::Done, WebSocketEvent::Close(close)),
                    // The client answers the close of a server that ends. It has not ended the WebSocket by its own will.
                    Closing::ByDrain => (Closing::Done, WebSocketEvent::Disconnect),
                    _ => (Closing::ByClient, WebSocketEvent::Close(close)),
                };
                socket.closing.set(closing);
                socket.tell(event);
                return false;
            }
            WebSocketEvent::Text(content) => self.said(slot, socket, content, WebSocketEvent::Text),
            WebSocketEvent::Binary(content) => self.said(slot, socket, content, WebSocketEvent::Binary),
            event => socket.tell(event),
        }
        true
    }

    /// The client has sent a message of this `kind`, which waits for the application from now on.
    ///
    /// Every message of such a client passes here, once, whole and in order, however often it is offered to the
    /// application afterwards. This is where a hook on messages is called: it may let the message go on, put another in its
    /// place, drop it, or close the WebSocket. For a hook that takes its time the message waits with the events, not to be
    /// offered yet; the events after it wait behind it, and a client that sends too many is not read.
    fn said(&self, slot: Slot, socket: &Socket, content: Bytes, kind: fn(Bytes) -> WebSocketEvent) {
        self.count_heard(slot, socket, Seen::message(&content));
        socket.tell(kind(content));
    }

    /// The client is gone: tells the application, unless it was told.
    pub(in crate::held::websocket) fn tell_of_end(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        if !matches!(socket.closing.get(), Closing::ByClient | Closing::Done) {
            socket.tell(WebSocketEvent::Disconnect);
        }
        self.talk(slot, socket);
    }
}
