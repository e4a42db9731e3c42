//! Arrivals: the items and losses that a backplane brings to the homes on a core.

use crate::proto::grip::Publication;
use std::sync::Arc;

/// An arrival from a backplane. Losses and items are in one order: lost items were between the item before the loss and the
/// item after it.
#[derive(Debug)]
pub enum Arrival {
    /// An item.
    Item(Item),
    /// Items were lost. Held clients of the channels refetch, as with the command `recover`.
    Lost(Lost),
}

/// The channels that have lost items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lost {
    /// Any channel whose home is on this core; the backplane does not know which.
    All,
    /// This channel, whose home is on this core.
    Channel(Arc<str>),
}

/// An item of a channel, and its source.
#[derive(Debug)]
pub struct Item {
    /// The item.
    pub publication: Arc<Publication>,
    /// The source of the item.
    pub source: Source,
    /// The item's position in the backplane's order, if the backplane has positions.
    pub position: Option<Position>,
}

/// The source of an item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A publisher that sends to this node only. The item is passed to backplanes that want items.
    ThisNode,
    /// Another node, by its name if the backplane knows it, or a publisher that sends to all nodes. The item is passed to no
    /// backplane.
    Elsewhere(Option<Arc<str>>),
}

/// A position in an order that the backplane keeps, for a channel, for a shard or for a publishing node. The core does not
/// compare positions. It logs them, so that an item can be traced from node to node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// Changes whenever the sequence numbers start again.
    pub epoch: u64,
    /// The sequence number.
    pub sequence: u64,
}

impl Arrival {
    /// The approximate number of bytes of the arrival.
    pub fn weight(&self) -> usize {
        match self {
            Arrival::Item(item) => item.publication.weight(),
            Arrival::Lost(_) => 0,
        }
    }
}
