//! Books the bytes that the WebSockets of a core keep for messages from clients: incomplete messages, and events that
//! wait for applications. The bytes are booked for each WebSocket, and bounded for all together (`context::rules`).

use super::socket::{Application, Busy, Socket};
use crate::context::{Kind, Owner, ticks};
use crate::held::Holds;
use crate::ids::Slot;
use crate::proto::client_network::ClientNetwork;
use crate::proto::websocket::{Close, close_frame};
use crate::requests::forwarding::client_network;
use std::rc::Rc;

impl Busy {
    /// Books the bytes that it keeps for `owner`, and returns them.
    fn count(&mut self, owner: &Rc<Owner>) -> usize {
        let waiting = self.incoming.as_ref().map_or(0, |incoming| incoming.bytes()) + self.waiting.bytes();
        let offered = self.waiting.offered_bytes();
        self.booking = owner.clone().book(Kind::Incoming, waiting);
        // A request that is under way goes on even if the client is reset.
        self.offered = owner.clone().book_beyond_connection(Kind::Incoming, offered);
        waiting + offered
    }
}

impl Socket {
    /// Tells that the client is in `network`, which a request to the application has shown.
    pub fn is_at(&self, network: ClientNetwork) {
        if let Some(owner) = self.busy.borrow().as_ref().and_then(|busy| busy.booking.owner()) {
            owner.is_at(network);
        }
    }

    /// Whether frames pass through to an application that speaks WebSocket.
    pub fn passes_through(&self) -> bool {
        matches!(self.application, Application::Through(_))
    }
}

impl Holds {
    /// How large a message may become when it is inflated.
    pub(super) fn room_to_inflate(&self) -> usize {
        self.context.room_for(Kind::Incoming)
    }

    /// Books the bytes that the WebSocket in `slot` keeps, and returns them.
    pub(super) fn count_kept(&self, slot: Slot, socket: &Socket) -> usize {
        let known = match &*socket.busy.borrow() {
            Some(busy) => busy.booking.owner().cloned(),
            None => return 0,
        };
        let owner = known.unwrap_or_else(|| self.owner_of(slot, socket));
        socket.busy().count(&owner)
    }

    /// Books the bytes that the WebSocket in `slot` keeps. Returns whether it may keep them.
    pub(super) fn may_keep(&self, slot: Slot, socket: &Socket) -> bool {
        let bytes = self.count_kept(slot, socket);
        self.context.may_keep(Kind::Incoming, bytes)
    }

    /// The owner of the bytes that are kept for the WebSocket in `slot`. Its address may be that of a proxy at first, until
    /// the next request to the application shows the client's own. For an incomplete message that may take long, so its
    /// address is found at once.
    pub(super) fn owner_of(&self, slot: Slot, socket: &Socket) -> Rc<Owner> {
        let is_gone = socket.gone.get();
        // Another client may be in the slot of a client that is gone.
        let owner = match is_gone {
            true => self.context.accounts.nobody(),
            false => self.clients.owner(slot),
        };
        let waits = socket.busy.borrow().as_ref().is_some_and(|busy| busy.incoming.is_some());
        if is_gone || waits && self.context.settings().http.trusted_proxies.is_some() {
            owner.is_at(self.network_of(socket));
        }
        owner.asks(socket.route().application());
        owner
    }

    /// The network of the WebSocket's client.
    pub(super) fn network_of(&self, socket: &Socket) -> ClientNetwork {
        match &socket.application {
            Application::OverHttp(over_http) => {
                client_network(&self.context.settings(), &over_http.handshake())
            }
            Application::Through(through) => through.client,
            Application::SockJs(session) => session.client(),
        }
    }

    /// Books the bytes that a WebSocket still keeps, which are fewer than before.
    fn count_rest(&self, socket: &Socket) {
        if let Some(busy) = &mut *socket.busy.borrow_mut()
            && let Some(owner) = busy.booking.owner().cloned()
        {
            busy.count(&owner);
        }
    }

    /// Forgets the incomplete message of a client that is gone, because the message will never be complete.
    pub(super) fn forget_incoming(&self, socket: &Socket) {
        if let Some(busy) = &mut *socket.busy.borrow_mut() {
            busy.incoming = None;
        }
        self.count_rest(socket);
    }

    /// Forgets the events that the application has not got yet, because their client uses too much memory.
    pub(super) fn forget_waiting(&self, socket: &Socket) {
        if let Some(busy) = &mut *socket.busy.borrow_mut() {
            busy.waiting.forget();
        }
        self.count_rest(socket);
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
