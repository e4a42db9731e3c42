//! Subscribers that subscribed to a channel while messages of its home were in transit to this core. The items in
//! these messages were sequenced before the subscriber came, and their publishers may know that already, so the
//! subscriber must not get them. How many of them are for the channel is not known before the last of them is taken.
//! Until then the subscriber's entry is parked: its `next` count is beyond all items that can be in transit.
//!
//! Messages of one home arrive in order, so the number of messages identifies the last one in transit. Almost always
//! no message is in transit when a subscriber comes, and the subscriber is not entered here.

use super::dispatched::Dispatched;
use crate::ids::{ChannelId, CoreId, Slot};
use crate::slack::Look;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// How far the `next` of a parked entry is ahead of its channel: further than the number of items that can be in
/// transit, and less than half of the range of the counts, which wrap.
const PARKED: u32 = 1 << 30;

/// The newcomers of one core.
#[derive(Default)]
pub(super) struct Newcomers {
    /// The counters of messages from homes, and the number of this core; `None` if messages arrive at once.
    homes: Option<(Arc<Dispatched>, CoreId)>,
    /// By home.
    of_home: Vec<OfHome>,
    /// For each newcomer, the number of the last message of the channel's home that is not for it.
    parked: FxHashMap<(Slot, ChannelId), u64>,
}

#[derive(Default)]
struct OfHome {
    /// The number of messages that this core has taken.
    taken: u64,
    /// The newcomers that wait for a message to be taken, in the order of messages. Some may have unsubscribed or
    /// subscribed again.
    waiting: VecDeque<(u64, Slot, ChannelId)>,
}

impl Newcomers {
    /// Sets the counters of messages, and the number of this core.
    pub fn set_dispatched(&mut self, dispatched: Arc<Dispatched>, own: CoreId) {
        self.homes = Some((dispatched, own));
    }

    /// Records that `slot` subscribes to `channel`, which has its home at `home`.
    pub fn add(&mut self, slot: Slot, channel: ChannelId, home: CoreId) {
        let Some((dispatched, own)) = &self.homes else { return };
        let last = dispatched.sent(home, *own);
        let of_home = of_home(&mut self.of_home, home);
        if last > of_home.taken {
            of_home.waiting.push_back((last, slot, channel));
            self.parked.insert((slot, channel), last);
        }
    }

    /// Removes `slot` from the newcomers of `channel`; returns whether it was among them.
    pub fn remove(&mut self, slot: Slot, channel: ChannelId) -> bool {
        !self.parked.is_empty() && self.parked.remove(&(slot, channel)).is_some()
    }

    /// The count of the first item for `slot`, which is about to be entered into the channel's list. `next` is the
    /// count of the next item that arrives.
    pub fn first(&self, slot: Slot, channel: ChannelId, next: u32) -> u32 {
        let is_parked = !self.parked.is_empty() && self.parked.contains_key(&(slot, channel));
        if is_parked { next.wrapping_add(PARKED) } else { next }
    }

    /// Counts one more message that was taken from `home`.
    pub fn took(&mut self, home: CoreId) {
        of_home(&mut self.of_home, home).taken += 1;
    }

    /// Whether all messages that `home` has sent were taken.
    pub fn has_taken_all(&self, home: CoreId) -> bool {
        let Some((dispatched, own)) = &self.homes else { return true };
        let taken = self.of_home.get(home.index()).map_or(0, |of_home| of_home.taken);
        dispatched.sent(home, *own) == taken
    }

    /// How many messages were taken.
    pub fn taken(&self) -> u64 {
        self.of_home.iter().map(|of_home| of_home.taken).sum()
    }

    /// Removes and returns a newcomer whose last foreign message was taken; it gets all items from now on.
    pub fn next_due(&mut self, home: CoreId) -> Option<(Slot, ChannelId)> {
        let of_home = self.of_home.get_mut(home.index())?;
        while let Some((last, slot, channel)) =
            of_home.waiting.pop_front_if(|(last, ..)| *last <= of_home.taken)
        {
            // A slot that has unsubscribed and subscribed again waits for a later message.
            if self.parked.get(&(slot, channel)) == Some(&last) {
                self.parked.remove(&(slot, channel));
                return Some((slot, channel));
            }
        }
        None
    }

    /// Lets `look` shrink its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.parked);
        self.of_home.iter_mut().for_each(|of_home| look.at(&mut of_home.waiting));
    }

    /// Whether there are no newcomers.
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
        // One slot unsubscribes, another unsubscribes and subscribes again.
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
