//! The way into one core: what has arrived for the homes there, in its order, and what operators ask of the core. The
//! thread looks for room before it receives anything, and receives nothing while one inlet has none; the core takes as much
//! as its homes have room for. So nothing that was received is dropped. The queues have no locks; their bounds are kept by
//! the thread, which asks for room. Arrivals go through them in batches: one by one, they would take as much again.

use super::arrival::Arrival;
use super::operator::OperatorCommand;
use crate::wire::Ringer;
use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;
use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Arrivals, and their bytes, from which on an inlet has no room. What was received before is still taken.
const ARRIVALS: usize = 4096;
const BYTES: usize = 16 * 1024 * 1024;

/// The way into a core.
#[derive(Default)]
pub struct Inlet {
    /// Batches, none of which is empty.
    arrivals: SegQueue<Vec<Arrival>>,
    /// No more than the thread has followed at a time.
    commands: SegQueue<(u64, OperatorCommand)>,
    used: CachePadded<Used>,
    ringer: OnceLock<Ringer>,
}

/// What the homes have not taken yet.
#[derive(Default)]
struct Used {
    arrivals: AtomicUsize,
    bytes: AtomicUsize,
    /// The thread waits for room.
    awaited: AtomicBool,
}

/// For the thread.
impl Inlet {
    /// Whether more may be received for this core. If not, [`Inlet::took`] will say when to look again.
    pub fn has_room(&self) -> bool {
        self.used.is_roomy() || {
            self.used.awaited.store(true, Ordering::SeqCst);
            // The core may have made room before it could see that someone waits.
            self.used.is_roomy()
        }
    }

    /// Adds arrivals, and leaves none in `arrivals`.
    pub fn push(&self, arrivals: &mut Vec<Arrival>) {
        if arrivals.is_empty() {
            return;
        }
        self.used.arrivals.fetch_add(arrivals.len(), Ordering::SeqCst);
        self.used.bytes.fetch_add(arrivals.iter().map(Arrival::weight).sum(), Ordering::SeqCst);
        self.arrivals.push(mem::take(arrivals));
        self.ring();
    }

    /// Asks something of the core; its answer comes by the outlet with this ticket.
    pub fn ask(&self, ticket: u64, command: OperatorCommand) {
        self.commands.push((ticket, command));
        self.ring();
    }

    fn ring(&self) {
        if let Some(ringer) = self.ringer.get() {
            ringer.ring();
        }
    }
}

/// For the core.
impl Inlet {
    /// The core is there, and wakes when `ringer` rings. What has come before is found by its first turn.
    pub fn attach(&self, ringer: Ringer) {
        let before = self.ringer.set(ringer);
        debug_assert!(before.is_ok(), "a core attaches once");
    }

    /// The arrivals that were pushed together next.
    pub fn next_batch(&self) -> Option<Vec<Arrival>> {
        // Each turn of the core asks, mostly in vain; this costs two loads, and the queue's own way a fence.
        if self.arrivals.is_empty() {
            return None;
        }
        self.arrivals.pop()
    }

    /// Everything that is asked.
    pub fn take_commands(&self) -> Vec<(u64, OperatorCommand)> {
        if self.commands.is_empty() {
            return Vec::new();
        }
        std::iter::from_fn(|| self.commands.pop()).collect()
    }

    /// The homes have taken so many arrivals and bytes; whether the thread waits for that.
    #[must_use]
    pub fn took(&self, arrivals: usize, bytes: usize) -> bool {
        self.used.arrivals.fetch_sub(arrivals, Ordering::SeqCst);
        self.used.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.used.is_roomy() && self.used.awaited.swap(false, Ordering::SeqCst)
    }
}

impl Used {
    fn is_roomy(&self) -> bool {
        self.arrivals.load(Ordering::SeqCst) < ARRIVALS && self.bytes.load(Ordering::SeqCst) < BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::super::arrival::{Item, Lost, Source};
    use super::*;
    use crate::proto::grip::{Publication, StreamFormat};

    fn arrival(publication: Publication) -> Arrival {
        let source = Source::Elsewhere(None);
        Arrival::Item(Item { publication: publication.into(), source, position: None })
    }

    fn some(count: usize) -> Vec<Arrival> {
        (0..count).map(|number| arrival(Publication::new(&number.to_string()))).collect()
    }

    fn name(arrival: Arrival) -> String {
        match arrival {
            Arrival::Item(item) => item.publication.channel.to_string(),
            Arrival::Lost(lost) => format!("{lost:?}"),
        }
    }

    #[test]
    fn what_is_pushed_is_taken_in_order_and_counts_until_the_homes_have_it() {
        let inlet = Inlet::default();
        let mut arrivals = some(ARRIVALS - 1);
        inlet.push(&mut arrivals);
        assert!(arrivals.is_empty() && inlet.has_room());
        inlet.push(&mut arrivals);
        inlet.push(&mut vec![Arrival::Lost(Lost::All)]);
        assert!(!inlet.has_room());
        let names: Vec<_> = std::iter::from_fn(|| inlet.next_batch()).flatten().map(name).collect();
        let expected = (0..ARRIVALS - 1).map(|number| number.to_string());
        assert_eq!(names, expected.chain(["All".to_owned()]).collect::<Vec<_>>());
        inlet.push(&mut some(1));
        assert!(!inlet.has_room());
        assert!(!inlet.took(1, 0));
        assert!(inlet.took(1, 0), "the thread waits");
        assert!(inlet.has_room() && !inlet.took(1, 0));
    }

    #[test]
    fn large_publications_fill_it_too() {
        let mut large = Publication::new("c");
        large.stream = Some(StreamFormat::Content(vec![0; BYTES].into()));
        let (inlet, weight) = (Inlet::default(), large.weight());
        inlet.push(&mut vec![arrival(large)]);
        assert!(!inlet.has_room());
        assert!(inlet.took(1, weight));
    }

    #[test]
    fn commands_are_taken_once() {
        let inlet = Inlet::default();
        assert!(inlet.take_commands().is_empty());
        inlet.ask(7, OperatorCommand::Recover);
        assert!(matches!(inlet.take_commands()[..], [(7, OperatorCommand::Recover)]));
        assert!(inlet.take_commands().is_empty());
    }
}
