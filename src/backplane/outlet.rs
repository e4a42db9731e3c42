//! The messages of all cores to the thread: changes of interest, and outcomes of commands. If interest begins and ends
//! before the thread has looked, both changes are dropped, so at most one change waits for each channel. Dropping a change
//! needs a table under a lock rather than a queue. Each core has its own table and lock, which only the core and the
//! thread take, the thread for a moment.

use super::operator::CommandOutcome;
use crate::ids::{CoreId, NameMap};
use crate::wire::Ringer;
use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The messages of the cores since the last call of [`Outlet::take`].
#[derive(Debug, Default)]
pub struct Messages {
    /// The changes of interest, for each core that has some.
    pub interest: Vec<(CoreId, Interest)>,
    /// The outcomes of commands, by ticket.
    pub outcomes: Vec<(u64, CommandOutcome)>,
}

/// Channels whose interest has changed, and whether there is interest now.
type Interest = NameMap<Arc<str>, bool>;

/// The queues from all cores to the thread.
pub struct Outlet {
    /// The changes of interest, by core.
    homes: Box<[CachePadded<Mutex<Interest>>]>,
    /// Outcomes with their tickets. The thread bounds the number of commands in progress.
    outcomes: SegQueue<(u64, CommandOutcome)>,
    /// Whether there are messages for which the thread was already rung.
    has_news: CachePadded<AtomicBool>,
    ringer: Ringer,
}

/// The methods for the cores.
impl Outlet {
    /// An empty outlet of `cores` cores. `ringer` wakes the thread.
    pub fn new(cores: usize, ringer: Ringer) -> Outlet {
        let homes = (0..cores).map(|_| CachePadded::default()).collect();
        Outlet { homes, outcomes: SegQueue::new(), has_news: CachePadded::default(), ringer }
    }

    /// Reports that interest in `channel` begins or ends at `home`, alternately for each channel.
    pub fn interest(&self, home: CoreId, channel: Arc<str>, wanted: bool) {
        let Some(changes) = self.homes.get(home.index()) else { return };
        {
            let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
            if changes.remove(&channel).is_none() {
                changes.insert(channel, wanted);
            }
        }
        self.ring_for_news();
    }

    /// Reports the outcome of the command with this ticket.
    pub fn outcome(&self, ticket: u64, outcome: CommandOutcome) {
        self.outcomes.push((ticket, outcome));
        self.ring_for_news();
    }

    /// Wakes the thread because an inlet has room again.
    pub fn room(&self) {
        self.ringer.ring();
    }

    fn ring_for_news(&self) {
        // If the flag was set, an earlier message has rung already and the thread has not looked yet.
        if !self.has_news.swap(true, Ordering::SeqCst) {
            self.ringer.ring();
        }
    }
}

/// The methods for the thread.
impl Outlet {
    /// Takes all messages.
    pub fn take(&self) -> Messages {
        if !self.has_news.swap(false, Ordering::SeqCst) {
            return Messages::default();
        }
        let changes = self.homes.iter().enumerate().map(|(core, changes)| {
            let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
            (CoreId(core as u16), mem::take(&mut *changes))
        });
        Messages {
            interest: changes.filter(|(_, changes)| !changes.is_empty()).collect(),
            outcomes: std::iter::from_fn(|| self.outcomes.pop()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ThreadBell;

    #[test]
    fn what_is_taken_back_in_time_was_never_said() {
        let outlet = Outlet::new(3, ThreadBell::new().unwrap().ringer());
        let told = |outlet: &Outlet| {
            let interest = outlet.take().interest.into_iter();
            let interest = interest.map(|(home, changes)| (home.0, changes.into_iter().collect::<Vec<_>>()));
            interest.collect::<Vec<_>>()
        };
        outlet.interest(CoreId(1), "a".into(), true);
        outlet.interest(CoreId(2), "b".into(), true);
        outlet.interest(CoreId(1), "a".into(), false);
        assert_eq!(told(&outlet), [(2, vec![("b".into(), true)])]);
        outlet.interest(CoreId(2), "b".into(), false);
        assert_eq!(told(&outlet), [(2, vec![("b".into(), false)])]);
        assert_eq!(told(&outlet), []);
    }

    #[test]
    fn outcomes_are_told_once() {
        let outlet = Outlet::new(1, ThreadBell::new().unwrap().ringer());
        outlet.outcome(7, CommandOutcome::Done);
        outlet.outcome(8, CommandOutcome::Busy);
        assert_eq!(outlet.take().outcomes, [(7, CommandOutcome::Done), (8, CommandOutcome::Busy)]);
        assert_eq!(outlet.take().outcomes, []);
    }
}
