//! Decides when refetches are made. A bounded number of requests runs at a time to each application. Refetches of many
//! clients that missed an item together begin at random times, so a thousand streams do not ask at the same moment.
//! This is a value without a clock or an executor: it is told the time in milliseconds and says which job to start, and
//! its caller says when a job is done.

use crate::bell::Bell;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Jobs, each a request to an application, that wait for their time or for other jobs to be done.
pub(super) struct RefetchScheduler<J> {
    /// How many jobs run at a time to one application.
    limit: usize,
    origins: HashMap<Arc<str>, Origin<J>>,
    jobs: u64,
    random: u64,
    /// Jobs start without waiting for their time.
    is_hasty: bool,
}

struct Origin<J> {
    in_flight: usize,
    /// Ordered by the time at which they may start, and then by the order in which they came.
    waiting: BTreeMap<(u64, u64), J>,
}

impl<J> RefetchScheduler<J> {
    /// A scheduler without jobs. At most `limit` jobs run at a time to one application.
    pub fn new(limit: usize, seed: u64) -> RefetchScheduler<J> {
        RefetchScheduler {
            limit: limit.max(1),
            origins: HashMap::new(),
            jobs: 0,
            random: seed,
            is_hasty: false,
        }
    }

    /// Lets at most `limit` jobs run at a time to one application from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    /// From now on no job waits for its time, because the server is about to end.
    pub fn drop_delays(&mut self) {
        self.is_hasty = true;
    }

    /// Adds `job`, a request to `origin`, which may start at `due_ms`.
    pub fn add(&mut self, origin: Arc<str>, job: J, due_ms: u64) {
        self.jobs += 1;
        let new = || Origin { in_flight: 0, waiting: BTreeMap::new() };
        self.origins.entry(origin).or_insert_with(new).waiting.insert((due_ms, self.jobs), job);
    }

    /// Takes a job that may start now, and its origin. When the job is over, the caller passes the origin to
    /// [`RefetchScheduler::done`].
    pub fn start(&mut self, now_ms: u64) -> Option<(Arc<str>, J)> {
        let (limit, now_ms) = (self.limit, if self.is_hasty { u64::MAX } else { now_ms });
        self.origins.iter_mut().find_map(|(name, origin)| {
            let first = origin.waiting.first_entry().filter(|first| first.key().0 <= now_ms)?;
            if origin.in_flight >= limit {
                return None;
            }
            origin.in_flight += 1;
            Some((name.clone(), first.remove()))
        })
    }

    /// A job to `origin` is over.
    pub fn done(&mut self, origin: &Arc<str>) {
        let Some(known) = self.origins.get_mut(origin) else { return };
        debug_assert!(known.in_flight > 0, "more are over than started");
        known.in_flight = known.in_flight.saturating_sub(1);
        if known.in_flight == 0 && known.waiting.is_empty() {
            self.origins.remove(origin);
        }
    }

    /// How many jobs wait.
    pub fn waiting(&self) -> usize {
        self.origins.values().map(|origin| origin.waiting.len()).sum()
    }

    /// A pseudorandom number below `bound`; 0 if `bound` is 0 (SplitMix64).
    pub fn random_below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

/// The state of a request that waits for its permit.
#[derive(Default)]
pub(super) struct Ticket {
    /// The request may be made.
    pub granted: Cell<bool>,
    /// The request was given up.
    pub given_up: Cell<bool>,
    /// Rings when the request may be made.
    pub bell: Bell,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_job_waits_for_its_time_once_delays_are_dropped() {
        let mut scheduler = RefetchScheduler::new(1, 0);
        scheduler.add("a".into(), 1, 5_000);
        assert_eq!(scheduler.start(0), None);
        scheduler.drop_delays();
        scheduler.add("a".into(), 2, 6_000);
        assert_eq!(scheduler.start(0).map(|(_, job)| job), Some(1));
        assert_eq!(scheduler.start(0), None, "one at a time");
    }
    use proptest::prelude::*;

    #[test]
    fn jobs_start_in_time_and_no_more_at_a_time_than_may() {
        let (mut scheduler, a, b): (_, Arc<str>, Arc<str>) =
            (RefetchScheduler::new(2, 1), "a".into(), "b".into());
        for (job, due_ms) in [(1, 20), (2, 10), (3, 10), (4, 0)] {
            scheduler.add(a.clone(), job, due_ms);
        }
        scheduler.add(b.clone(), 5, 10);
        let started = |scheduler: &mut RefetchScheduler<i32>, now_ms| {
            let mut jobs: Vec<i32> =
                std::iter::from_fn(|| scheduler.start(now_ms)).map(|(_, job)| job).collect();
            jobs.sort_unstable();
            jobs
        };
        assert_eq!(started(&mut scheduler, 9), [4]);
        assert_eq!(started(&mut scheduler, 20), [2, 5]);
        scheduler.done(&a);
        assert_eq!((started(&mut scheduler, 20), scheduler.waiting()), (vec![3], 1));
        scheduler.done(&a);
        scheduler.done(&a);
        scheduler.done(&b);
        assert_eq!(started(&mut scheduler, 20), [1]);
        scheduler.done(&a);
        assert!(scheduler.origins.is_empty());
    }

    proptest! {
        #[test]
        fn every_job_is_started_once_and_the_limit_holds(
            limit in 1..5usize, seed: u64, spread_ms in 0..500u64,
            jobs in prop::collection::vec((0..3usize, 0..5u64), 1..200),
        ) {
            let origins: [Arc<str>; 3] = ["a".into(), "b".into(), "c".into()];
            let (mut scheduler, mut now_ms) = (RefetchScheduler::new(limit, seed), 0);
            let (mut running, mut started) = ([0; 3], vec![0; jobs.len()]);
            for (job, (origin, later_ms)) in jobs.iter().enumerate() {
                let due_ms = now_ms + scheduler.random_below(spread_ms);
                scheduler.add(origins[*origin].clone(), job, due_ms);
                now_ms += later_ms;
                while let Some((origin, job)) = scheduler.start(now_ms) {
                    let place = origins.iter().position(|other| *other == origin).unwrap();
                    running[place] += 1;
                    started[job] += 1;
                    prop_assert!(running[place] <= limit);
                }
                if running[*origin] > 0 && job % 3 == 0 {
                    running[*origin] -= 1;
                    scheduler.done(&origins[*origin]);
                }
            }
            while scheduler.waiting() > 0 {
                now_ms += 500;
                for (origin, running) in origins.iter().zip(&mut running) {
                    (0..std::mem::take(running)).for_each(|_| scheduler.done(origin));
                }
                while let Some((origin, job)) = scheduler.start(now_ms) {
                    running[origins.iter().position(|other| *other == origin).unwrap()] += 1;
                    started[job] += 1;
                }
            }
            prop_assert!(started.iter().all(|times| *times == 1));
        }
    }
}
