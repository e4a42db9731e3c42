//! WebSockets that applications see as HTTP requests (WebSocket-over-HTTP). `open` asks the application with OPEN, `talk`
//! brings it what the client sends (`offer`), one request at a time, and does what its answers say (`answer`); `pings` is
//! about clients that fall silent, `handshake` keeps what every request repeats. There is a task only while a request
//! is on its way.

mod answer;
mod handshake;
mod offer;
mod open;
mod pings;
mod talk;

use super::life::note_ping;
use super::socket::{Application, Busy, Closing, Socket};
use crate::clients::Request;
use crate::held::Holds;
use crate::ids::Slot;
use crate::proto::grip::WebSocketEvent;
use crate::proto::websocket::{Compression, ProtocolError, Seen};
use bytes::Bytes;
use handshake::Handshake;
pub(super) use offer::Waiting;
use pings::Pings;
use std::cell::Cell;
use std::mem;
use std::rc::Rc;
use uuid::Uuid;

/// Bytes of events that may wait for the application; beyond them the client is not read. Also the largest request, if
/// it has more than one event.
const WAITING_BYTES: usize = 200_000;
/// A client that is not read is read again when fewer bytes wait.
const RESUME_BYTES: usize = WAITING_BYTES / 2;
/// What an event takes beside its content: its place in a queue that may be half empty, and the allocation of its
/// content.
const EVENT_BYTES: usize = 128;

/// What a WebSocket over HTTP has always.
pub(super) struct OverHttp {
    handshake: Handshake,
    /// Connection-Id.
    id: Uuid,
    /// Seconds of idleness after which the application is asked whether it has anything; 0 is never.
    interval_s: Cell<u32>,
    /// The application speaks GRIP: messages have a prefix, and some are for this server.
    grip: Cell<bool>,
    /// The application takes one event at a time.
    one_event: Cell<bool>,
    /// How messages are compressed, if they may be.
    compression: Option<Compression>,
    pings: Pings,
}

impl OverHttp {
    fn new(request: &Request, compression: Option<Compression>, id: Uuid, now: u32) -> OverHttp {
        OverHttp {
            handshake: Handshake::keep(request),
            id,
            interval_s: Cell::new(0),
            grip: Cell::new(false),
            one_event: Cell::new(false),
            compression,
            pings: Pings::new(now),
        }
    }

    /// The client's handshake, as far as it was kept.
    pub fn handshake(&self) -> Request {
        self.handshake.request()
    }
}

impl Socket {
    /// What it is over HTTP, if that is how it is served.
    fn over_http(&self) -> Option<&OverHttp> {
        match &self.application {
            Application::OverHttp(over_http) => Some(over_http),
            Application::Through(_) | Application::SockJs(_) => None,
        }
    }

    /// Its Connection-Id, if its application knows one.
    pub fn connection_id(&self) -> Option<Uuid> {
        self.over_http().map(|over_http| over_http.id)
    }

    /// Whether its application can be asked whether it has anything.
    pub fn can_be_asked(&self) -> bool {
        !self.detached.get() && self.over_http().is_some()
    }

    /// How its messages are compressed, if they may be.
    pub(super) fn compression(&self) -> Option<Compression> {
        self.over_http()?.compression
    }

    /// Whether no more events may wait for the application.
    fn is_full(&self) -> bool {
        self.busy.borrow().as_ref().is_some_and(|busy| busy.waiting.bytes() > WAITING_BYTES)
    }

    /// Queues an event for the application.
    pub(super) fn tell(&self, event: WebSocketEvent) {
        if !self.detached.get() {
            self.busy().waiting.push(event);
        }
    }
}

impl Holds {
    /// Bytes of a client whose application takes part.
    pub(super) fn received_over_http(
        self: &Rc<Self>,
        slot: Slot,
        socket: &Rc<Socket>,
        bytes: &[u8],
    ) -> Result<(), ProtocolError> {
        self.heard(socket);
        if matches!(socket.closing.get(), Closing::ByClient | Closing::Done) {
            return Ok(());
        }
        // A few bytes may be an event, which takes many: beyond the bound they stay as they came.
        let mut pings = Vec::new();
        socket.decode(self, bytes, self.context.settings().websocket.message_bytes, |event| {
            self.take(slot, socket, event, &mut pings) && !socket.is_full()
        })?;
        self.answer_pings(slot, &pings);
        if !self.may_keep(socket) {
            // Nothing of it is on its way to the application yet.
            return Ok(());
        }
        if socket.closing.get() == Closing::Done && socket.busy.borrow().is_none() {
            self.part(slot, socket, false);
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

    /// One event of the client, which adds to `pings` that are to be answered; whether another may follow.
    fn take(&self, slot: Slot, socket: &Socket, event: WebSocketEvent, pings: &mut Vec<Bytes>) -> bool {
        match event {
            WebSocketEvent::Ping(content) if self.context.settings().websocket.answer_pings => {
                note_ping(pings, content);
            }
            WebSocketEvent::Pong(content) if self.is_own_ping(&content) => {}
            WebSocketEvent::Close(close) => {
                let answers = socket.closing.get() == Closing::ByServer;
                socket.closing.set(if answers { Closing::Done } else { Closing::ByClient });
                socket.tell(WebSocketEvent::Close(close));
                return false;
            }
            event => {
                if let WebSocketEvent::Text(content) | WebSocketEvent::Binary(content) = &event {
                    self.count_heard(slot, socket, Seen::message(content));
                }
                socket.tell(event);
            }
        }
        true
    }

    /// The client is gone: the application is told, unless it knows.
    pub(super) fn tell_of_end(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        if !matches!(socket.closing.get(), Closing::ByClient | Closing::Done) {
            socket.tell(WebSocketEvent::Disconnect);
        }
        self.talk(slot, socket);
    }
}
