//! What operators and applications know a client's connection by, as long as it is open: the core, its slot there, and
//! the slot's generation (`0-17-3`); or, of a WebSocket over HTTP, the Connection-Id that its application knows, a UUID
//! that tells its core and slot. So nobody has to keep a table of either.

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

/// What tells it from others that had or will have its slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Proof {
    Generation(u32),
    Application(Uuid),
}

impl ConnectionId {
    /// That of what is in a slot, by the slot's count of connections.
    pub fn of_place(core: CoreId, slot: Slot, generation: u32) -> ConnectionId {
        ConnectionId { core, slot, proof: Proof::Generation(generation) }
    }

    /// That of what an application knows by `id`.
    pub fn of_application(id: Uuid) -> ConnectionId {
        let (_, low) = id.as_u64_pair();
        let place = (low ^ mask(id.as_bytes())) & PLACE;
        let (core, slot) = (CoreId((place >> 32) as u16), Slot(place as u32));
        ConnectionId { core, slot, proof: Proof::Application(id) }
    }

    /// A new Connection-Id for what is in a slot. It looks like any other random UUID: its last 48 bits are the place,
    /// hidden by a hash of the bits before them.
    pub fn new_for_application(core: CoreId, slot: Slot) -> Uuid {
        let mut bytes = Uuid::new_v4().into_bytes();
        let place = (u64::from(core.0) << 32) | u64::from(slot.0);
        let hidden = (place ^ mask(&bytes)).to_be_bytes();
        for (byte, hidden) in bytes.iter_mut().skip(10).zip(hidden.iter().skip(2)) {
            *byte = *hidden;
        }
        Uuid::from_bytes(bytes)
    }

    /// Reads one.
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

    /// The core that has or had it.
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// Where it is or was there.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Whether it is what is in its slot now, with this generation and Connection-Id.
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

/// What hides a place in the bits before it.
fn mask(bytes: &[u8; 16]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes.get(..10).unwrap_or_default());
    hasher.finish() & PLACE
}

/// The last 48 bits.
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
