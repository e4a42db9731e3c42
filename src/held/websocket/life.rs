//! Events of a WebSocket's life: its client sends, its timer fires, an item is published, it ends.

use super::clock::Due;
use super::socket::{Application, Closing, Socket};
use crate::clients::InKernel;
use crate::held::Holds;
use crate::ids::Slot;
use crate::proto::grip::WebSocketEvent;
use crate::proto::websocket::{Close, Opcode, ProtocolError, close_frame, frame};
use crate::wire::{Overflow, PortUse};
use bytes::Bytes;
use std::rc::Rc;

/// How long a client may take to answer a close, ms.
const CLOSE_MS: u64 = 10_000;
/// The same while the server is drained, ms.
const DRAIN_CLOSE_MS: u64 = 2_000;

impl Holds {
    /// Takes bytes from the client.
    pub(super) fn socket_received(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>, bytes: &[u8]) {
        let is_told = socket.detached.get() || socket.closing.get() == Closing::ByServer;
        let outcome = match &socket.application {
            Application::OverHttp(_) if !socket.detached.get() => {
                self.received_over_http(slot, socket, bytes)
            }
            Application::OverHttp(_) => self.received_without_application(slot, socket, bytes),
            Application::SockJs(session) if !is_told => self.received_sockjs(slot, socket, session, bytes),
            Application::SockJs(_) => self.received_without_application(slot, socket, bytes),
            Application::Through(through) if !is_told => self.received_through(slot, socket, through, bytes),
            Application::Through(through) => {
                self.received_without_application(slot, socket, through.skip(bytes))
            }
        };
        if let Err(error) = outcome {
            return self.fail_socket(slot, socket, &error);
        }
        if !self.may_keep(slot, socket) {
            return self.refuse_message(slot, socket, Close::TRY_AGAIN_LATER);
        }
        if self.message_due(socket).is_some() {
            self.wind(slot, socket);
        }
    }

    /// Takes bytes from a client whose application has detached, or was told of the end. Only pings and closes matter
    /// then.
    fn received_without_application(
        self: &Rc<Self>,
        slot: Slot,
        socket: &Rc<Socket>,
        bytes: &[u8],
    ) -> Result<(), ProtocolError> {
        let (mut has_closed, mut pings) = (None, Vec::new());
        if bytes.is_empty() {
            return Ok(());
        }
        socket.decode(self, bytes, self.context.settings().websocket.message_bytes, |event| {
            match event {
                WebSocketEvent::Ping(content) => note_ping(&mut pings, content),
                WebSocketEvent::Close(close) => has_closed = Some(close),
                _ => {}
            }
            has_closed.is_none()
        })?;
        self.answer_pings(slot, &pings);
        if let Some(close) = has_closed {
            if socket.closing.get() == Closing::No {
                let _ = self.clients.send(slot, close_frame(close.as_ref()));
            }
            self.close_socket(slot, socket, false);
        }
        Ok(())
    }

    /// The client has broken the protocol: sends it a close, and ends the WebSocket, which the application is told. No
    /// close is sent if one was sent already, because nothing may follow a close.
    fn fail_socket(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>, error: &ProtocolError) {
        self.context.metrics.bad_requests_total.add(1);
        let was_closed = match &socket.application {
            Application::Through(through) => through.has_closed(),
            Application::OverHttp(_) | Application::SockJs(_) => false,
        };
        if !was_closed && socket.closing.get() == Closing::No {
            let frame = close_frame(Some(&Close::with(error.close_code())));
            let _ = self.clients.send(slot, frame);
        }
        self.close_socket(slot, socket, true);
    }

    /// Closes the connection once the client has taken all queued bytes. `linger` says that the client may have sent
    /// bytes that nobody reads.
    pub(super) fn close_socket(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>, linger: bool) {
        if self.clients.is_held_by(slot, socket) {
            self.clients.close(slot, linger);
        }
    }

    /// The client is gone: tells the application, unless it was told.
    pub(super) fn socket_ended(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        self.delivery.unsubscribe(slot);
        let is_new = !socket.gone.get();
        if let (Application::Through(through), Closing::ByDrain) = (&socket.application, socket.closing.get())
        {
            through.close(Some(&Close::with(Close::GOING_AWAY)));
        }
        socket.end();
        // Its application gets the client's last bytes, if the task was stopped for a hand-over.
        self.relay_again(slot, socket);
        self.forget_incoming(socket);
        if is_new && matches!(socket.application, Application::OverHttp(_)) {
            self.tell_of_end(slot, socket);
        }
    }

    /// The client was sent a close, and must answer it in time.
    pub(super) fn close_was_sent(&self, slot: Slot, socket: &Socket) {
        if socket.closing.get() == Closing::No {
            self.await_close(slot, socket, Closing::ByServer);
            if let Application::Through(through) = &socket.application {
                through.close(None);
            }
        }
    }

