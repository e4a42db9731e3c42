//! Connections that nobody uses now, by place. The latest returned is used first, so that a burst's surplus
//! grows old and goes. Within a place they are ordered by when they were returned, which is why expiry only
//! ever looks at the front. The pool owns the one of its core; it holds no timers.

use super::connect::Place;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What can be kept for another exchange.
pub(super) trait Reusable {
    /// The last exchange is over on both sides, and as far as is known the other side has not closed.
    fn is_ready(&self) -> bool;

    /// The other side has closed, which the connection may not have noticed yet.
    fn has_ended(&self) -> bool;
}

/// A core's unused connections.
pub(super) struct Idle<C> {
    places: FxHashMap<Place, VecDeque<Kept<C>>>,
    /// Over all places.
    count: usize,
    bounds: Bounds,
}

/// How many connections are kept, and how long.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub in_one_place: usize,
    pub in_all: usize,
    pub keep: Duration,
}

struct Kept<C> {
    since: Instant,
    connection: C,
}

impl<C: Reusable> Idle<C> {
    /// Keeps nothing yet.
    pub fn new(bounds: Bounds) -> Self {
        Idle { places: FxHashMap::default(), count: 0, bounds }
    }

    /// Keeps unused connections for so long from now on.
    pub fn set_keep(&mut self, keep: Duration) {
        self.bounds.keep = keep;
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The latest returned connection to `place` that still works.
    pub fn take(&mut self, place: &Place, now: Instant) -> Option<C> {
        let kept = self.places.get_mut(place)?;
        while let Some(Kept { since, connection }) = kept.pop_back() {
            self.count -= 1;
            let is_fresh = now.saturating_duration_since(since) < self.bounds.keep;
            if is_fresh && connection.is_ready() && !connection.has_ended() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps `connection`, unless it is no longer of use or there are enough.
    pub fn put(&mut self, place: &Place, connection: C, now: Instant) {
        if !connection.is_ready() || self.count >= self.bounds.in_all {
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

    /// Drops what is too old or was closed by the other side.
    pub fn purge(&mut self, now: Instant) {
        let keep = self.bounds.keep;
        self.places.retain(|_, kept| {
            kept.retain(|entry| {
                now.saturating_duration_since(entry.since) < keep && entry.connection.is_ready()
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
    struct Fake(u32, Rc<Cell<bool>>);

    impl Reusable for Fake {
        fn is_ready(&self) -> bool {
            self.1.get()
        }

        fn has_ended(&self) -> bool {
            false
        }
    }

    const KEEP: Duration = Duration::from_secs(55);

    fn place(port: u16) -> Place {
        Place { host: "a".into(), port, tls: None, untrusted: false, named_by_application: false }
    }

    fn idle() -> Idle<Fake> {
        Idle::new(Bounds { in_one_place: 2, in_all: 3, keep: KEEP })
    }

    fn fake(number: u32) -> Fake {
        Fake(number, Rc::new(Cell::new(true)))
    }

    fn taken(idle: &mut Idle<Fake>, port: u16, now: Instant) -> Option<u32> {
        idle.take(&place(port), now).map(|fake| fake.0)
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
        dead.1.set(false);
        assert_eq!(taken(&mut idle, 1, now), Some(1));
        idle.put(&place(1), fake(3), now);
        assert_eq!(taken(&mut idle, 1, now + KEEP), None);
        idle.put(&place(1), dead, now);
        assert_eq!(idle.count(), 0);
    }

    #[test]
    fn purging_forgets_the_old_the_dead_and_empty_places() {
        let (mut idle, now) = (idle(), Instant::now());
        let dead = fake(3);
        idle.put(&place(1), fake(1), now);
        idle.put(&place(1), fake(2), now + KEEP / 2);
        idle.put(&place(2), dead.clone(), now + KEEP / 2);
        dead.1.set(false);
        idle.purge(now + KEEP);
        assert_eq!((idle.count(), idle.places.len()), (1, 1));
        assert_eq!(taken(&mut idle, 1, now + KEEP), Some(2));
    }
}
