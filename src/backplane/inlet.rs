//! The queues into one core: arrivals for its homes, in order, and commands of operators. The thread checks that every
//! inlet has room before it receives a batch, and the core takes only as much as its homes have room for, so no received
//! item is dropped. The queues have no locks, and no bound of their own: the thread's check bounds them. Arrivals pass in
//! batches, because passing them one by one would double the cost.

use super::arrival::Arrival;
use super::operator::OperatorCommand;
use crate::wire::Ringer;
use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;
use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Numbers of arrivals and bytes at which an inlet has no more room. A batch that was received before is still accepted.
const ARRIVALS: usize = 4096;
const BYTES: usize = 16 * 1024 * 1024;

/// The queues into a core.
#[derive(Default)]
pub struct Inlet {
    /// Batches; none of them is empty.
    arrivals: SegQueue<Vec<Arrival>>,
    /// Commands with their tickets. The thread bounds the number of commands in progress.
    commands: SegQueue<(u64, OperatorCommand)>,
    used: CachePadded<Used>,
    ringer: OnceLock<Ringer>,
}

/// The arrivals and bytes that the homes have not taken yet.
#[derive(Default)]
struct Used {
    arrivals: AtomicUsize,
    bytes: AtomicUsize,
    /// Whether the thread waits for room.
    awaited: AtomicBool,
}

/// The methods for the thread.
impl Inlet {
    /// Whether more arrivals may be received for this core. If not, [`Inlet::took`] reports when there is room again.
    pub fn has_room(&self) -> bool {
        self.used.is_roomy() || {
            self.used.awaited.store(true, Ordering::SeqCst);
            // The core may have made room before it could see that the thread waits.
            self.used.is_roomy()
        }
    }

    /// Adds a batch, and empties `arrivals`.
    pub fn push(&self, arrivals: &mut Vec<Arrival>) {
        if arrivals.is_empty() {
            return;
        }
        self.used.arrivals.fetch_add(arrivals.len(), Ordering::SeqCst);
        self.used.bytes.fetch_add(arrivals.iter().map(Arrival::weight).sum(), Ordering::SeqCst);
        self.arrivals.push(mem::take(arrivals));
        self.ring();
    }

    /// Sends a command to the core. The outcome comes through the outlet, with this ticket.
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

/// The methods for the core.
impl Inlet {
    /// Attaches the core, which wakes when `ringer` rings. Earlier arrivals are found in the core's first turn.
    pub fn attach(&self, ringer: Ringer) {
        let before = self.ringer.set(ringer);
        debug_assert!(before.is_ok(), "a core attaches once");
    }

    /// Takes the next batch.
    pub fn next_batch(&self) -> Option<Vec<Arrival>> {
        // Every turn of the core calls this, and the queue is mostly empty. `is_empty` costs two loads, `pop` a fence.
        if self.arrivals.is_empty() {
            return None;
        }
        self.arrivals.pop()
    }

    /// Takes all commands.
    pub fn take_commands(&self) -> Vec<(u64, OperatorCommand)> {
        if self.commands.is_empty() {
            return Vec::new();
        }
        std::iter::from_fn(|| self.commands.pop()).collect()
    }

    /// Frees the room of arrivals that the homes have taken. Returns whether the thread waits for room.
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
