//! Connections that carry no request now, by place. The connection that was returned last is used first, so that the
//! surplus of a burst ages and expires. The connections of a place are ordered by the time of their return, so expiry
//! checks only the front. Each core's pool owns one; it holds no timers.

use super::origin_address::OriginAddress;
use crate::ids::NameMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A connection that can be kept for another exchange. Its last exchange is complete on both sides.
pub(super) trait Reusable {
    /// When the connection was made.
    fn begun(&self) -> Instant;

    /// Whether no bytes came since the last exchange, and the other side did not close the connection.
    fn is_alive(&mut self) -> bool;
}

/// A core's unused connections.
pub(super) struct Idle<C> {
    places: NameMap<OriginAddress, VecDeque<Kept<C>>>,
    /// The number of connections over all places.
    count: usize,
    bounds: Bounds,
}

/// How many connections are kept, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub in_one_place: usize,
    pub in_all: usize,
    /// How long an unused connection is kept.
    pub keep: Duration,
    /// How old a connection may be.
    pub age: Duration,
}

impl Bounds {
    fn is_too_old(&self, connection: &impl Reusable, now: Instant) -> bool {
        now.saturating_duration_since(connection.begun()) >= self.age
    }
}

struct Kept<C> {
    since: Instant,
    connection: C,
}

impl<C: Reusable> Idle<C> {
    /// A table without connections.
    pub fn new(bounds: Bounds) -> Self {
        Idle { places: NameMap::default(), count: 0, bounds }
    }

    /// Changes how long unused connections are kept, and how old a connection may be.
    pub fn set_times(&mut self, keep: Duration, age: Duration) {
        (self.bounds.keep, self.bounds.age) = (keep, age);
    }

    /// How many connections are kept.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether a connection to `place` is kept.
    pub fn has(&self, place: &OriginAddress) -> bool {
        self.places.get(place).is_some_and(|kept| !kept.is_empty())
    }

    /// The connection to `place` that was returned last, among those that still work and that `is_wanted` accepts.
    pub fn take(&mut self, place: &OriginAddress, now: Instant, is_wanted: impl Fn(&C) -> bool) -> Option<C> {
        let kept = self.places.get_mut(place)?;
        while let Some(Kept { since, mut connection }) = kept.pop_back() {
            self.count -= 1;
            let is_fresh = now.saturating_duration_since(since) < self.bounds.keep;
            if is_fresh
                && !self.bounds.is_too_old(&connection, now)
                && is_wanted(&connection)
                && connection.is_alive()
            {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps `connection`, unless it is too old or enough connections are kept.
    pub fn put(&mut self, place: &OriginAddress, connection: C, now: Instant) {
        if self.bounds.is_too_old(&connection, now) || self.count >= self.bounds.in_all {
            return;
        }
        if !self.places.contains_key(place) {
            self.places.insert(place.clone(), VecDeque::new());
        }
        let Some(kept) = self.places.get_mut(place) else { return };
        if kept.len() < self.bounds.in_one_place {
            kept.push_back(Kept { since: now, connection });
            self.count += 1;
        }
    }

    /// Drops connections that are too old or that the other side closed.
    pub fn purge(&mut self, now: Instant) {
        let bounds = self.bounds;
        self.places.retain(|_, kept| {
            kept.retain_mut(|Kept { since, connection }| {
                now.saturating_duration_since(*since) < bounds.keep
                    && !bounds.is_too_old(connection, now)
                    && connection.is_alive()
            });
            !kept.is_empty()
        });
        self.count = self.places.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[derive(Clone, Debug)]
    struct Fake {
        number: u32,
        is_alive: Rc<Cell<bool>>,
        begun: Instant,
    }

    impl Reusable for Fake {
        fn begun(&self) -> Instant {
            self.begun
        }

        fn is_alive(&mut self) -> bool {
            self.is_alive.get()
        }
    }

    const KEEP: Duration = Duration::from_secs(55);
    const AGE: Duration = Duration::from_secs(300);

    fn place(port: u16) -> OriginAddress {
        OriginAddress { host: "a".into(), port, tls: None, untrusted: false, named_by_application: false }
    }

    fn idle() -> Idle<Fake> {
        Idle::new(Bounds { in_one_place: 2, in_all: 3, keep: KEEP, age: AGE })
    }

    fn fake(number: u32) -> Fake {
        Fake { number, is_alive: Rc::new(Cell::new(true)), begun: Instant::now() }
    }

    fn taken(idle: &mut Idle<Fake>, port: u16, now: Instant) -> Option<u32> {
        idle.take(&place(port), now, |_| true).map(|fake| fake.number)
    }

    #[test]
    fn the_latest_is_used_first_and_places_do_not_mix() {
        let (mut idle, now) = (idle(), Instant::now());
        idle.put(&place(1), fake(1), now);
        idle.put(&place(1), fake(2), now);
        idle.put(&place(2), fake(3), now);
        assert_eq!(taken(&mut idle, 1, now), Some(2));
        assert_eq!(taken(&mut idle, 2, now), Some(3));
        assert_eq!(taken(&mut idle, 1, now), Some(1));
        assert_eq!(taken(&mut idle, 1, now), None);
        assert_eq!(idle.count(), 0);
    }

    #[test]
    fn each_place_and_the_whole_are_bounded() {
        let (mut idle, now) = (idle(), Instant::now());
        for number in 0..5 {
            idle.put(&place(1), fake(number), now);
        }
        assert_eq!(idle.count(), 2);
        for port in 2..9 {
            idle.put(&place(port), fake(9), now);
        }
        assert_eq!(idle.count(), 3);
    }

    #[test]
    fn the_dead_and_the_old_are_never_given_out() {
        let (mut idle, now) = (idle(), Instant::now());
        let dead = fake(2);
        idle.put(&place(1), fake(1), now);
        idle.put(&place(1), dead.clone(), now);
        dead.is_alive.set(false);
        assert_eq!(taken(&mut idle, 1, now), Some(1));
        idle.put(&place(1), fake(3), now);
        assert_eq!(taken(&mut idle, 1, now + KEEP), None);
        idle.put(&place(1), dead, now);
        assert_eq!(taken(&mut idle, 1, now), None);
    }

    #[test]
    fn none_is_used_beyond_its_age_nor_kept_then() {
        let (mut idle, now) = (idle(), Instant::now());
        let old = now + AGE;
        idle.put(&place(1), fake(1), old - KEEP / 2);
        assert_eq!(taken(&mut idle, 1, old + KEEP / 4), None);
        idle.put(&place(1), fake(2), old + KEEP);
        assert_eq!(idle.count(), 0);
    }

    #[test]
    fn what_is_not_wanted_is_dropped() {
        let (mut idle, now) = (idle(), Instant::now());
        idle.put(&place(1), fake(1), now);
        idle.put(&place(1), fake(2), now);
        let first = idle.take(&place(1), now, |fake| fake.number == 1);
        assert_eq!((first.map(|fake| fake.number), idle.count()), (Some(1), 0));
    }

    #[test]
    fn purging_forgets_the_old_the_dead_and_empty_places() {
        let (mut idle, now) = (idle(), Instant::now());
        let dead = fake(3);
        idle.put(&place(1), fake(1), now);
        idle.put(&place(1), fake(2), now + KEEP / 2);
        idle.put(&place(2), dead.clone(), now + KEEP / 2);
        dead.is_alive.set(false);
        idle.purge(now + KEEP);
        assert_eq!((idle.count(), idle.places.len()), (1, 1));
        assert_eq!(taken(&mut idle, 1, now + KEEP), Some(2));
    }
}
