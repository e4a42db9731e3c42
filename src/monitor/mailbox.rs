//! The way from all cores to the thread that says what happens. A core hands over a batch with each tick, without a lock
//! and without waiting. StatsBatch that are too many are lost, and counted. A batch for which there is no place stays with its
//! core, where numbers of subscribers and figures of routes are merged with later ones: so these are never lost, and take
//! no more memory than there are channels and routes.

use super::events::StatsBatch;
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

/// StatsBatch that may wait for the thread (as many as Pushpin's socket keeps).
const WAITING: usize = 200_000;
/// Batches of one core that may wait for the thread: those of 1.6 s.
const BATCHES: usize = 16;

/// Batches of events, in the order of each core.
pub struct Mailbox {
    batches: ArrayQueue<StatsBatch>,
    /// StatsBatch that some core has tried to hand over, and the thread has not taken.
    waiting: CachePadded<AtomicUsize>,
}

impl Mailbox {
    /// For so many cores.
    pub fn new(cores: usize) -> Mailbox {
        Mailbox { batches: ArrayQueue::new(BATCHES * cores.max(1)), waiting: CachePadded::default() }
    }

    /// Hands over what happened on one core. `events` is left empty if there is a place for it, and else kept for the next
    /// time. The thread looks at it when it likes.
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

    /// Counts the events that are new in `events`, and drops those that are too many.
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
