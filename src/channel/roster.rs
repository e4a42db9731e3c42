//! The subscribers of one channel on one core: a dense list for each transport in use, so that a fan-out reads memory
//! in order. Each entry has the count of the first item that its subscriber has not got (the core's own count, which
//! wraps).
//!
//! A pass walks a list from its end downwards, and sets `next` of each served entry to the end of the pass. Entries
//! above the cursor were served, or joined later (their `next` is at the end of the pass or beyond). Removal is
//! `swap_remove`. Above the cursor it moves only such entries. Below the cursor it moves a served or later entry
//! down, where it is visited again and has nothing to get. So no subscriber is left out and none is served twice,
//! whichever subscribers come and go during the pass.

use super::transport::Transport;
use crate::ids::{BySlot, ChannelId, Slot};
use smallvec::SmallVec;

/// A subscriber of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub slot: Slot,
    /// The count of the first item that the subscriber has not got.
    pub next: u32,
}

/// A slot's entry in the lists of one channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub channel: ChannelId,
    /// The transport in the five highest bits, and the index in its list in the other bits.
    place: u32,
}

impl Link {
    pub fn new(channel: ChannelId, transport: Transport, index: u32) -> Link {
        debug_assert!(index < 1 << INDEX_BITS, "a list has fewer entries than indices");
        Link { channel, place: number_of(transport, index) }
    }

    pub fn place(self) -> (Transport, u32) {
        place_of(self.place)
    }
}

/// The position of an entry as one number: the lists follow each other in the order of [`Transport::ALL`].
pub(super) fn number_of(transport: Transport, index: u32) -> u32 {
    ((transport as u32) << INDEX_BITS) | index
}

/// The position that a number of [`number_of`] stands for.
pub(super) fn place_of(number: u32) -> (Transport, u32) {
    let transport = Transport::ALL.get((number >> INDEX_BITS) as usize).copied();
    (transport.unwrap_or(Transport::Response), number & ((1 << INDEX_BITS) - 1))
}

const INDEX_BITS: u32 = 27;

/// The links of every slot. A single link, the common case, is stored in the table itself.
pub(super) type Links = BySlot<SlotLinks>;

/// The links of one slot.
pub(super) type SlotLinks = SmallVec<[Link; 1]>;

/// The subscribers of one channel. No list is empty; most channels have one list.
#[derive(Default)]
pub(super) struct Roster {
    lists: SmallVec<[(Transport, Vec<Entry>); 1]>,
}

impl Roster {
    pub fn list(&mut self, transport: Transport) -> &mut [Entry] {
        let list = self.lists.iter_mut().find(|(of, _)| *of == transport);
        list.map(|(_, list)| list.as_mut_slice()).unwrap_or_default()
    }

    /// The subscribers of one transport.
    pub fn entries(&self, transport: Transport) -> &[Entry] {
        let list = self.lists.iter().find(|(of, _)| *of == transport);
        list.map(|(_, list)| list.as_slice()).unwrap_or_default()
    }

    /// The entry at `index`.
    pub fn entry(&self, transport: Transport, index: u32) -> Option<&Entry> {
        self.entries(transport).get(index as usize)
    }

    /// Each transport with subscribers, and their number.
    pub fn counts(&self) -> impl Iterator<Item = (Transport, usize)> {
        self.lists.iter().map(|(transport, list)| (*transport, list.len()))
    }

    pub fn len(&self) -> usize {
        self.lists.iter().map(|(_, list)| list.len()).sum()
    }

    /// Adds a subscriber; returns its index in the list.
    pub fn add(&mut self, transport: Transport, entry: Entry) -> u32 {
        match self.lists.iter_mut().find(|(of, _)| *of == transport) {
            Some((_, list)) => {
                list.push(entry);
                (list.len() - 1) as u32
            }
            None => {
                self.lists.push((transport, vec![entry]));
                0
            }
        }
    }

    /// Removes the entry at `index`; returns the slot of the entry that moved there, if any.
    pub fn remove(&mut self, transport: Transport, index: u32) -> Option<Slot> {
        let place = self.lists.iter().position(|(of, _)| *of == transport)?;
        let (_, list) = self.lists.get_mut(place)?;
        list.swap_remove(index as usize);
        let moved = list.get(index as usize).map(|entry| entry.slot);
        if list.is_empty() {
            self.lists.swap_remove(place);
        }
        moved
    }
}

/// Whether item `a` comes before item `b`, for counts that wrap.
pub(super) fn before(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_publications_survives_the_wrap() {
        assert!(before(1, 2) && !before(2, 1) && !before(2, 2));
        assert!(before(u32::MAX, 0) && before(u32::MAX - 1, 3) && !before(0, u32::MAX));
    }
}
