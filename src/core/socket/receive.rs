//! What the client of a WebSocket sends, and how its connection ends.

use super::clock::Due;
use super::{Closing, Incoming, Socket, WAITING_BYTES};
use crate::core::Core;
use crate::core::row::Phase;
use crate::ids::Slot;
use crate::proto::grip::WebSocketEvent;
use crate::proto::websocket::{Close, Event, Kind, ProtocolError, close_frame};
use bytes::Bytes;
use std::rc::Rc;

/// How long a client may take to answer a close, ms.
const CLOSE_MS: u64 = 10_000;

impl Core {
    /// Bytes of the client.
    pub(in crate::core) fn socket_received(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>, bytes: &[u8]) {
        match socket.decode(bytes) {
            Ok(()) => {}
            Err(error) => return self.fail_socket(slot, socket, &error),
        }
        if socket.closing.get() == Closing::Done && socket.waiting.borrow().events.is_empty() {
            return self.finish_socket(slot, socket);
        }
        let full = {
            let mut waiting = socket.waiting.borrow_mut();
            let full = waiting.bytes > WAITING_BYTES && !waiting.paused;
            waiting.paused |= full;
            full
        };
        if full {
            self.wire.borrow_mut().pause(slot);
        }
        self.talk(slot, socket);
    }

    /// The client broke the protocol: it is told so, and the application that it is gone.
    fn fail_socket(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>, error: &ProtocolError) {
        self.gauges.bad_requests_total.add(1);
        let frame = close_frame(Some(&Close::with(error.close_code())));
        let _ = self.wire.borrow_mut().send(slot, frame);
        self.part(slot, socket, true);
    }

    /// Both sides have closed.
    pub(super) fn finish_socket(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        self.part(slot, socket, false);
    }

    /// Ends a WebSocket once its client has taken what is queued.
    fn part(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>, linger: bool) {
        let is_current = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Socket(current)) => Rc::ptr_eq(current, socket),
            _ => false,
        };
        if is_current {
            self.leave(slot, linger);
            self.socket_ended(slot, socket);
        }
    }

    /// The client is gone: the application hears of it, unless it knows.
    pub(in crate::core) fn socket_ended(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        let knows = matches!(socket.closing.get(), Closing::ByClient | Closing::Done);
        if !socket.gone.get() && !knows {
            socket.tell(WebSocketEvent::Disconnect);
        }
        socket.end();
        self.talk(slot, socket);
    }

    /// What was published ends with a close: the client has it, and is to answer.
    pub(in crate::core) fn socket_was_closed(&self, slot: Slot, socket: &Socket) {
        if socket.closing.get() == Closing::No {
            socket.closing.set(Closing::ByServer);
            socket.clock.borrow_mut().give_up_in(self.now(), CLOSE_MS);
            self.wind(slot, socket);
        }
    }

    /// A publisher wants the application of the WebSocket in `slot` to be asked for events.
    pub(in crate::core) fn refresh_socket(self: &Rc<Self>, slot: Slot) {
        let socket = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Socket(socket)) => socket.clone(),
            _ => return,
        };
        if !socket.detached.get() {
            self.ask_socket(slot, &socket);
        }
    }

    /// The timer of a WebSocket.
    pub(in crate::core) fn socket_is_due(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        let published = self.subscriptions.borrow().last_socket_activity(slot);
        let due = {
            let mut clock = socket.clock.borrow_mut();
            published.into_iter().for_each(|tick| clock.sent(tick));
            clock.take_due(self.now())
        };
        for due in due {
            match due {
                Due::GiveUp => return self.close(slot),
                Due::Ask => self.ask_socket(slot, socket),
                Due::Send(frame) => self.send_by_the_clock(slot, frame),
            }
        }
        self.wind(slot, socket);
    }

    /// A client that does not take what was sent before has no use for a sign of life.
    fn send_by_the_clock(&self, slot: Slot, frame: Bytes) {
        let mut wire = self.wire.borrow_mut();
        if !wire.is_backlogged(slot) {
            let _ = wire.send(slot, frame);
        }
    }

    /// Sets the timer of a WebSocket to what is due next.
    pub(super) fn wind(&self, slot: Slot, socket: &Socket) {
        if socket.gone.get() {
            return;
        }
        let next = socket.clock.borrow().next();
        let mut timers = self.timers.borrow_mut();
        match next {
            Some(due) => timers.set(slot, due),
            None => timers.cancel(slot),
        }
    }
}

impl Socket {
    /// Takes events out of `bytes` and what has arrived before.
    fn decode(&self, bytes: &[u8]) -> Result<(), ProtocolError> {
        let mut kept = self.incoming.borrow_mut();
        let incoming = kept.get_or_insert_with(|| Box::new(Incoming::new()));
        incoming.carry.extend_from_slice(bytes);
        while !matches!(self.closing.get(), Closing::ByClient | Closing::Done) {
            let decoded = incoming.decoder.decode(&mut incoming.carry)?;
            let used = decoded.used;
            let event = match decoded.event {
                None if used == 0 => break,
                None => None,
                Some(Event::Data { kind, bytes, ends }) => {
                    incoming.message.extend_from_slice(bytes);
                    ends.then(|| message(kind, incoming.message.split().freeze()))
                }
                Some(Event::Ping(content)) => Some(WebSocketEvent::Ping(Bytes::copy_from_slice(content))),
                Some(Event::Pong(content)) => Some(WebSocketEvent::Pong(Bytes::copy_from_slice(content))),
                Some(Event::Close(close)) => {
                    let answers = self.closing.get() == Closing::ByServer;
                    self.closing.set(if answers { Closing::Done } else { Closing::ByClient });
                    Some(WebSocketEvent::Close(close))
                }
            };
            let _ = incoming.carry.split_to(used);
            event.into_iter().for_each(|event| self.tell(event));
        }
        if incoming.is_idle() {
            *kept = None;
        }
        Ok(())
    }
}

fn message(kind: Kind, content: Bytes) -> WebSocketEvent {
    match kind {
        Kind::Text => WebSocketEvent::Text(content),
        Kind::Binary => WebSocketEvent::Binary(content),
    }
}
