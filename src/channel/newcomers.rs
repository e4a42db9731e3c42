//! Subscribers that asked for a channel while messages of its home were under way to this core. Those messages had
//! their place, and their publishers may have been told so, before the subscriber asked: they are not for it. How many
//! they are on the channel is not known before the last of them is taken, so until then the subscriber's entry is
//! parked: its next publication lies beyond all that can be under way.
//!
//! Messages of one home come in order, so a number of messages says which they are. A subscriber that asks while
//! nothing is under way, which is almost always so, is never in here.

use super::dispatched::Dispatched;
use crate::ids::{ChannelId, CoreId, Slot};
use crate::slack::Look;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// How far ahead of its channel a parked entry's next publication lies: further than any number of publications that
/// can be under way, and less than half of what counts that wrap can tell apart.
const PARKED: u32 = 1 << 30;

/// The newcomers of one core.
#[derive(Default)]
pub(super) struct Newcomers {
    /// What the homes have sent, and which core this is; `None` where whatever is sent arrives at once.
    homes: Option<(Arc<Dispatched>, CoreId)>,
    /// By home.
    of_home: Vec<OfHome>,
    /// Of each newcomer, the last message of the channel's home that is not for it.
    parked: FxHashMap<(Slot, ChannelId), u64>,
}

#[derive(Default)]
struct OfHome {
    /// Messages that this core has taken.
    taken: u64,
    /// Who waits for which message to be taken, in that order. Some have left, or have asked again, meanwhile.
    waiting: VecDeque<(u64, Slot, ChannelId)>,
}

impl Newcomers {
    /// From now on `dispatched` says what is under way to core `own`.
    pub fn set_dispatched(&mut self, dispatched: Arc<Dispatched>, own: CoreId) {
        self.homes = Some((dispatched, own));
    }

    /// `slot` asks for `channel` now, whose home is `home`.
    pub fn add(&mut self, slot: Slot, channel: ChannelId, home: CoreId) {
        let Some((dispatched, own)) = &self.homes else { return };
        let last = dispatched.sent(home, *own);
        let of_home = of_home(&mut self.of_home, home);
        if last > of_home.taken {
            of_home.waiting.push_back((last, slot, channel));
            self.parked.insert((slot, channel), last);
        }
    }

    /// Everything on `channel` is for `slot`, or it has left; whether it was a newcomer there.
    pub fn remove(&mut self, slot: Slot, channel: ChannelId) -> bool {
        !self.parked.is_empty() && self.parked.remove(&(slot, channel)).is_some()
    }

    /// The first publication that is for `slot`, which is in the channel's list from now on, if the next that arrives
    /// has the count `next`.
    pub fn first(&self, slot: Slot, channel: ChannelId, next: u32) -> u32 {
        let is_parked = !self.parked.is_empty() && self.parked.contains_key(&(slot, channel));
        if is_parked { next.wrapping_add(PARKED) } else { next }
    }

    /// One more message of `home` was taken.
    pub fn took(&mut self, home: CoreId) {
        of_home(&mut self.of_home, home).taken += 1;
    }

    /// One who waited for the last message that was taken of `home`, and is to get what comes next.
    pub fn next_due(&mut self, home: CoreId) -> Option<(Slot, ChannelId)> {
        let of_home = self.of_home.get_mut(home.index())?;
        while let Some((last, slot, channel)) =
            of_home.waiting.pop_front_if(|(last, ..)| *last <= of_home.taken)
        {
            // Whoever has left and come back waits for a later message.
            if self.parked.get(&(slot, channel)) == Some(&last) {
                self.parked.remove(&(slot, channel));
                return Some((slot, channel));
            }
        }
        None
    }

    /// Has a look at its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.parked);
        self.of_home.iter_mut().for_each(|of_home| look.at(&mut of_home.waiting));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }
}

fn of_home(all: &mut Vec<OfHome>, home: CoreId) -> &mut OfHome {
    if all.len() <= home.index() {
        all.resize_with(home.index() + 1, OfHome::default);
    }
    &mut all[home.index()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: CoreId = CoreId(1);
    const A: ChannelId = ChannelId(0);

    fn newcomers() -> (Newcomers, Arc<Dispatched>) {
        let (mut newcomers, dispatched) = (Newcomers::default(), Arc::new(Dispatched::new(2)));
        newcomers.set_dispatched(dispatched.clone(), CoreId(0));
        (newcomers, dispatched)
    }

    fn due(newcomers: &mut Newcomers) -> Vec<u32> {
        newcomers.took(HOME);
        std::iter::from_fn(|| newcomers.next_due(HOME)).map(|(slot, _)| slot.0).collect()
    }

    #[test]
    fn whoever_asks_while_nothing_is_under_way_waits_for_nothing() {
        let (mut newcomers, dispatched) = newcomers();
        newcomers.add(Slot(1), A, HOME);
        dispatched.count(HOME, CoreId(0));
        assert!(newcomers.is_empty() && newcomers.first(Slot(1), A, 7) == 7);
        assert_eq!(due(&mut newcomers), [] as [u32; 0]);
        newcomers.add(Slot(2), A, HOME);
        assert!(newcomers.is_empty());
    }

    #[test]
    fn whoever_asks_waits_for_what_was_sent_before_and_no_longer() {
        let (mut newcomers, dispatched) = newcomers();
        dispatched.count(HOME, CoreId(0));
        newcomers.add(Slot(1), A, HOME);
        newcomers.add(Slot(2), A, HOME);
        assert!(newcomers.first(Slot(1), A, u32::MAX) != u32::MAX);
        dispatched.count(HOME, CoreId(0));
        newcomers.add(Slot(3), A, HOME);
        // One leaves, another leaves and comes back.
        newcomers.remove(Slot(2), A);
        newcomers.remove(Slot(1), A);
        newcomers.add(Slot(1), A, HOME);
        newcomers.add(Slot(4), A, HOME);
        newcomers.remove(Slot(4), A);
        assert_eq!(due(&mut newcomers), [] as [u32; 0]);
        assert_eq!(due(&mut newcomers), [3, 1]);
        assert!(newcomers.is_empty() && newcomers.of_home[1].waiting.is_empty());
    }
}
