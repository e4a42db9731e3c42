//! The ids of recently published items, by channel. If a publisher sends an item twice, because it got no answer to
//! the first call, the item is delivered once. Each home has one such table. It is limited by time and by number. For
//! each id a keyed hash of 128 bits is kept, so nobody can construct ids that collide.

use crate::slack::Look;
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

/// Ids that are remembered at a time; beyond this number the oldest are forgotten early.
const IDS: usize = 100_000;

type Hash = [u64; 2];

/// The ids of recently published items.
pub(super) struct RecentIds {
    /// How long an id is remembered, in ticks; 0 turns this off.
    keep_ticks: u32,
    known: FxHashSet<Hash>,
    /// The ids in order of arrival, each with the tick of its arrival.
    by_age: VecDeque<(u32, Hash)>,
    keys: [RandomState; 2],
}

impl RecentIds {
    pub fn new(keep_ticks: u32) -> RecentIds {
        let keys = [RandomState::new(), RandomState::new()];
        RecentIds { keep_ticks, known: FxHashSet::default(), by_age: VecDeque::new(), keys }
    }

    /// Sets how long ids are remembered, in ticks.
    pub fn set_keep(&mut self, keep_ticks: u32) {
        self.keep_ticks = keep_ticks;
    }

    /// Remembers `id` on `channel`; returns whether it was known already.
    pub fn is_repeated(&mut self, channel: &str, id: &str, now: u32) -> bool {
        if self.keep_ticks == 0 {
            return false;
        }
        self.forget_old(now);
        let hash = [0, 1].map(|key: usize| self.keys[key].hash_one((channel, id)));
        if !self.known.insert(hash) {
            return true;
        }
        self.by_age.push_back((now, hash));
        if self.by_age.len() > IDS {
            self.forget_oldest();
        }
        false
    }

    /// Forgets ids that are too old at tick `now`.
    pub fn forget_old(&mut self, now: u32) {
        while self.by_age.front().is_some_and(|(tick, _)| now.wrapping_sub(*tick) >= self.keep_ticks) {
            self.forget_oldest();
        }
        debug_assert_eq!(self.known.len(), self.by_age.len());
    }

    /// Lets `look` shrink its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.known);
        look.at(&mut self.by_age);
    }

    fn forget_oldest(&mut self) {
        if let Some((_, hash)) = self.by_age.pop_front() {
            self.known.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_on_its_channel_and_for_its_time() {
        let start = u32::MAX - 2;
        let mut ids = RecentIds::new(10);
        assert!(!ids.is_repeated("a", "1", start) && ids.is_repeated("a", "1", start));
        assert!(!ids.is_repeated("b", "1", start) && !ids.is_repeated("a", "2", start));
        assert!(ids.is_repeated("a", "1", start.wrapping_add(9)), "a repetition does not extend the time");
        assert!(!ids.is_repeated("a", "1", start.wrapping_add(10)));
        assert!(!RecentIds::new(0).is_repeated("a", "1", 0));
    }

    #[test]
    fn more_ids_than_fit_push_out_the_oldest() {
        let mut ids = RecentIds::new(10);
        (0..=IDS).for_each(|number| assert!(!ids.is_repeated("a", &number.to_string(), 0)));
        assert!(ids.is_repeated("a", "1", 0) && !ids.is_repeated("a", "0", 0));
        assert_eq!(ids.known.len(), IDS);
    }
}
