//! The queue of batches from all cores to the thread of the stats socket. A core hands over a batch with each tick, without
//! a lock and without waiting. Events beyond a limit are lost and counted. If the queue is full, the batch stays with its
//! core, which merges later numbers of subscribers and statistics of routes into it. So these are never lost, and their
//! memory is bounded by the number of channels and routes in use since the last batch that was handed over.

use super::events::StatsBatch;
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most events that wait for the thread (as many as Pushpin's socket keeps).
const WAITING: usize = 200_000;
/// Most batches of one core that wait for the thread: the batches of 1.6 s.
const BATCHES: usize = 16;

/// Batches of events. Those of one core are in order.
pub struct Mailbox {
    batches: ArrayQueue<StatsBatch>,
    /// Events that a core has tried to hand over and the thread has not taken.
    waiting: CachePadded<AtomicUsize>,
}

impl Mailbox {
    /// A mailbox for this many cores.
    pub fn new(cores: usize) -> Mailbox {
        Mailbox { batches: ArrayQueue::new(BATCHES * cores.max(1)), waiting: CachePadded::default() }
    }

    /// Hands over one core's batch. If the queue has room, `events` is empty afterwards; if not, it keeps its contents for
    /// the next call. The thread is not woken.
    pub fn hand_over(&self, events: &mut StatsBatch) {
        self.admit(events);
        if let Err(kept) = self.batches.push(mem::take(events)) {
            *events = kept;
        }
    }

    /// The next batch, if there is one.
    pub fn take(&self) -> Option<StatsBatch> {
        let events = self.batches.pop()?;
        self.waiting.fetch_sub(events.admitted, Ordering::Relaxed);
        Some(events)
    }

    /// Counts the new events in `events`, and drops events beyond the limit.
    fn admit(&self, events: &mut StatsBatch) {
        let fresh = events.events.len() - events.admitted;
        let waiting = self.waiting.fetch_add(fresh, Ordering::Relaxed);
        let excess = (waiting + fresh).saturating_sub(WAITING).min(fresh);
        self.waiting.fetch_sub(excess, Ordering::Relaxed);
        events.admitted += fresh - excess;
        events.events.truncate(events.admitted);
        events.lost += excess as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::StatsEvent;
    use super::super::route_stats::RouteStats;
    use super::*;
    use crate::channel::Audience;
    use crate::ids::{ConnectionId, CoreId};
    use uuid::Uuid;

    fn some(count: usize) -> StatsBatch {
        let gone = || StatsEvent::Disconnected { id: ConnectionId::of_application(Uuid::nil()), route: None };
        StatsBatch { events: (0..count).map(|_| gone()).collect(), ..StatsBatch::default() }
    }

    #[test]
    fn events_that_are_too_many_are_lost_and_counted() {
        let mailbox = Mailbox::new(1);
        mailbox.hand_over(&mut some(WAITING - 1));
        let mut more = some(3);
        mailbox.hand_over(&mut more);
        assert!(more.is_empty() && more.lost == 0);
        let taken: Vec<_> = std::iter::from_fn(|| mailbox.take()).collect();
        let counts: Vec<_> = taken.iter().map(|batch| (batch.events.len(), batch.lost)).collect();
        assert_eq!(counts, [(WAITING - 1, 0), (1, 2)]);
        mailbox.hand_over(&mut some(WAITING));
        assert_eq!(mailbox.take().map(|batch| batch.lost), Some(0), "what was taken makes room");
    }

    #[test]
    fn a_batch_without_a_place_stays_with_its_core() {
        let mailbox = Mailbox::new(1);
        (0..BATCHES).for_each(|_| mailbox.hand_over(&mut some(1)));
        let mut kept = some(2);
        let mut count = |streams, connections| {
            let audience = Audience { streams, ..Audience::default() };
            kept.subscribers.insert((CoreId(0), "c".into()), audience);
            let route_stats = RouteStats { connections, begun: 1, ..RouteStats::default() };
            kept.route_stats.entry((CoreId(0), None)).or_default().add(&route_stats);
            mailbox.hand_over(&mut kept);
            kept.events.len()
        };
        assert_eq!((count(1, 5), count(2, 4)), (2, 2));
        assert_eq!(std::iter::from_fn(|| mailbox.take()).count(), BATCHES);
        kept.events.extend(some(1).events);
        mailbox.hand_over(&mut kept);
        assert!(kept.is_empty());
        let taken = mailbox.take().expect("a batch");
        assert_eq!((taken.events.len(), taken.lost), (3, 0));
        assert_eq!(taken.subscribers[&(CoreId(0), "c".into())].streams, 2);
        let route_stats = taken.route_stats[&(CoreId(0), None)];
        assert_eq!((route_stats.connections, route_stats.begun), (4, 2));
        assert_eq!(mailbox.waiting.load(Ordering::Relaxed), 0);
    }
}
