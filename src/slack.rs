//! Room that tables have and no longer need. A table grows with what it holds and keeps its room when that goes: for a
//! million channels or clients, that is hundreds of megabytes. Whoever owns tables has them looked at now and then,
//! always in the same order; one that was nearly empty for a while gives back most of its room. A look costs nothing
//! but a few comparisons, and at most one large table shrinks in it, which takes as long as to walk over its empty
//! places once (a million: about a millisecond).

#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

/// Smaller tables keep their room, bytes.
const SMALL_BYTES: usize = 64 * 1024;
/// When one that is larger has shrunk, others wait for the next look, bytes.
const LARGE_BYTES: usize = 1024 * 1024;
/// A table is nearly empty while it uses no more than this part of its room.
const NEARLY_EMPTY: usize = 8;
/// A table must have been nearly empty for so many ticks.
const WHILE_TICKS: u32 = 5;
/// A table that has shrunk, or could not, is left alone for so many ticks.
const REST_TICKS: u32 = 300;

/// Something that keeps room for more than it holds.
pub trait Table {
    /// What it holds.
    fn used(&self) -> usize;
    /// What it has room for.
    fn room(&self) -> usize;
    /// Bytes of one place.
    fn place_bytes(&self) -> usize;
    /// Gives back most of the room that is not used.
    fn shrink(&mut self);
}

/// Which tables have been nearly empty since when.
#[derive(Default)]
pub struct Slack {
    /// By table, in the order of the looks: a tick, which may lie ahead.
    since: Vec<Option<u32>>,
}

/// One look at all tables.
pub struct Look<'a> {
    slack: &'a mut Slack,
    now: u32,
    place: usize,
    given_back: usize,
}

impl Slack {
    /// Begins a look at tick `now`; ticks may wrap.
    pub fn look(&mut self, now: u32) -> Look<'_> {
        Look { slack: self, now, place: 0, given_back: 0 }
    }
}

impl Look<'_> {
    /// Looks at the next table.
    pub fn at(&mut self, table: &mut dyn Table) {
        let place = self.place;
        self.place += 1;
        if self.slack.since.len() <= place {
            self.slack.since.resize(place + 1, None);
        }
        let Some(since) = self.slack.since.get_mut(place) else { return };
        let bytes = table.room() * table.place_bytes();
        if bytes < SMALL_BYTES || table.used() > table.room() / NEARLY_EMPTY {
            *since = None;
            return;
        }
        let waited = self.now.wrapping_sub(*since.get_or_insert(self.now)) as i32;
        if waited < WHILE_TICKS as i32 || self.given_back >= LARGE_BYTES {
            return;
        }
        table.shrink();
        self.given_back += bytes.saturating_sub(table.room() * table.place_bytes());
        *since = Some(self.now.wrapping_add(REST_TICKS));
    }

    /// Bytes that were given back.
    pub fn given_back(&self) -> usize {
        self.given_back
    }
}

/// A list by place, whose unused places at its end can be cut off; `is_used` tells those from others.
pub struct Places<'a, T, F: Fn(&T) -> bool> {
    /// The list.
    pub list: &'a mut Vec<T>,
    /// No fewer than its places in use.
    pub used: usize,
    /// Whether a place is in use.
    pub is_used: F,
}

impl<T, F: Fn(&T) -> bool> Table for Places<'_, T, F> {
    fn used(&self) -> usize {
        self.used
    }

    fn room(&self) -> usize {
        self.list.capacity()
    }

    fn place_bytes(&self) -> usize {
        size_of::<T>()
    }

    fn shrink(&mut self) {
        let length = self.list.iter().rposition(&self.is_used).map_or(0, |last| last + 1);
        self.list.truncate(length);
        self.list.shrink_to_fit();
    }
}

/// Tables of the standard library, whose capacity is their room: the parameters, the table, and one place of it.
macro_rules! tables {
    ($([$($parameters:tt)*] $table:ty, $place:ty;)+) => {$(
        impl<$($parameters)*> Table for $table {
            fn used(&self) -> usize {
                self.len()
            }

            fn room(&self) -> usize {
                self.capacity()
            }

            fn place_bytes(&self) -> usize {
                size_of::<$place>()
            }

            fn shrink(&mut self) {
                self.shrink_to(2 * self.len());
            }
        }
    )+};
}

tables! {
    [T] Vec<T>, T;
    [T] VecDeque<T>, T;
    [K: Eq + Hash, V, S: BuildHasher] HashMap<K, V, S>, (K, V);
    [K: Eq + Hash, S: BuildHasher] HashSet<K, S>, K;
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 100_000;

    fn look(slack: &mut Slack, now: u32, table: &mut dyn Table) -> usize {
        let mut look = slack.look(now);
        look.at(table);
        look.given_back()
    }

    #[test]
    fn a_table_shrinks_when_it_was_nearly_empty_for_a_while_and_keeps_what_it_holds() {
        let start = u32::MAX - 3;
        let (mut slack, mut table) = (Slack::default(), (0..MANY).collect::<HashSet<_>>());
        assert_eq!(look(&mut slack, start, &mut table), 0);
        table.retain(|number| *number < 10);
        assert_eq!(look(&mut slack, start, &mut table), 0);
        assert_eq!(look(&mut slack, start.wrapping_add(WHILE_TICKS - 1), &mut table), 0);
        assert!(look(&mut slack, start.wrapping_add(WHILE_TICKS), &mut table) > MANY);
        assert!(table.capacity() < 100 && (0..10).all(|number| table.contains(&number)));
    }

    #[test]
    fn one_that_fills_up_again_in_between_keeps_its_room() {
        let (mut slack, mut table) = (Slack::default(), Vec::<u64>::with_capacity(MANY));
        assert_eq!(look(&mut slack, 0, &mut table), 0);
        table.resize(MANY, 0);
        assert_eq!(look(&mut slack, WHILE_TICKS, &mut table), 0);
        table.clear();
        assert_eq!(look(&mut slack, WHILE_TICKS + 1, &mut table), 0);
        assert_eq!(table.capacity(), MANY);
    }

    #[test]
    fn large_tables_shrink_one_after_the_other() {
        let mut slack = Slack::default();
        let (mut first, mut second) =
            (Vec::<u64>::with_capacity(MANY * 10), VecDeque::<u64>::with_capacity(MANY * 10));
        let mut given_back = Vec::new();
        for now in [0, WHILE_TICKS, WHILE_TICKS + 1, WHILE_TICKS + 2] {
            let mut look = slack.look(now);
            look.at(&mut first);
            look.at(&mut second);
            given_back.push(look.given_back());
        }
        assert_eq!(given_back, [0, MANY * 80, MANY * 80, 0]);
    }

    #[test]
    fn places_in_use_stay_where_they_are() {
        let mut list = vec![0u64; MANY];
        list[7] = 1;
        let (mut slack, mut given_back) = (Slack::default(), 0);
        for now in [0, WHILE_TICKS] {
            let mut places = Places { list: &mut list, used: 1, is_used: |place: &u64| *place > 0 };
            given_back = look(&mut slack, now, &mut places);
        }
        assert_eq!((list.len(), list[7], given_back), (8, 1, (MANY - 8) * 8));
    }
}
