//! All deadlines of a core, at most one for each slot, in a hashed wheel of intrusive lists. Setting, moving and
//! cancelling a deadline touch three links, and allocate only when a slot is used for the first time. A deadline
//! further away than one turn of the wheel is looked at once in each turn. Deadlines that pass together are reported in
//! portions, so thousands of clients that time out at once do not keep a core from its other clients.

use crate::ids::{BySlot, Slot};
use crate::slack::Look;

/// Lists of the wheel; a power of two.
const BUCKETS: usize = 1024;
/// Entries that one call of [`TimerWheel::advance`] looks at. Most entries of a list may be deadlines of later turns.
const LOOKED_AT: usize = 16 * 1024;
/// No slot: stands behind the last entry of a list, and before its head.
const NONE: u32 = u32::MAX;
/// Stands in place of the previous slot if an entry is in no list.
const UNSET: u32 = u32::MAX - 1;

/// Deadlines by slot, in ticks that may wrap.
pub(super) struct TimerWheel {
    links: BySlot<Link>,
    heads: Box<[u32; BUCKETS]>,
    /// All deadlines up to this tick have been reported, except those in the rest of this tick's list.
    swept: u32,
    /// The next entry of that list to be looked at.
    cursor: u32,
    entries: usize,
}

#[derive(Clone, Copy)]
struct Link {
    /// `NONE` at the head of a list, `UNSET` if the entry is in no list.
    previous: u32,
    next: u32,
    deadline: u32,
}

impl Default for Link {
    fn default() -> Link {
        Link { previous: UNSET, next: NONE, deadline: 0 }
    }
}

impl TimerWheel {
    /// An empty wheel at tick `now`.
    pub fn new(now: u32) -> TimerWheel {
        TimerWheel {
            links: BySlot::default(),
            heads: Box::new([NONE; BUCKETS]),
            swept: now,
            cursor: NONE,
            entries: 0,
        }
    }

    /// Sets the slot's only deadline. A deadline that has passed is reported by the next [`TimerWheel::advance`].
    pub fn set(&mut self, slot: Slot, deadline: u32) {
        debug_assert!(slot.0 < UNSET);
        self.cancel(slot);
        let passed = (deadline.wrapping_sub(self.swept) as i32) <= 0;
        let deadline = if passed { self.swept.wrapping_add(1) } else { deadline };
        let head = self.heads[deadline as usize % BUCKETS];
        if let Some(link) = self.links.entry(slot) {
            *link = Link { previous: NONE, next: head, deadline };
        }
        if let Some(next) = self.links.get_mut(Slot(head)) {
            next.previous = slot.0;
        }
        self.heads[deadline as usize % BUCKETS] = slot.0;
        self.entries += 1;
    }

    /// The slot's deadline, if it has one.
    pub fn due(&self, slot: Slot) -> Option<u32> {
        self.links.get(slot).filter(|link| link.previous != UNSET).map(|link| link.deadline)
    }

    /// Cancels the slot's deadline, if it has one.
    pub fn cancel(&mut self, slot: Slot) {
        let Some(link) = self.links.take(slot).filter(|link| link.previous != UNSET) else { return };
        let Link { previous, next, deadline } = link;
        if self.cursor == slot.0 {
            self.cursor = next;
        }
        match self.links.get_mut(Slot(previous)) {
            Some(before) => before.next = next,
            None => self.heads[deadline as usize % BUCKETS] = next,
        }
        if let Some(after) = self.links.get_mut(Slot(next)) {
            after.previous = previous;
        }
        self.entries -= 1;
    }

    /// Takes out up to `limit` deadlines that are at or before `now`, and appends their slots to `due`. Returns whether
    /// there may be more; the next call then continues where this one stopped.
    pub fn advance(&mut self, now: u32, limit: usize, due: &mut Vec<Slot>) -> bool {
        let (mut reported, mut looked_at) = (0, 0);
        loop {
            while let Some(link) = self.links.get(Slot(self.cursor)).copied() {
                if reported == limit || looked_at == LOOKED_AT {
                    return true;
                }
                looked_at += 1;
                let slot = Slot(self.cursor);
                self.cursor = link.next;
                if (link.deadline.wrapping_sub(now) as i32) <= 0 {
                    self.cancel(slot);
                    due.push(slot);
                    reported += 1;
                }
            }
            let behind = now.wrapping_sub(self.swept);
            if (behind as i32) <= 0 {
                return false;
            }
            // If the wheel is behind by more than a turn, looking once at each list is enough.
            self.swept = now.wrapping_sub(behind.min(BUCKETS as u32)).wrapping_add(1);
            self.cursor = self.heads[self.swept as usize % BUCKETS];
        }
    }

    /// Shows the table of slots to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        let is_used = |link: &Link| link.previous != UNSET;
        self.links.look_at(self.entries, is_used, look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, u32),
        Cancel(u32),
        Advance(u32, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..40u32, 0..5000u32).prop_map(|(slot, delay)| Step::Set(slot, delay)),
            (0..40u32).prop_map(Step::Cancel),
            (0..2500u32, 1..30usize).prop_map(|(by, limit)| Step::Advance(by, limit)),
        ]
    }

    /// Every second slot is a virtual one.
    fn place(number: u32) -> Slot {
        if number.is_multiple_of(2) { Slot(number) } else { Slot::of_virtual(number) }
    }

    #[test]
    fn a_slot_costs_three_numbers() {
        assert_eq!(size_of::<Link>(), 12);
    }

    proptest! {
        #[test]
        fn every_deadline_is_reported_once_and_in_time(start: u32, steps in prop::collection::vec(step(), 1..200)) {
            let (mut now, mut wheel, mut model) = (start, TimerWheel::new(start), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Set(slot, delay) => {
                        wheel.set(place(slot), now.wrapping_add(delay));
                        model.insert(place(slot), now.wrapping_add(delay.max(1)));
                    }
                    Step::Cancel(slot) => {
                        wheel.cancel(place(slot));
                        model.remove(&place(slot));
                    }
                    Step::Advance(by, limit) => {
                        now = now.wrapping_add(by);
                        let mut due = Vec::new();
                        let has_more = wheel.advance(now, limit, &mut due);
                        prop_assert!(due.len() <= limit && (has_more || due.len() <= model.len()));
                        for slot in due {
                            let deadline = model.remove(&slot);
                            // One set to the present while others were still to be reported goes with these.
                            let early = deadline.map(|deadline| deadline.wrapping_sub(now) as i32);
                            prop_assert!(early.is_some_and(|early| early <= i32::from(by == 0)), "{early:?}");
                        }
                        let passed = |deadline: &u32| deadline.wrapping_sub(now) as i32 <= 0;
                        prop_assert!(has_more || !model.values().any(passed));
                    }
                }
            }
        }
    }
}
