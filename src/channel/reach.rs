//! How many subscribers an item reached. The publisher's core gives an item a [`Receipt`]; its home says how many cores
//! it went to, and each of them reports a [`Reach`] when its fan-out has passed the last subscriber. An item with a
//! receipt has a pass of its own, so that counting costs others nothing.

use super::audience::Audience;
use super::transport::Transport;
use crate::proto::grip::Receipt;

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
