//! The id by which operators and applications refer to an open connection. It is either core, slot and generation
//! (`0-17-3`), or, for a WebSocket over HTTP, the Connection-Id that its application knows: a UUID in which the core
//! and the slot are hidden. Both forms contain the place of the connection, so no table of ids is needed.

use super::{CoreId, Slot};
use rustc_hash::FxHasher;
use std::fmt;
use std::hash::Hasher;
use uuid::Uuid;

/// The id of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnectionId {
    core: CoreId,
    slot: Slot,
    proof: Proof,
}

/// The part of the id that differs between connections that used the same slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Proof {
    Generation(u32),
    Application(Uuid),
}

impl ConnectionId {
    /// The id of the connection in `slot`, from the slot's generation.
    pub fn of_place(core: CoreId, slot: Slot, generation: u32) -> ConnectionId {
        ConnectionId { core, slot, proof: Proof::Generation(generation) }
    }

    /// The id of a WebSocket over HTTP, from the Connection-Id that its application knows.
    pub fn of_application(id: Uuid) -> ConnectionId {
        let (_, low) = id.as_u64_pair();
        let place = (low ^ mask(id.as_bytes())) & PLACE;
        let (core, slot) = (CoreId((place >> 32) as u16), Slot(place as u32));
        ConnectionId { core, slot, proof: Proof::Application(id) }
    }

    /// Makes a new Connection-Id for the connection in `slot`. It looks like any random UUID: its last 48 bits are
    /// core and slot, masked with a hash of the bits before them.
    pub fn new_for_application(core: CoreId, slot: Slot) -> Uuid {
        let mut bytes = Uuid::new_v4().into_bytes();
        let place = (u64::from(core.0) << 32) | u64::from(slot.0);
        let hidden = (place ^ mask(&bytes)).to_be_bytes();
        for (byte, hidden) in bytes.iter_mut().skip(10).zip(hidden.iter().skip(2)) {
            *byte = *hidden;
        }
        Uuid::from_bytes(bytes)
    }

    /// Parses an id of either form; `None` if `text` is neither.
    pub fn parse(text: &str) -> Option<ConnectionId> {
        if let Ok(id) = Uuid::try_parse(text) {
            return Some(ConnectionId::of_application(id));
        }
        let mut numbers = text.split('-').map(|number| number.parse::<u32>().ok());
        let mut next = || numbers.next().flatten();
        let (core, slot, generation) = (next()?, next()?, next()?);
        let core = CoreId(u16::try_from(core).ok()?);
        numbers.next().is_none().then_some(ConnectionId::of_place(core, Slot(slot), generation))
    }

    /// The core of the connection.
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// The slot of the connection on its core.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Whether this is the id of a connection with this generation and Connection-Id.
    pub fn is_of(&self, generation: u32, application: Option<Uuid>) -> bool {
        match self.proof {
            Proof::Generation(wanted) => wanted == generation,
            Proof::Application(wanted) => Some(wanted) == application,
        }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.proof {
            Proof::Generation(generation) => write!(out, "{}-{}-{generation}", self.core.0, self.slot.0),
            Proof::Application(id) => id.fmt(out),
        }
    }
}

/// The mask that hides core and slot: a hash of the first 80 bits.
fn mask(bytes: &[u8; 16]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes.get(..10).unwrap_or_default());
    hasher.finish() & PLACE
}

/// The last 48 bits, which contain core and slot.
const PLACE: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back() {
        let id = ConnectionId::parse("3-17-9").expect("an id");
        assert_eq!((id.core(), id.slot(), id.to_string().as_str()), (CoreId(3), Slot(17), "3-17-9"));
        assert!(id.is_of(9, None) && !id.is_of(8, None));
        for text in ["", "1-2", "1-2-3-4", "1-2-x", "70000-1-1", "-1-2-3"] {
            assert_eq!(ConnectionId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_applications_know_tells_its_place_and_is_a_random_uuid_otherwise() {
        for (core, slot) in [(0, 0), (7, 123_456), (u16::MAX, u32::MAX)] {
            let ids = [(); 2].map(|()| ConnectionId::new_for_application(CoreId(core), Slot(slot)));
            assert_ne!(ids[0].as_bytes()[10..], ids[1].as_bytes()[10..]);
            for uuid in ids {
                let id = ConnectionId::parse(&uuid.to_string()).expect("an id");
                assert_eq!((id.core(), id.slot(), uuid.get_version_num()), (CoreId(core), Slot(slot), 4));
                assert!(id.to_string() == uuid.to_string() && id.is_of(0, Some(uuid)) && !id.is_of(0, None));
            }
        }
    }
}
