//! The ids of recently published items, by channel. If a publisher sends an item twice, because it got no answer to
//! the first call, the item is delivered once. Each home has one such table. It is limited by time and by number. For
//! each id a keyed hash of 128 bits is kept, so nobody can construct ids that collide.

use super::packed_homes::IdHash;
use crate::ids::id_key;
use crate::slack::Look;
use rustc_hash::FxHashSet;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::VecDeque;
use std::hash::Hasher;

/// Ids that are remembered at a time; beyond this number the oldest are forgotten early.
const IDS: usize = 100_000;

/// The ids of recently published items.
pub(super) struct RecentIds {
    /// How long an id is remembered, in ticks; 0 turns this off.
    keep_ticks: u32,
    known: FxHashSet<IdHash>,
    /// The ids in order of arrival, each with the tick of its arrival.
    by_age: VecDeque<(u32, IdHash)>,
}

impl RecentIds {
    pub fn new(keep_ticks: u32) -> RecentIds {
        RecentIds { keep_ticks, known: FxHashSet::default(), by_age: VecDeque::new() }
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
        let hash = hash(channel, id);
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

    /// All ids, each with the ticks since it came; the oldest first.
    pub fn pack(&self, now: u32) -> Vec<(u32, IdHash)> {
        self.by_age.iter().map(|(tick, hash)| (now.wrapping_sub(*tick), *hash)).collect()
    }

    /// Adds ids of another process, each with the ticks since it came. They were hashed with the same key.
    pub fn take_over(&mut self, ids: Vec<(u32, IdHash)>, now: u32) {
        let ids = ids.into_iter().map(|(ticks, hash)| (now.wrapping_sub(ticks), hash));
        self.by_age.extend(ids.filter(|(_, hash)| self.known.insert(*hash)));
        self.by_age.make_contiguous().sort_by_key(|(tick, _)| std::cmp::Reverse(now.wrapping_sub(*tick)));
        while self.by_age.len() > IDS {
            self.forget_oldest();
        }
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

/// The keyed hash of `id` on `channel`. The function never changes, because an older process hands its hashes over.
fn hash(channel: &str, id: &str) -> IdHash {
    let [first, second] = id_key();
    let mut hasher = SipHasher13::new_with_keys(first, second);
    hasher.write_u64(channel.len() as u64);
    hasher.write(channel.as_bytes());
    hasher.write(id.as_bytes());
    let hash = hasher.finish128();
    [hash.h1, hash.h2]
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
