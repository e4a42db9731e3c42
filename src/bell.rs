//! Wakes tasks of one core from the same core. A bell counts its rings; a task that waits compares that count with the
//! one it knew, so a ring wakes every task that waited for it and no task can take it away from another. Not for other
//! threads.

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

/// Tells the waits of one bell apart.
type WaitId = u64;

/// A wait for a ring; see [`Bell::rung`]. A wait that is dropped leaves nothing behind.
pub struct Rung<'b> {
    bell: &'b Bell,
    seen: u64,
    /// Set while `bell.waiting` has an entry of this wait, unless a ring has taken it.
    id: Option<WaitId>,
}

impl Bell {
    /// Wakes every task that waits.
    pub fn ring(&self) {
        self.rings.set(self.rings.get() + 1);
        self.waiting.borrow_mut().drain(..).for_each(|(_, waker)| waker.wake());
    }

    /// How often the bell was rung so far.
    pub fn rings(&self) -> u64 {
        self.rings.get()
    }

    /// Waits for the first ring after this call. What the task waits for must be looked at after the call or right
    /// before it, with no await in between.
    pub fn rung(&self) -> Rung<'_> {
        self.rung_since(self.rings())
    }

    /// Waits for the first ring after the `seen`th; returns at once when that has been. With 0: until the first ring of
    /// all.
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
        // A ring takes all entries, so there is one only as long as none came.
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
