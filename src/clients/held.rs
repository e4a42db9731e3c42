//! What a client is held as: a long poll, a stream, or a WebSocket of some kind. A row knows it by one interface, so
//! nobody who delivers, closes, inspects or bounds clients asks of which kind one is. The kinds are in the room `held`.

use crate::channel::Transport;
use crate::ids::Slot;
use crate::proto::grip::{Format, Publication};
use bytes::Bytes;
use std::rc::Rc;
use uuid::Uuid;

/// Something that holds a client. One value may hold several clients that are held alike, so every method that is about
/// one client is told its slot.
pub trait Held {
    /// What it looks like from outside.
    fn describe(&self) -> Description;

    /// Bytes that are kept for it, beside what waits to be sent.
    fn kept_bytes(&self) -> usize {
        0
    }

    /// What the client has sent that its application did not get is forgotten: memory is short.
    fn forget_waiting(&self) {}

    /// The client has sent `bytes`.
    fn received(self: Rc<Self>, slot: Slot, bytes: &[u8]);

    /// The client has taken everything that it was sent.
    fn drained(self: Rc<Self>, _slot: Slot) {}

    /// The client has taken a part of what it was sent.
    fn took(&self) {}

    /// The timer of the client has fired.
    fn is_due(self: Rc<Self>, slot: Slot);

    /// The client is held no more: it is gone, or its connection closes.
    fn ended(self: Rc<Self>, slot: Slot);

    /// All channels that it has joined are in force, or one more of a WebSocket's.
    fn subscribed(self: Rc<Self>, slot: Slot);

    /// What `item` has for the client, by the part of the item that is for its kind; `None` if that is nothing.
    fn offer(&self, item: &Publication) -> Option<ItemOffer>;

    /// Writes `item` to the client, with `content` in the place of its own if filters have made any.
    ///
    /// # Errors
    /// When the item is not delivered.
    fn deliver(
        self: Rc<Self>,
        slot: Slot,
        item: &Publication,
        content: Option<Bytes>,
    ) -> Result<(), Undeliverable>;

    /// An item that was written to the client ends it: the body of a stream, or a WebSocket with a close.
    fn end(self: Rc<Self>, slot: Slot);

    /// Closes it, and tells its client why, as far as its kind allows.
    fn close(self: Rc<Self>, slot: Slot, reason: CloseReason<'_>);

    /// Has its application asked what the client has missed, if there is something to ask.
    fn refetch(self: Rc<Self>, slot: Slot, reason: Reason);

    /// Has its application asked for what it has, now; whether there is something to ask.
    fn refresh(self: Rc<Self>, slot: Slot) -> bool;
}

/// What is held, as it looks from outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Description {
    /// How it is written to; `None` if it is not open yet.
    pub transport: Option<Transport>,
    /// It is a WebSocket.
    pub is_socket: bool,
    /// The id that its application knows it by, if it does.
    pub id_of_application: Option<Uuid>,
    /// Bytes go straight between its client and an application.
    pub passes_through: bool,
    /// Its client is told why something fails.
    pub debug: bool,
}

/// What an item has for a subscriber.
#[derive(Debug)]
pub struct ItemOffer {
    /// The part of the item.
    pub format: Format,
    /// `None` if it is no message but says what to do.
    pub content: Option<Bytes>,
}

/// Why an item was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undeliverable {
    /// Filters have made of its content what its kind of message cannot hold.
    Unsendable,
    /// There was no room for it, or the client is not held any more.
    Dropped,
}

/// Why something that is held is closed.
#[derive(Clone, Copy, Debug)]
pub enum CloseReason<'r> {
    /// An operator wants it so.
    Operator,
    /// An item could not be delivered, and its developer is told why.
    Undelivered(&'r str),
}

/// Why an application is asked again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A publisher said so.
    Hint,
    /// Its answer was behind what is published when it came, so many times in a row.
    Behind(u32),
    /// Something was missed, or may have been: all who hear of it hear at once.
    Missed,
    /// It could not be asked, so many times in a row.
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
