//! The way into one core: publications of channels that are at home there, in their order, and what the command socket
//! asks of the core. The thread looks for room before it receives anything, and receives nothing while one inlet has
//! none; the core takes as much as its homes have room for. So nothing that was received is dropped.

use crate::channel::Publication;
use crate::wire::Ringer;
use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Publications, and their bytes, from which on an inlet has no room. What was received before is still taken.
const PUBLICATIONS: usize = 4096;
const BYTES: usize = 16 * 1024 * 1024;

/// What the command socket asks of a core.
#[derive(Debug)]
pub enum Order {
    /// Publish these.
    Publish(Vec<Publication>),
    /// Have everyone ask who may have missed something.
    Recover,
    /// Find out which of these connections are there.
    ConnCheck(Vec<Box<str>>),
    /// Ask the application of this connection for what it has.
    Refresh(Box<str>),
}

/// The way into a core.
#[derive(Default)]
pub struct Inlet {
    queue: Mutex<Queue>,
    /// Publications and bytes that the core has not done with.
    publications: AtomicUsize,
    bytes: AtomicUsize,
    /// There is an order in the queue.
    has_orders: AtomicBool,
    /// The thread waits for room.
    awaited: AtomicBool,
}

#[derive(Default)]
struct Queue {
    publications: VecDeque<Publication>,
    orders: Vec<(u64, Order)>,
    ringer: Option<Ringer>,
}

/// For the thread.
impl Inlet {
    /// Whether more may be received for this core. If not, [`Inlet::has_been_done_with`] will say when to look again.
    pub fn has_room(&self) -> bool {
        self.is_roomy() || {
            self.awaited.store(true, Ordering::SeqCst);
            // The core may have made room before it could see that someone waits.
            self.is_roomy()
        }
    }

    /// Adds publications, and leaves none in `publications`.
    pub fn push(&self, publications: &mut Vec<Publication>) {
        if publications.is_empty() {
            return;
        }
        self.publications.fetch_add(publications.len(), Ordering::SeqCst);
        self.bytes.fetch_add(publications.iter().map(Publication::weight).sum(), Ordering::SeqCst);
        let mut queue = self.queue();
        queue.publications.extend(publications.drain(..));
        queue.ring();
    }

    /// Asks something of the core; its answer comes by the outlet with this ticket.
    pub fn order(&self, ticket: u64, order: Order) {
        let mut queue = self.queue();
        queue.orders.push((ticket, order));
        self.has_orders.store(true, Ordering::SeqCst);
        queue.ring();
    }
}

/// For the core.
impl Inlet {
    /// The core is there, and wakes when `ringer` rings.
    pub fn attach(&self, ringer: Ringer) {
        self.queue().ringer = Some(ringer);
    }

    /// Everything that was pushed, in its order, if `taken` is empty.
    pub fn take_publications(&self, taken: &mut VecDeque<Publication>) {
        if taken.is_empty() && self.publications.load(Ordering::SeqCst) > 0 {
            mem::swap(taken, &mut self.queue().publications);
        }
    }

    /// Everything that is asked.
    pub fn take_orders(&self) -> Vec<(u64, Order)> {
        match self.has_orders.swap(false, Ordering::SeqCst) {
            true => mem::take(&mut self.queue().orders),
            false => Vec::new(),
        }
    }

    /// The core is done with so many publications and bytes; whether the thread waits for that.
    #[must_use]
    pub fn has_been_done_with(&self, publications: usize, bytes: usize) -> bool {
        self.publications.fetch_sub(publications, Ordering::SeqCst);
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.is_roomy() && self.awaited.swap(false, Ordering::SeqCst)
    }

    fn is_roomy(&self) -> bool {
        self.publications.load(Ordering::SeqCst) < PUBLICATIONS && self.bytes.load(Ordering::SeqCst) < BYTES
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn ring(&self) {
        if let Some(ringer) = &self.ringer {
            ringer.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(count: usize) -> Vec<Publication> {
        (0..count).map(|number| Publication::new(&number.to_string())).collect()
    }

    #[test]
    fn what_is_pushed_is_taken_in_order_and_counts_until_it_is_done_with() {
        let inlet = Inlet::default();
        let mut publications = some(PUBLICATIONS);
        inlet.push(&mut publications);
        assert!(publications.is_empty() && !inlet.has_room());
        let mut taken = VecDeque::new();
        inlet.take_publications(&mut taken);
        let names: Vec<_> = taken.iter().map(|it| it.channel.to_string()).collect();
        assert_eq!(names, (0..PUBLICATIONS).map(|number| number.to_string()).collect::<Vec<_>>());
        inlet.push(&mut some(1));
        inlet.take_publications(&mut taken);
        assert_eq!(taken.len(), PUBLICATIONS);
        assert!(!inlet.has_room());
        assert!(!inlet.has_been_done_with(1, 0));
        assert!(inlet.has_been_done_with(1, 0), "the thread waits");
        assert!(inlet.has_room() && !inlet.has_been_done_with(1, 0));
    }

    #[test]
    fn large_publications_fill_it_too() {
        let mut large = Publication::new("c");
        large.stream = Some(crate::channel::StreamFormat::Content(vec![0; BYTES].into()));
        let (inlet, weight) = (Inlet::default(), large.weight());
        inlet.push(&mut vec![large]);
        assert!(!inlet.has_room());
        assert!(inlet.has_been_done_with(1, weight));
    }

    #[test]
    fn orders_are_taken_once() {
        let inlet = Inlet::default();
        assert!(inlet.take_orders().is_empty());
        inlet.order(7, Order::Recover);
        assert!(matches!(inlet.take_orders()[..], [(7, Order::Recover)]));
        assert!(inlet.take_orders().is_empty());
    }
}
