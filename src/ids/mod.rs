//! The newtypes that index Gripwire's tables. They are plain numbers with a name, so that a slot is never
//! taken for a core or a length. Beside them `names`: how names that others choose are hashed.

mod connection_id;
mod names;

pub use connection_id::ConnectionId;
pub use names::{NameHash, NameMap, NameSet, spread};

/// A client connection's place in the tables of its core; also the index of its direct descriptor in the
/// core's wire ring. Reused after the connection ends, so pair it with a generation where lateness matters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Slot(pub u32);

impl Slot {
    /// The slot as an index into a table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A place in a core's table of what is counted for each route. Used again when the route has no clients any more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TallyId(pub u32);

impl TallyId {
    /// Of a request whose route is not known, or of which nothing is counted.
    pub const NONE: TallyId = TallyId(u32::MAX);

    /// The place as an index into a table.
    pub fn index(self) -> usize {
        self.0 as usize
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
