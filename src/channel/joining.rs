//! WebSockets that have asked for one more channel, which its home has not acknowledged. Unlike the rows that `waiting`
//! keeps, which come into force with all their channels at one moment, each of these channels comes into force by itself.

use super::roster::Transport;
use super::subscriptions::ChannelId;
use crate::ids::Slot;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Who waits for what; no list is empty.
#[derive(Default)]
pub(super) struct Joining {
    by_channel: FxHashMap<ChannelId, Vec<(Slot, Transport)>>,
    by_slot: FxHashMap<Slot, SmallVec<[ChannelId; 2]>>,
}

impl Joining {
    /// `slot` waits for `channel`, for which it does not wait yet.
    pub fn add(&mut self, slot: Slot, transport: Transport, channel: ChannelId) {
        debug_assert!(!self.contains(slot, channel));
        self.by_channel.entry(channel).or_default().push((slot, transport));
        self.by_slot.entry(slot).or_default().push(channel);
    }

    /// Whether `slot` waits for `channel`.
    pub fn contains(&self, slot: Slot, channel: ChannelId) -> bool {
        self.channels_of(slot).contains(&channel)
    }

    /// The channels that `slot` waits for.
    pub fn channels_of(&self, slot: Slot) -> &[ChannelId] {
        self.by_slot.get(&slot).map(SmallVec::as_slice).unwrap_or_default()
    }

    /// Whether anyone waits for `channel`.
    pub fn any_for(&self, channel: ChannelId) -> bool {
        self.by_channel.contains_key(&channel)
    }

    /// Whether nobody waits for anything.
    pub fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }

    /// `slot` waits for `channel` no more; whether it did.
    pub fn remove(&mut self, slot: Slot, channel: ChannelId) -> bool {
        let Some(channels) = self.by_slot.get_mut(&slot) else { return false };
        let Some(place) = channels.iter().position(|other| *other == channel) else { return false };
        channels.swap_remove(place);
        if channels.is_empty() {
            self.by_slot.remove(&slot);
        }
        self.forget(slot, channel);
        true
    }

    /// `slot` waits for nothing any more; what it waited for.
    pub fn remove_all(&mut self, slot: Slot) -> SmallVec<[ChannelId; 2]> {
        let channels = self.by_slot.remove(&slot).unwrap_or_default();
        channels.iter().for_each(|channel| self.forget(slot, *channel));
        channels
    }

    /// `channel` is live: those who waited for it.
    pub fn acknowledge(&mut self, channel: ChannelId) -> Vec<(Slot, Transport)> {
        let slots = self.by_channel.remove(&channel).unwrap_or_default();
        for (slot, _) in &slots {
            let Some(channels) = self.by_slot.get_mut(slot) else { continue };
            channels.retain(|other| *other != channel);
            if channels.is_empty() {
                self.by_slot.remove(slot);
            }
        }
        slots
    }

    /// WebSockets ask for channels one by one, over time: few wait for the same one at once.
    fn forget(&mut self, slot: Slot, channel: ChannelId) {
        let Some(slots) = self.by_channel.get_mut(&channel) else { return };
        slots.retain(|(other, _)| *other != slot);
        if slots.is_empty() {
            self.by_channel.remove(&channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_or_is_acknowledged_leaves_nothing_behind() {
        let mut joining = Joining::default();
        let (a, b) = (ChannelId(1), ChannelId(2));
        for (slot, channel) in [(1, a), (1, b), (2, a), (3, b)] {
            joining.add(Slot(slot), Transport::Socket, channel);
        }
        assert_eq!(joining.acknowledge(a), [1, 2].map(|slot| (Slot(slot), Transport::Socket)));
        assert!(!joining.any_for(a) && joining.channels_of(Slot(2)).is_empty());
        assert!(joining.remove(Slot(3), b) && !joining.remove(Slot(3), b));
        assert_eq!(joining.remove_all(Slot(1)).as_slice(), [b]);
        assert!(joining.is_empty() && !joining.any_for(b));
    }
}
