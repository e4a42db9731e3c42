//! Receipts: how many subscribers an item reached. The publisher's core gives an item a [`Receipt`]; its home says how
//! many cores it went to, and each of them reports a [`Reach`] when its fan-out has passed the last subscriber. An
//! item with a receipt has a pass of its own, so that counting costs others nothing.

use super::audience::Audience;
use super::roster::Transport;
use crate::ids::CoreId;

/// Whom to tell about an item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Receipt {
    /// The core its publisher is on.
    pub core: CoreId,
    /// The publish call, by that core's count.
    pub ticket: u64,
    /// The item, by its place in the call.
    pub item: u32,
}

/// Whom an item reached.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reach {
    /// Those that were sent it, or did what it says.
    pub received: Audience,
    /// Subscribers that did not get it, because they did not take what came before.
    pub dropped: u32,
}

/// A part of a pass whose one item has a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counting {
    /// The item's.
    pub receipt: Receipt,
    /// The transport of those who are written to; `None` if nobody is.
    pub transport: Option<Transport>,
    /// Nobody is left after these.
    pub is_last: bool,
}

impl Reach {
    /// Counts `other` too.
    pub fn add(&mut self, other: Reach) {
        self.received.add(other.received);
        self.dropped = self.dropped.saturating_add(other.dropped);
    }
}
