//! What a backplane brings to the homes on a core.

use crate::proto::grip::Publication;
use std::sync::Arc;

/// Something that a backplane brings. Losses stand in the same order as items: what was lost lay between the items before
/// and the items behind.
#[derive(Debug)]
pub enum Arrival {
    /// An item.
    Item(Item),
    /// Items were lost: applications are asked again for whoever is held, as with the command `recover`.
    Lost(Lost),
}

/// Which channels have lost items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lost {
    /// Any of those at home on this core, for all that the backplane knows.
    All,
    /// This channel, which is at home on this core.
    Channel(Arc<str>),
}

/// An item of a channel, and where it comes from.
#[derive(Debug)]
pub struct Item {
    /// The item.
    pub publication: Arc<Publication>,
    /// Where it comes from.
    pub source: Source,
    /// Its place among what the backplane brings, if the backplane has such places.
    pub position: Option<Position>,
}

/// Where an item comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A publisher that speaks to this node alone. Backplanes that want items are told of it.
    ThisNode,
    /// Another node, by its name if the backplane knows that, or a publisher that sends to all nodes. No backplane is told.
    Elsewhere(Option<Arc<str>>),
}

/// A place in an order that the backplane keeps: of a channel, of a shard or of a node that publishes. The core does not
/// compare positions; it logs them, so that an item can be followed from node to node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// Changes whenever the numbering begins anew.
    pub epoch: u64,
    /// The number.
    pub sequence: u64,
}

impl Arrival {
    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        match self {
            Arrival::Item(item) => item.publication.weight(),
            Arrival::Lost(_) => 0,
        }
    }
}
