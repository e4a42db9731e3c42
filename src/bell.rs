//! Wakes tasks of one core from the same core: a flag and the tasks that wait for it. Not for other threads.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A level that one task waits for and others raise. Raised while nobody waits, it is seen by the next wait.
#[derive(Default)]
pub struct Bell {
    raised: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Bell {
    /// Wakes everyone who waits, and lets the next who comes pass at once.
    pub fn ring(&self) {
        self.raised.set(true);
        self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }

    /// Waits until the bell was rung since this last returned.
    pub async fn rung(&self) {
        poll_fn(|context| {
            if self.raised.replace(false) {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn a_bell_rung_early_is_heard_once() {
        let bell = Bell::default();
        assert!(block_on(poll_once(bell.rung())).is_none());
        bell.ring();
        assert!(block_on(poll_once(bell.rung())).is_some());
        assert!(block_on(poll_once(bell.rung())).is_none());
    }
}
