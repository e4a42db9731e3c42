//! Newtypes that index Gripwire's tables: numbers with a type of their own, so that a slot cannot be mistaken for a
//! core or a length. `names` hashes names that outsiders choose, `by_slot` is a table with one value for each slot,
//! and `connection_id` is the id of a connection for operators and applications.

mod by_slot;
mod connection_id;
mod names;

pub use by_slot::BySlot;
pub use connection_id::ConnectionId;
pub use names::{ApplicationId, NameHash, NameMap, NameSet, adopt_id_key, id_key, spread};
use serde::{Deserialize, Serialize};

/// The number of a client connection in the tables of its core, and the index of its direct descriptor in the core's
/// io_uring. A slot is reused after its connection ends, so code that may run late pairs it with a generation.
///
/// A virtual slot belongs to a connection without a descriptor, whose client is this server itself. Its number is
/// higher than that of any descriptor, and is reused only after all other virtual numbers were used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Slot(pub u32);

impl Slot {
    /// The virtual slot with this number, which is below 2^30.
    pub fn of_virtual(number: u32) -> Slot {
        debug_assert!(number < VIRTUAL_SLOTS);
        Slot(FIRST_VIRTUAL | (number % VIRTUAL_SLOTS))
    }

    /// Whether this is a virtual slot, which has no descriptor.
    pub fn is_virtual(self) -> bool {
        self.0 & FIRST_VIRTUAL != 0
    }

    /// The slot as an index into a list.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The index of a channel in the subscription table of its core. It is reused when the channel has left the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChannelId(pub u32);

/// The index of a route in a core's table of route statistics. It is reused when the route has no clients any more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RouteStatsId(pub u32);

impl RouteStatsId {
    /// Stands for requests without a known route, and for requests that are not counted.
    pub const NONE: RouteStatsId = RouteStatsId(u32::MAX);

    /// The id as an index into a table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Default for RouteStatsId {
    fn default() -> RouteStatsId {
        RouteStatsId::NONE
    }
}

/// A core of this server, numbered from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CoreId(pub u16);

impl CoreId {
    /// The core as an index into a table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The bit that is set in the number of every virtual slot. No list has that many places.
const FIRST_VIRTUAL: u32 = 1 << 31;
/// How many virtual slot numbers exist.
pub const VIRTUAL_SLOTS: u32 = 1 << 30;
