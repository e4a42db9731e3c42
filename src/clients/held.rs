//! The interface of every hold: a long poll, a stream, or a WebSocket of some kind. A row refers to its hold by this
//! trait, so code that delivers to clients, closes, inspects or bounds them does not depend on the kind of hold. The
//! room `held` implements the kinds.

use crate::channel::Transport;
use crate::ids::Slot;
use crate::proto::grip::{Format, Publication};
use bytes::Bytes;
use std::rc::Rc;
use uuid::Uuid;

/// A hold. One value may hold several clients in the same way, so every method about one client takes its slot.
pub trait Held {
    /// The properties of the hold that other rooms may know.
    fn describe(&self) -> Description;

    /// Forgets the client's bytes that its application has not got yet, because memory is short.
    fn forget_waiting(&self) {}

    /// The client has sent `bytes`.
    fn received(self: Rc<Self>, slot: Slot, bytes: &[u8]);

    /// The client has taken everything that it was sent.
    fn drained(self: Rc<Self>, _slot: Slot) {}

    /// The client has taken a part of its backlog.
    fn took(&self) {}

    /// The timer of the client has fired.
    fn is_due(self: Rc<Self>, slot: Slot);

    /// The client is no longer held: it is gone, or its connection is being closed.
    fn ended(self: Rc<Self>, slot: Slot);

    /// All channels that the client has joined are in force. For a WebSocket: one more of its channels is in force.
    fn subscribed(self: Rc<Self>, slot: Slot);

    /// The part of `item` for this kind of hold; `None` if the item has no such part.
    fn offer(&self, item: &Publication) -> Option<ItemOffer>;

    /// Writes `item` to the client. If filters have changed the item's content, `content` takes its place.
    ///
    /// # Errors
    /// If the item is not delivered.
    fn deliver(
        self: Rc<Self>,
        slot: Slot,
        item: &Publication,
        content: Option<Bytes>,
    ) -> Result<(), Undeliverable>;

    /// An item that was written to the client ends the hold: the body of a stream, or a WebSocket with a close.
    fn end(self: Rc<Self>, slot: Slot);

    /// Closes the hold, and tells its client the reason as far as the kind of hold can.
    fn close(self: Rc<Self>, slot: Slot, reason: CloseReason<'_>);

    /// Asks the client's application for items that the client has missed, if the hold has a request that can be made
    /// again.
    fn refetch(self: Rc<Self>, slot: Slot, reason: Reason);

    /// The hold of the client as bytes from which another process makes it again; `None` if the client cannot move now.
    fn pack(self: Rc<Self>, slot: Slot) -> Option<Bytes>;

    /// Stops what is under way for the client by itself, because the client may move to another process.
    fn stop(self: Rc<Self>, _slot: Slot) {}

    /// Goes on with what was stopped: the client has not moved.
    fn go_on(self: Rc<Self>, _slot: Slot) {}

    /// Another process holds the client now. Its application is not told that it is gone.
    fn moved(self: Rc<Self>, slot: Slot);

    /// Asks the client's application at once, for the content of its answer or for events. Returns whether the hold can
    /// ask.
    fn refresh(self: Rc<Self>, slot: Slot) -> bool;
}

/// The properties of a hold that other rooms may know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Description {
    /// How items are written to the client; `None` if the hold is not open yet.
    pub transport: Option<Transport>,
    /// The hold is a WebSocket.
    pub is_socket: bool,
    /// The Connection-Id that the application knows, if there is one.
    pub id_of_application: Option<Uuid>,
    /// Bytes pass straight between the client and an application.
    pub passes_through: bool,
    /// The client is told why something fails.
    pub debug: bool,
    /// The hold can be closed now when the server is drained. A hold that is not open yet cannot, nor can one that ends by
    /// itself or waits for its application; it is looked at again.
    pub can_end: bool,
}

/// The part of an item for one subscriber.
#[derive(Debug)]
pub struct ItemOffer {
    /// The format of the part.
    pub format: Format,
    /// The content; `None` if the part is an action without a message.
    pub content: Option<Bytes>,
}

/// Why an item was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undeliverable {
    /// Filters have changed the content to something that this kind of message cannot hold.
    Unsendable,
    /// The backlog had no room, or the client is no longer held.
    Dropped,
}

/// Why a hold is closed.
#[derive(Clone, Copy, Debug)]
pub enum CloseReason<'r> {
    /// An operator closed it.
    Operator,
    /// The server is about to end, and the client is to connect again. The hold ends as at the end of its time.
    Drain,
    /// An item could not be delivered, and the route's `debug` option has the client told why.
    Undelivered(&'r str),
}

/// Why a hold refetches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A publisher sent a hint.
    Hint,
    /// The application's answer was behind the published items when it arrived, this many times in a row.
    Behind(u32),
    /// An item was missed, or may have been. Many holds find that out at the same time.
    Missed,
    /// The application could not be asked, this many times in a row.
    Failed(u32),
}

/// What becomes of bytes that the kernel still holds for a client whose connection is reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InKernel {
    /// The kernel still delivers them.
    Delivered,
    /// They are dropped.
    Discarded,
}
