//! Wakes tasks of one core from another task on that core. A bell counts its rings, and a waiting task compares this
//! count with the count it knew. So one ring wakes every waiting task, and no task can take a ring away from another.
//! Other threads cannot ring it.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A count of rings, and the tasks that wait for the next one.
#[derive(Default)]
pub struct Bell {
    rings: Cell<u64>,
    waiting: RefCell<Vec<(WaitId, Waker)>>,
    waits: Cell<WaitId>,
}

/// Identifies one wait of a bell.
type WaitId = u64;

/// A wait for a ring; see [`Bell::rung`]. A dropped wait is removed from the bell.
pub struct Rung<'b> {
    bell: &'b Bell,
    seen: u64,
    /// Set once this wait has had an entry in `bell.waiting`. The next ring removes the entry.
    id: Option<WaitId>,
}

impl Bell {
    /// Wakes every waiting task.
    pub fn ring(&self) {
        self.rings.set(self.rings.get() + 1);
        self.waiting.borrow_mut().drain(..).for_each(|(_, waker)| waker.wake());
    }

    /// How many times the bell was rung so far.
    pub fn rings(&self) -> u64 {
        self.rings.get()
    }

    /// Waits for the first ring after this call. The task must check its condition after this call or right before
    /// it, with no await in between, or it may miss a ring.
    pub fn rung(&self) -> Rung<'_> {
        self.rung_since(self.rings())
    }

    /// Waits for the first ring after ring number `seen`, and returns at once if there has been one. With 0, it waits
    /// for the first ring at all.
    pub fn rung_since(&self, seen: u64) -> Rung<'_> {
        Rung { bell: self, seen, id: None }
    }
}

impl Future for Rung<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.bell.rings() != self.seen {
            return Poll::Ready(());
        }
        let mut waiting = self.bell.waiting.borrow_mut();
        match waiting.iter_mut().find(|(id, _)| Some(*id) == self.id) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => {
                let id = self.bell.waits.get();
                self.bell.waits.set(id + 1);
                waiting.push((id, context.waker().clone()));
                drop(waiting);
                self.id = Some(id);
            }
        }
        Poll::Pending
    }
}

impl Drop for Rung<'_> {
    fn drop(&mut self) {
        // A ring removes all entries, so this wait has an entry only if the bell was not rung since.
        if self.id.is_some() && self.bell.rings() == self.seen {
            self.bell.waiting.borrow_mut().retain(|(id, _)| Some(*id) != self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::pin::pin;

    #[test]
    fn a_ring_wakes_everyone_who_waits_and_nobody_takes_it_from_another() {
        let bell = Bell::default();
        let (mut first, mut second) = (pin!(bell.rung()), pin!(bell.rung()));
        assert!(block_on(poll_once(&mut first)).is_none());
        assert!(block_on(poll_once(&mut second)).is_none());
        bell.ring();
        assert!(block_on(poll_once(&mut first)).is_some());
        let mut third = pin!(bell.rung());
        assert!(block_on(poll_once(&mut third)).is_none());
        assert!(block_on(poll_once(&mut second)).is_some());
        assert!(block_on(poll_once(&mut third)).is_none());
    }

    #[test]
    fn a_ring_between_the_call_and_the_wait_is_heard() {
        let bell = Bell::default();
        let wait = bell.rung();
        bell.ring();
        assert!(block_on(poll_once(wait)).is_some());
        let heard = bell.rings();
        bell.ring();
        assert!(block_on(poll_once(bell.rung_since(heard))).is_some());
        assert!(block_on(poll_once(bell.rung_since(bell.rings()))).is_none());
    }

    #[test]
    fn a_wait_that_is_given_up_leaves_nothing_behind() {
        let bell = Bell::default();
        let mut stays = pin!(bell.rung());
        assert!(block_on(poll_once(&mut stays)).is_none());
        for _ in 0..3 {
            assert!(block_on(poll_once(bell.rung())).is_none());
        }
        assert_eq!(bell.waiting.borrow().len(), 1);
        bell.ring();
        assert!(block_on(poll_once(stays)).is_some());
        assert!(bell.waiting.borrow().is_empty());
    }
}
