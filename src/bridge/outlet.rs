//! The way out of all cores, to the thread of ZeroMQ: which channels are listened to, what became of orders, and for the
//! stats socket what happens. Interest that is taken back before the thread has looked was never there, so no more waits
//! here than there are channels; what is only told may be lost, and is bounded.

use super::events::Events;
use crate::ids::NameMap;
use crate::wire::Ringer;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was followed.
    Done,
    /// There is no room for what it publishes, or a core does not answer.
    Busy,
    /// What it names is not there.
    NotFound,
    /// These of the connections that it names are there.
    Connections(Vec<Box<str>>),
}

/// What the cores have said since the thread last asked.
#[derive(Debug, Default)]
pub struct Told {
    /// Whether somebody listens to a channel.
    pub interest: NameMap<Arc<str>, bool>,
    /// What became of orders, by ticket.
    pub outcomes: Vec<(u64, Outcome)>,
    /// What happened.
    pub events: Events,
}

/// The way out of the cores.
pub struct Outlet {
    told: Mutex<Told>,
    ringer: Ringer,
}

impl Outlet {
    /// An empty one; `ringer` wakes the thread.
    pub fn new(ringer: Ringer) -> Outlet {
        Outlet { told: Mutex::default(), ringer }
    }

    /// Somebody listens to `channel` from now on, or nobody does any more. It is said of a channel by turns.
    pub fn interest(&self, channel: Arc<str>, wanted: bool) {
        self.tell(|told| {
            if told.interest.remove(&channel).is_none() {
                told.interest.insert(channel, wanted);
            }
        });
    }

    /// What became of the order with this ticket.
    pub fn outcome(&self, ticket: u64, outcome: Outcome) {
        self.tell(|told| told.outcomes.push((ticket, outcome)));
    }

    /// What happened on one core, which is left empty. The thread looks at it when it likes.
    pub fn happened(&self, events: &mut Events) {
        self.told().events.append(events);
    }

    /// An inlet has room again.
    pub fn room(&self) {
        self.ringer.ring();
    }

    /// Everything that was said.
    pub fn take(&self) -> Told {
        mem::take(&mut *self.told())
    }

    fn tell(&self, say: impl FnOnce(&mut Told)) {
        let mut told = self.told();
        let is_first = told.interest.is_empty() && told.outcomes.is_empty();
        say(&mut told);
        drop(told);
        // Whoever said something before has rung, and the thread has not looked yet.
        if is_first {
            self.ringer.ring();
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ThreadBell;

    #[test]
    fn what_is_taken_back_in_time_was_never_said() {
        let outlet = Outlet::new(ThreadBell::new().unwrap().ringer());
        outlet.interest("a".into(), true);
        outlet.interest("b".into(), true);
        outlet.interest("a".into(), false);
        outlet.outcome(7, Outcome::Done);
        let told = outlet.take();
        assert_eq!(told.interest.into_iter().collect::<Vec<_>>(), [("b".into(), true)]);
        assert_eq!(told.outcomes, [(7, Outcome::Done)]);
        outlet.interest("b".into(), false);
        assert_eq!(outlet.take().interest.into_iter().collect::<Vec<_>>(), [("b".into(), false)]);
    }
}
