//! The doorbell of a core in a simulation.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Several rings before the core wakes count as one.
#[derive(Default)]
pub(in crate::wire) struct Chime {
    is_rung: Cell<bool>,
    waiting: Cell<Option<Waker>>,
}

impl Chime {
    pub fn ring(&self) {
        self.is_rung.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Waits until it was rung at least once since the last call.
    pub async fn rung(&self) {
        poll_fn(|context| {
            if self.is_rung.replace(false) {
                return Poll::Ready(());
            }
            self.waiting.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
