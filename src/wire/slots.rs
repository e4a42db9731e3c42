//! The state of every direct descriptor, in one word each, so that a fan-out walks a compact array: the slot's
//! generation, by which late completions are recognised, and flags for operations in flight. Backlogs are rare and
//! are kept in a map, and so are the words of virtual slots.

use super::backlog::Backlog;
use super::token::{GENERATION_MASK, Kind, Token};
use crate::ids::{BySlot, Slot};
use bytes::Bytes;
use rustc_hash::FxHashMap;

/// The backlog of a connection, or of the core, is full: the bytes were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overflow;

/// One bit each in the low byte of a slot's word.
pub(super) mod flag {
    /// Accepted and not yet closed.
    pub const OPEN: u32 = 1;
    /// A receive is armed.
    pub const RECEIVING: u32 = 1 << 1;
    /// The core has paused receiving.
    pub const PAUSED: u32 = 1 << 2;
    /// There is a backlog. Its waiting send is in flight, unless the wire is quiet.
    pub const BACKLOGGED: u32 = 1 << 3;
    /// A send is queued, and the kernel has not been entered for it yet.
    pub const QUEUED: u32 = 1 << 4;
    /// Data for the slot waits until the core removes the cork.
    pub const CORKED: u32 = 1 << 5;
    /// A shutdown is in flight.
    pub const SHUTTING: u32 = 1 << 6;
    /// Data for the slot is not handed to the kernel as it is: the client uses TLS, or the slot is virtual.
    pub const INDIRECT: u32 = 1 << 7;
}

/// Generation (high 24 bits) and flags (low 8) of every slot, and the backlogs.
pub(super) struct Slots {
    words: BySlot<u32>,
    pub backlogs: FxHashMap<Slot, Backlog>,
    /// Data behind corks; counted in `backlog_bytes` like all unsent bytes.
    pub corked: FxHashMap<Slot, Backlog>,
    pub backlog_bytes: usize,
}

impl Slots {
    /// `capacity` closed slots.
    pub fn new(capacity: u32) -> Slots {
        let (backlogs, corked) = (FxHashMap::default(), FxHashMap::default());
        Slots { words: BySlot::for_connections(capacity), backlogs, corked, backlog_bytes: 0 }
    }

    pub fn has(&self, slot: Slot, flags: u32) -> bool {
        self.words.get(slot).is_some_and(|word| word & flags == flags)
    }

    pub fn has_any(&self, slot: Slot, flags: u32) -> bool {
        self.words.get(slot).is_some_and(|word| word & flags != 0)
    }

    pub fn set(&mut self, slot: Slot, flags: u32) {
        if let Some(word) = self.words.get_mut(slot) {
            *word |= flags;
        }
    }

    pub fn clear(&mut self, slot: Slot, flags: u32) {
        if let Some(word) = self.words.get_mut(slot) {
            *word &= !flags;
        }
    }

    /// Opens a virtual slot.
    pub fn open_virtual(&mut self, slot: Slot) {
        if let Some(word) = self.words.entry(slot) {
            *word = flag::OPEN | flag::INDIRECT;
        }
    }

    /// Closes a virtual slot. It has no generation, because its number is not used again soon.
    pub fn close_virtual(&mut self, slot: Slot) {
        self.words.take(slot);
    }

    /// Ends the slot's connection: completions of operations still in flight for it are late from now on.
    pub fn retire(&mut self, slot: Slot) {
        if let Some(word) = self.words.get_mut(slot) {
            let generation = ((*word >> 8) + 1) & GENERATION_MASK;
            *word = generation << 8;
        }
    }

    /// The flags of `slot`.
    pub fn flags(&self, slot: Slot) -> u32 {
        self.words.get(slot).map_or(0, |word| word & 0xff)
    }

    /// All slots with all of `flags` that are not virtual.
    pub fn with(&self, flags: u32) -> impl Iterator<Item = Slot> {
        let words = self.words.some(0, self.words.places() - 1);
        words.filter(move |(_, word)| *word & flags == flags).map(|(slot, _)| slot)
    }

    /// The unsent data of `slot`, for another process: its backlog, and the data behind its cork.
    pub fn unsent(&self, slot: Slot) -> (Vec<Bytes>, Vec<Bytes>) {
        // A field that is added is to be named here, and packed if it belongs to a connection.
        let Slots { words: _, backlogs, corked, backlog_bytes: _ } = self;
        let slices = |of: &FxHashMap<Slot, Backlog>| of.get(&slot).map(Backlog::slices).unwrap_or_default();
        (slices(backlogs), slices(corked))
    }

    /// Gives a closed slot the generation that its connection had in another process.
    pub fn set_generation(&mut self, slot: Slot, generation: u32) {
        if let Some(word) = self.words.get_mut(slot) {
            *word = (generation & GENERATION_MASK) << 8;
        }
    }

    pub fn generation(&self, slot: Slot) -> u32 {
        self.words.get(slot).map_or(0, |word| word >> 8)
    }

    /// The token for an operation on the current connection of `slot`.
    pub fn token(&self, kind: Kind, slot: Slot) -> u64 {
        Token { kind, generation: self.generation(slot), slot }.pack()
    }

    /// Whether `token` belongs to the connection that has the slot now.
    pub fn is_current(&self, token: Token) -> bool {
        self.has(token.slot, flag::OPEN) && self.generation(token.slot) == token.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_slot_disowns_the_completions_of_its_past() {
        let mut slots = Slots::new(4);
        let slot = Slot(2);
        slots.set(slot, flag::OPEN | flag::RECEIVING);
        let token = Token::unpack(slots.token(Kind::Receive, slot)).expect("a token of ours");
        assert!(slots.is_current(token));
        slots.retire(slot);
        assert!(!slots.is_current(token));
        slots.set(slot, flag::OPEN);
        assert!(!slots.is_current(token));
        assert!(!slots.has(slot, flag::RECEIVING));
    }
}
