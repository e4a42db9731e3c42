//! The newtypes that index Gripwire's tables. They are plain numbers with a name, so that a slot is never
//! taken for a core or a length. Beside them `names`: how names that others choose are hashed, and `by_slot`: tables with
//! a value for each slot.

mod by_slot;
mod connection_id;
mod names;

pub use by_slot::BySlot;
pub use connection_id::ConnectionId;
pub use names::{NameHash, NameMap, NameSet, spread};

/// A client connection's place in the tables of its core; also the index of its direct descriptor in the
/// core's wire ring. Reused after the connection ends, so pair it with a generation where lateness matters.
///
/// A virtual slot is that of a connection without a descriptor, whose client is this server itself. Its number is higher
/// than that of any descriptor, and not reused until all others were.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Slot(pub u32);

impl Slot {
    /// The virtual slot of this number, below 2^30.
    pub fn of_virtual(number: u32) -> Slot {
        debug_assert!(number < VIRTUAL_SLOTS);
        Slot(FIRST_VIRTUAL | (number % VIRTUAL_SLOTS))
    }

    /// Whether it is one without a descriptor.
    pub fn is_virtual(self) -> bool {
        self.0 & FIRST_VIRTUAL != 0
    }

    /// The slot as an index into a list.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A channel's place in the subscription table of its core. Used again when nobody is subscribed any more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChannelId(pub u32);

/// A place in a core's table of what is counted for each route. Used again when the route has no clients any more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RouteStatsId(pub u32);

impl RouteStatsId {
    /// Of a request whose route is not known, or of which nothing is counted.
    pub const NONE: RouteStatsId = RouteStatsId(u32::MAX);

    /// The place as an index into a table.
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

/// The bit that virtual slots have. No list has so many places.
const FIRST_VIRTUAL: u32 = 1 << 31;
/// How many numbers there are for virtual slots.
pub const VIRTUAL_SLOTS: u32 = 1 << 30;
