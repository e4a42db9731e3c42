//! Whether a core may begin work of its own accord. While a core hands its clients over to another process, it begins
//! nothing: what it would begin waits here, and goes on if the hand-over is given up. Work that began before holds a
//! [`Pass`], so that the hand-over can wait for it.

use crate::bell::Bell;
use std::cell::Cell;
use std::rc::Rc;

/// How much a core may begin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum Life {
    /// Everything.
    #[default]
    Serving,
    /// No requests of clients, and no requests to applications on behalf of held clients.
    Settling,
    /// No requests of anybody. Requests of publishers and operators that have begun are finished.
    Finishing,
    /// Nothing at all: clients, publishers and other nodes are not read.
    Quiet,
    /// The clients belong to another process. What is left is drained, and nothing can be published here.
    HandedOver,
}

impl Life {
    /// Whether nothing may begin for held clients, until it is decided to which process they belong.
    pub fn is_pausing(self) -> bool {
        matches!(self, Life::Settling | Life::Finishing | Life::Quiet)
    }
}

/// The gate of a core.
#[derive(Default)]
pub struct Gate {
    life: Cell<Life>,
    changed: Bell,
    passes: Rc<Cell<usize>>,
    /// Calls that are answered when the hand-over is over.
    waiting: Rc<Cell<usize>>,
}

/// Work that has begun. Dropping this says that it is done.
pub struct Pass(Rc<Cell<usize>>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Gate {
    /// How much the core may begin now.
    pub fn life(&self) -> Life {
        self.life.get()
    }

    /// Changes how much the core may begin.
    pub fn set(&self, life: Life) {
        self.life.set(life);
        self.changed.ring();
    }

    /// Waits until work for a held client may begin. By then the client may belong to another process, so the caller looks
    /// whether it is still here. Work for clients that have stayed here goes on after a hand-over.
    pub async fn pass(&self) -> Pass {
        self.settled().await;
        self.enter()
    }

    /// Counts a call that is answered when the hand-over is over, so the hand-over does not wait for it.
    pub fn await_hand_over(&self) -> Pass {
        self.waiting.set(self.waiting.get() + 1);
        Pass(self.waiting.clone())
    }

    /// How many calls are answered when the hand-over is over.
    pub fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// Counts work that begins as a part of work that had begun before.
    pub fn enter(&self) -> Pass {
        self.passes.set(self.passes.get() + 1);
        Pass(self.passes.clone())
    }

    /// Waits while nothing may begin for a held client.
    pub async fn settled(&self) {
        self.wait_while(Life::is_pausing).await;
    }

    /// Waits until something may be published. Returns whether that is here.
    pub async fn may_publish(&self) -> bool {
        self.wait_while(|life| life == Life::Quiet).await != Life::HandedOver
    }

    /// How much work that waited for [`Gate::pass`] is under way.
    pub fn passes(&self) -> usize {
        self.passes.get()
    }

    async fn wait_while(&self, waits: impl Fn(Life) -> bool) -> Life {
        while waits(self.life.get()) {
            self.changed.rung().await;
        }
        self.life.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn work_waits_while_the_gate_is_closed_and_is_counted_once_it_has_begun() {
        let gate = Gate::default();
        let pass = block_on(gate.pass());
        assert_eq!(gate.passes(), 1);
        drop(pass);
        gate.set(Life::Settling);
        let mut waiting = Box::pin(gate.pass());
        assert!(block_on(poll_once(&mut waiting)).is_none() && gate.passes() == 0);
        assert!(block_on(gate.may_publish()));
        gate.set(Life::Serving);
        drop(block_on(waiting));
    }

    #[test]
    fn work_for_those_who_stay_goes_on_after_a_hand_over_and_publishing_does_not() {
        let gate = Gate::default();
        gate.set(Life::Quiet);
        let mut waiting = Box::pin(gate.pass());
        assert!(block_on(poll_once(&mut waiting)).is_none());
        gate.set(Life::HandedOver);
        let passes = (block_on(waiting), block_on(gate.pass()));
        assert_eq!(gate.passes(), 2);
        drop(passes);
        assert!(!block_on(gate.may_publish()));
    }
}
