//! The number of subscribers that an item reached. The publisher's core gives the item a [`Receipt`]. The item's home
//! reports how many cores it was sent to, and each of these cores reports a [`Reach`] after its fan-out has passed
//! the last subscriber. An item with a receipt has a pass of its own, so other items have no counting overhead.

use super::audience::Audience;
use super::transport::Transport;
use crate::proto::grip::Receipt;

/// The subscribers that an item reached.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reach {
    /// Subscribers to which the item was sent, or on which it took effect.
    pub received: Audience,
    /// Subscribers that did not get the item, because they had not taken earlier data.
    pub dropped: u32,
}

/// Counts one slice of a pass whose one item has a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counting {
    /// The receipt of the item.
    pub receipt: Receipt,
    /// The transport of the subscribers in the slice; `None` if nothing is sent to them.
    pub transport: Option<Transport>,
    /// The slice is the last one of the pass.
    pub is_last: bool,
}

impl Reach {
    /// Adds the numbers of `other`.
    pub fn add(&mut self, other: Reach) {
        self.received.add(other.received);
        self.dropped = self.dropped.saturating_add(other.dropped);
    }
}
