//! A WebSocket as a hold: implements [`Held`].

use super::socket::{Application, Socket};
use crate::channel::Transport;
use crate::clients::{CloseReason, Description, Held, ItemOffer, Reason, Undeliverable};
use crate::ids::Slot;
use crate::proto::grip::{Format, Publication, SocketFormat};
use bytes::Bytes;
use std::rc::Rc;

impl Held for Socket {
    fn describe(&self) -> Description {
        Description {
            transport: Some(Transport::Socket),
            is_socket: true,
            id_of_application: self.connection_id(),
            passes_through: self.passes_through(),
            debug: self.route().debug,
            can_end: self.can_end(),
        }
    }

    fn forget_waiting(&self) {
        self.holds().forget_waiting(self);
    }

    fn received(self: Rc<Self>, slot: Slot, bytes: &[u8]) {
        self.holds().socket_received(slot, &self, bytes);
    }

    fn drained(self: Rc<Self>, _slot: Slot) {
        self.wake();
    }

    fn took(&self) {
        self.holds().heard(self);
    }

    fn is_due(self: Rc<Self>, slot: Slot) {
        self.holds().socket_is_due(slot, &self);
    }

    fn ended(self: Rc<Self>, slot: Slot) {
        self.holds().socket_ended(slot, &self);
    }

    fn subscribed(self: Rc<Self>, _slot: Slot) {
        self.wake();
    }

    fn offer(&self, item: &Publication) -> Option<ItemOffer> {
        let content = match item.socket.as_ref()? {
            SocketFormat::Message { content, .. } => Some(content.clone()),
            SocketFormat::Close(_) | SocketFormat::Refresh => None,
        };
        Some(ItemOffer { format: Format::Socket, content })
    }

    fn deliver(
        self: Rc<Self>,
        slot: Slot,
        item: &Publication,
        content: Option<Bytes>,
    ) -> Result<(), Undeliverable> {
        self.send_published(slot, item, content)
    }

    fn end(self: Rc<Self>, slot: Slot) {
        self.holds().close_was_sent(slot, &self);
    }

    fn close(self: Rc<Self>, slot: Slot, reason: CloseReason<'_>) {
        match reason {
            CloseReason::Operator => self.holds().close_normally(slot, &self),
            CloseReason::Drain => self.holds().drain_socket(slot, &self),
            CloseReason::Undelivered(error) => self.fail_undelivered(slot, error),
        }
    }

    /// Does nothing, because WebSockets follow no ids.
    fn refetch(self: Rc<Self>, _slot: Slot, _reason: Reason) {}

    fn pack(self: Rc<Self>, slot: Slot) -> Option<Bytes> {
        self.packed(slot)
    }

    fn stop(self: Rc<Self>, _slot: Slot) {
        if let Application::Through(through) = &self.application {
            through.stop();
        }
    }

    fn go_on(self: Rc<Self>, slot: Slot) {
        self.holds().relay_again(slot, &self);
    }

    fn moved(self: Rc<Self>, slot: Slot) {
        self.holds().delivery.unsubscribe(slot);
        // The other process has the events and the bytes for the application: nothing of them is sent from here.
        self.holds().forget_waiting(&self);
        if let Application::Through(through) = &self.application {
            through.stop();
        }
        self.gone.set(true);
        if let Some(busy) = &mut *self.busy.borrow_mut() {
            // The other process tells the application.
            busy.waiting.forget();
            busy.ask_again = false;
        }
        self.wake();
    }

    fn refresh(self: Rc<Self>, slot: Slot) -> bool {
        self.holds().refresh_socket(slot, &self)
    }
}