    fn await_close(&self, slot: Slot, socket: &Socket, closing: Closing) {
        socket.closing.set(closing);
        // Nothing may follow a close.
        self.delivery.unsubscribe(slot);
        socket.rare().clock.give_up_in(self.context.now(), self.close_ms());
        self.wind(slot, socket);
    }

    /// How long a client may take to answer a close, ms.
    fn close_ms(&self) -> u64 {
        match self.clients.is_draining(PortUse::Clients) {
            true => DRAIN_CLOSE_MS,
            false => CLOSE_MS,
        }
    }

    /// Closes the WebSocket in `slot` because the server is about to end. Its application gets what the client says until the
    /// client answers the close, and is then told that the client is gone.
    pub(super) fn drain_socket(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        if !socket.can_end() {
            return;
        }
        let frame = close_frame(Some(&Close::with(Close::GOING_AWAY)));
        match self.clients.send(slot, frame) {
            Ok(()) => self.await_close(slot, socket, Closing::ByDrain),
            Err(Overflow) => self.clients.reset_overflowed(slot),
        }
        self.context.wake();
    }

    /// Closes the WebSocket in `slot` normally, for an operator.
    pub(super) fn close_normally(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        let frame = close_frame(Some(&Close::with(Close::NORMAL)));
        let is_open = socket.closing.get() == Closing::No;
        if is_open && self.clients.send(slot, frame).is_ok() {
            self.close_was_sent(slot, socket);
            self.context.wake();
        } else {
            self.clients.reset(slot, InKernel::Delivered);
        }
    }

    /// Asks the application of the WebSocket for events, for a publisher. Returns whether the application can be asked.
    pub(super) fn refresh_socket(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) -> bool {
        let can_ask = socket.can_be_asked();
        if can_ask {
            self.ask_socket(slot, socket);
        }
        can_ask
    }

    /// The timer of a WebSocket has fired.
    pub(super) fn socket_is_due(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        let published = self.delivery.last_socket_activity(slot);
        let mut due = Vec::new();
        if let Some(rare) = &mut *socket.rare.borrow_mut() {
            published.into_iter().for_each(|tick| rare.clock.sent(tick));
            due = rare.clock.take_due(self.context.now());
        }
        for due in due {
            match due {
                // The client cannot answer a close that it has not read yet.
                Due::GiveUp if self.clients.takes_within(slot, self.close_ms()) => {
                    socket.rare().clock.give_up_in(self.context.now(), self.close_ms());
                }
                Due::GiveUp => return self.clients.reset(slot, InKernel::Delivered),
                Due::Ask => self.ask_socket(slot, socket),
                Due::Send(frame) => self.send_if_taken(slot, frame),
            }
        }
        if self.message_is_late(socket) {
            return self.refuse_message(slot, socket, Close::POLICY);
        }
        if self.is_silent(slot, socket) {
            tracing::debug!(
                route = socket.route().id,
                "a WebSocket was reset: its client does not answer pings (websocket.pong_timeout_ms)"
            );
            return self.clients.reset(slot, InKernel::Delivered);
        }
        self.wind(slot, socket);
    }

    /// Answers pings that came together, with one send.
    pub(super) fn answer_pings(&self, slot: Slot, pings: &[Bytes]) {
        if !pings.is_empty() {
            let pongs: Vec<Bytes> = pings.iter().map(|content| frame(Opcode::Pong, content)).collect();
            self.send_if_taken(slot, pongs.concat().into());
        }
    }

    /// Sends a frame that only shows that this side is alive. A client with a backlog does not need it.
    pub(super) fn send_if_taken(&self, slot: Slot, frame: Bytes) {
        if !self.clients.is_backlogged(slot) {
            let _ = self.clients.send(slot, frame);
        }
        self.context.wake();
    }

    /// Sets the timer of a WebSocket to its next action.
    pub(super) fn wind(&self, slot: Slot, socket: &Socket) {
        if socket.gone.get() {
            return;
        }
        let by_clock = socket.rare.borrow().as_ref().and_then(|rare| rare.clock.next());
        let next = by_clock.into_iter().chain(self.ping_due(socket)).chain(self.message_due(socket));
        let next = next.min_by_key(|due| due.wrapping_sub(self.context.now()) as i32);
        match next {
            Some(due) => self.clients.set_timer_at(slot, due),
            None => self.clients.cancel_timer(slot),
        }
    }
}

/// How many of the pings that came together are answered.
const PINGS: usize = 16;

/// Adds a ping to those that will be answered. If there are more than [`PINGS`], the last is still among them, which is
/// enough (RFC 6455 section 5.5.3). A client can send thousands at once.
pub(super) fn note_ping(pings: &mut Vec<Bytes>, content: Bytes) {
    pings.truncate(PINGS - 1);
    pings.push(content);
}
