//! The way out of all cores to the thread: which channels have interest, and what became of commands. Interest that is
//! taken back before the thread has looked was never there, so no more waits here than there are channels. That takes a
//! table under a lock, as a queue cannot take back; each home has a lock of its own, which only its core and the thread
//! take, the thread for a moment.

use super::operator::CommandOutcome;
use crate::ids::{CoreId, NameMap};
use crate::wire::Ringer;
use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the cores have said since the thread last asked.
#[derive(Debug, Default)]
pub struct Messages {
    /// For each home that has said something, whether there is interest in channels.
    pub interest: Vec<(CoreId, Interest)>,
    /// What became of commands, by ticket.
    pub outcomes: Vec<(u64, CommandOutcome)>,
}

/// Whether somebody is interested in a channel.
type Interest = NameMap<Arc<str>, bool>;

/// The way out of the cores.
pub struct Outlet {
    /// By core.
    homes: Box<[CachePadded<Mutex<Interest>>]>,
    /// No more than the thread has followed at a time.
    outcomes: SegQueue<(u64, CommandOutcome)>,
    /// Something was said, and the thread was rung for it.
    has_news: CachePadded<AtomicBool>,
    ringer: Ringer,
}

/// For the cores.
impl Outlet {
    /// An empty one of `cores` cores; `ringer` wakes the thread.
    pub fn new(cores: usize, ringer: Ringer) -> Outlet {
        let homes = (0..cores).map(|_| CachePadded::default()).collect();
        Outlet { homes, outcomes: SegQueue::new(), has_news: CachePadded::default(), ringer }
    }

    /// At `home`, somebody is interested in `channel` from now on, or nobody is any more; by turns for each channel.
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

    /// What became of the command with this ticket.
    pub fn outcome(&self, ticket: u64, outcome: CommandOutcome) {
        self.outcomes.push((ticket, outcome));
        self.ring_for_news();
    }

    /// An inlet has room again.
    pub fn room(&self) {
        self.ringer.ring();
    }

    fn ring_for_news(&self) {
        // Whoever said something before has rung, and the thread has not looked yet.
        if !self.has_news.swap(true, Ordering::SeqCst) {
            self.ringer.ring();
        }
    }
}

/// For the thread.
impl Outlet {
    /// Everything that was said.
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
