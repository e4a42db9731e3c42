//! The state of every direct descriptor, one word each so that a fan-out walks a compact array: the generation that
//! late completions are told by, and what is in flight. Backlogs are rare and stand in a map beside it, and so do the
//! words of virtual slots.

use super::backlog::Backlog;
use super::token::{GENERATION_MASK, Kind, Token};
use crate::ids::{BySlot, Slot};
use rustc_hash::FxHashMap;

/// A connection's backlog, or the core's, is full: the bytes were not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overflow;

/// One bit each in the low byte of a slot's word.
pub(super) mod flag {
    /// Accepted and not yet closed.
    pub const OPEN: u32 = 1;
    /// A receive is armed.
    pub const RECEIVING: u32 = 1 << 1;
    /// The core wants no more bytes for now.
    pub const PAUSED: u32 = 1 << 2;
    /// There is a backlog, and its waiting send is in flight.
    pub const BACKLOGGED: u32 = 1 << 3;
    /// A send is queued that the kernel has not been entered for.
    pub const QUEUED: u32 = 1 << 4;
    /// What is sent waits until the core has finished something else on this connection.
    pub const CORKED: u32 = 1 << 5;
    /// A shutdown is in flight.
    pub const SHUTTING: u32 = 1 << 6;
    /// What is sent does not go to the kernel as it is: the client speaks TLS, or the slot is a virtual one.
    pub const INDIRECT: u32 = 1 << 7;
}

/// Generation (high 24 bits) and flags (low 8) for every slot, and the backlogs.
pub(super) struct Slots {
    words: BySlot<u32>,
    pub backlogs: FxHashMap<Slot, Backlog>,
    /// What corked connections are to be sent; counted in `backlog_bytes` like all unsent bytes.
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

    /// A new virtual slot.
    pub fn open_virtual(&mut self, slot: Slot) {
        if let Some(word) = self.words.entry(slot) {
            *word = flag::OPEN | flag::INDIRECT;
        }
    }

    /// A virtual slot is over. It has no generations, as its number does not come again.
    pub fn close_virtual(&mut self, slot: Slot) {
        self.words.take(slot);
    }

    /// The slot's connection ends: what is still in flight for it is from now on late.
    pub fn retire(&mut self, slot: Slot) {
        if let Some(word) = self.words.get_mut(slot) {
            let generation = ((*word >> 8) + 1) & GENERATION_MASK;
            *word = generation << 8;
        }
    }

    pub fn generation(&self, slot: Slot) -> u32 {
        self.words.get(slot).map_or(0, |word| word >> 8)
    }

    /// The token of an operation on `slot` as it is now.
    pub fn token(&self, kind: Kind, slot: Slot) -> u64 {
        Token { kind, generation: self.generation(slot), slot }.pack()
    }

    /// Whether `token` is about the connection that holds its slot now.
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
