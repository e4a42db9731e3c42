//! A table with one value for each slot of a core. Slots of connections have small numbers, so their values are kept
//! in a list indexed by slot number, which a fan-out walks. Virtual slots have large numbers that are used once, so
//! their values are kept in a map and are removed when the slot closes; a core without virtual slots has an empty
//! map. The map is read only if the slot is beyond the end of the list, so the lookup for a connection costs as much
//! as in a plain list.

use super::Slot;
use crate::slack::{Look, Places};
use rustc_hash::FxHashMap;

/// Values indexed by slot.
#[derive(Default)]
pub struct BySlot<T> {
    list: Vec<T>,
    virtual_slots: FxHashMap<Slot, T>,
}

impl<T: Default> BySlot<T> {
    /// Creates a table with default values for the slots of `connections`.
    pub fn for_connections(connections: u32) -> BySlot<T> {
        let list = std::iter::repeat_with(T::default).take(connections as usize).collect();
        BySlot { list, virtual_slots: FxHashMap::default() }
    }

    /// Returns the value of `slot`, or `None` if the slot has never had one. The value of a virtual slot is gone
    /// after `take`.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&T> {
        match self.list.get(slot.index()) {
            Some(value) => Some(value),
            None => of_virtual(&self.virtual_slots, slot),
        }
    }

    /// Returns the value of `slot` for changes, or `None` if the slot has never had one.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.list.get_mut(slot.index()) {
            Some(value) => Some(value),
            None => of_virtual_mut(&mut self.virtual_slots, slot),
        }
    }

    /// Returns the value of `slot`, and inserts the default first if the slot has none.
    pub fn entry(&mut self, slot: Slot) -> Option<&mut T> {
        if slot.is_virtual() {
            return Some(self.virtual_slots.entry(slot).or_default());
        }
        if self.list.len() <= slot.index() {
            self.list.resize_with(slot.index() + 1, T::default);
        }
        self.list.get_mut(slot.index())
    }

    /// Removes and returns the value of `slot`.
    pub fn take(&mut self, slot: Slot) -> Option<T> {
        match self.list.get_mut(slot.index()) {
            Some(value) => Some(std::mem::take(value)),
            None => self.virtual_slots.remove(&slot),
        }
    }

    /// The number of steps of a walk over all values with [`BySlot::some`]. All virtual slots together are the last
    /// step.
    pub fn places(&self) -> usize {
        self.list.len() + 1
    }

    /// The values in up to `count` places of the walk, beginning with place `from`.
    pub fn some(&self, from: usize, count: usize) -> impl Iterator<Item = (Slot, &T)> {
        let list = self.list.iter().enumerate().skip(from).take(count);
        let has_last = (from..from.saturating_add(count)).contains(&self.list.len());
        let virtual_slots = has_last.then(|| self.virtual_slots.iter()).into_iter().flatten();
        list.map(|(slot, value)| (Slot(slot as u32), value))
            .chain(virtual_slots.map(|(slot, value)| (*slot, value)))
    }

    /// Lets `look` shrink the list and the map. At most `used` values are in use; `is_used` recognises a value in
    /// use.
    pub fn look_at(&mut self, used: usize, is_used: impl Fn(&T) -> bool, look: &mut Look<'_>) {
        look.at(&mut Places { list: &mut self.list, used, is_used });
        look.at(&mut self.virtual_slots);
    }
}

#[cold]
fn of_virtual<T>(virtual_slots: &FxHashMap<Slot, T>, slot: Slot) -> Option<&T> {
    virtual_slots.get(&slot)
}

#[cold]
fn of_virtual_mut<T>(virtual_slots: &mut FxHashMap<Slot, T>, slot: Slot) -> Option<&mut T> {
    virtual_slots.get_mut(&slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_virtual_slots_take_no_room_in_the_list_and_go_when_they_are_taken() {
        let mut table = BySlot::<u32>::default();
        let (connection, conversation) = (Slot(2), Slot::of_virtual(7));
        for (slot, value) in [(connection, 3), (conversation, 4)] {
            assert_eq!(table.get(slot), None);
            *table.entry(slot).unwrap() = value;
            assert_eq!(table.get(slot), Some(&value));
            assert_eq!(table.get_mut(slot), Some(&mut { value }));
        }
        assert_eq!((table.list.len(), table.places()), (3, 4));
        assert_eq!((table.take(connection), table.get(connection)), (Some(3), Some(&0)));
        assert_eq!((table.take(conversation), table.get(conversation)), (Some(4), None));
        assert!(table.virtual_slots.is_empty() && table.take(conversation).is_none());
    }

    #[test]
    fn a_walk_in_parts_comes_by_each_value_once() {
        let mut table = BySlot::<u32>::for_connections(5);
        let conversations = [1, 2].map(Slot::of_virtual);
        for slot in conversations {
            table.entry(slot);
        }
        for step in 1..8 {
            let parts = (0..table.places()).step_by(step);
            let mut seen: Vec<Slot> =
                parts.flat_map(|from| table.some(from, step)).map(|(slot, _)| slot).collect();
            seen.sort_unstable();
            let expected: Vec<Slot> = (0..5).map(Slot).chain(conversations).collect();
            assert_eq!(seen, expected, "in steps of {step}");
        }
    }
}
