//! Shrinks tables that keep more memory than they need. A table grows with its contents and keeps its capacity when
//! they are removed: after a million channels or clients, that is hundreds of megabytes. The owner of tables lets a
//! [`Look`] examine them from time to time, always in one order; a table that has been nearly empty for a while gives
//! back most of its capacity. A look costs a few comparisons for each table. It shrinks at most one large table,
//! which takes as long as one walk over the table's empty places (for a million places about a millisecond).

#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

/// Tables smaller than this keep their capacity, in bytes.
const SMALL_BYTES: usize = 64 * 1024;
/// A look that has given back this many bytes shrinks no further table.
const LARGE_BYTES: usize = 1024 * 1024;
/// A table is nearly empty while it uses at most one part in this many of its capacity.
const NEARLY_EMPTY: usize = 8;
/// A table is shrunk after it has been nearly empty for this many ticks.
const WHILE_TICKS: u32 = 5;
/// After an attempt to shrink a table, it is not tried again for this many ticks.
const REST_TICKS: u32 = 300;

/// A table whose capacity can exceed its contents.
pub trait Table {
    /// The number of places in use.
    fn used(&self) -> usize;
    /// The number of places that the table has memory for.
    fn room(&self) -> usize;
    /// Bytes of one place.
    fn place_bytes(&self) -> usize;
    /// Gives back most of the capacity that is not used.
    fn shrink(&mut self);
}

/// Remembers since when each table has been nearly empty.
#[derive(Default)]
pub struct Slack {
    /// For each table, in the order of the looks: the tick since when it is nearly empty, which lies in the future
    /// after a shrink.
    since: Vec<Option<u32>>,
}

/// One examination of all tables, in their order.
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
    /// Examines the next table, and shrinks it if it was nearly empty for long enough.
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

    /// Bytes that this look has given back so far.
    pub fn given_back(&self) -> usize {
        self.given_back
    }
}

/// A list whose unused places at its end can be cut off.
pub struct Places<'a, T, F: Fn(&T) -> bool> {
    /// The list.
    pub list: &'a mut Vec<T>,
    /// At least the number of places in use.
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

/// Implements [`Table`] for tables of the standard library: the type parameters, the table, and the type of one
/// place.
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
