//! WebSockets that have asked to join another channel, which its home has not acknowledged. A row in `waiting` comes
//! into force with all its channels at one moment; here each channel comes into force by itself.

use super::transport::Transport;
use crate::ids::{ChannelId, Slot};
use crate::slack::Look;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// WebSockets by channel and channels by WebSocket; no list is empty. Each slot knows its place in the list of each
/// of its channels, so that leaving costs the same for each client even if thousands wait for one channel.
#[derive(Default)]
pub(super) struct Joining {
    by_channel: FxHashMap<ChannelId, Vec<(Slot, Transport)>>,
    by_slot: FxHashMap<Slot, SmallVec<[(ChannelId, u32); 2]>>,
}

impl Joining {
    /// Adds `channel` to the channels that `slot` waits for. It must not be among them.
    pub fn add(&mut self, slot: Slot, transport: Transport, channel: ChannelId) {
        debug_assert!(!self.contains(slot, channel));
        let list = self.by_channel.entry(channel).or_default();
        self.by_slot.entry(slot).or_default().push((channel, list.len() as u32));
        list.push((slot, transport));
    }

    /// Whether `slot` waits for `channel`.
    pub fn contains(&self, slot: Slot, channel: ChannelId) -> bool {
        self.channels_of(slot).any(|other| other == channel)
    }

    /// The channels that `slot` waits for.
    pub fn channels_of(&self, slot: Slot) -> impl Iterator<Item = ChannelId> {
        self.by_slot.get(&slot).into_iter().flatten().map(|(channel, _)| *channel)
    }

    /// Whether any WebSocket waits for `channel`.
    pub fn any_for(&self, channel: ChannelId) -> bool {
        self.by_channel.contains_key(&channel)
    }

    /// Lets `look` shrink its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.by_channel);
        look.at(&mut self.by_slot);
    }

    /// Whether no WebSocket waits for a channel.
    pub fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }

    /// Stops waiting of `slot` for `channel`; returns whether it waited.
    pub fn remove(&mut self, slot: Slot, channel: ChannelId) -> bool {
        let Some(place) = self.forget(slot, channel) else { return false };
        self.take_out(channel, place);
        true
    }

    /// Stops all waiting of `slot`; returns the channels that it waited for.
    pub fn remove_all(&mut self, slot: Slot) -> SmallVec<[ChannelId; 2]> {
        let places = self.by_slot.remove(&slot).unwrap_or_default();
        places.iter().for_each(|(channel, place)| self.take_out(*channel, *place));
        places.into_iter().map(|(channel, _)| channel).collect()
    }

    /// The home has acknowledged `channel`: removes and returns the WebSockets that waited for it.
    pub fn acknowledge(&mut self, channel: ChannelId) -> Vec<(Slot, Transport)> {
        let slots = self.by_channel.remove(&channel).unwrap_or_default();
        for (slot, _) in &slots {
            self.forget(*slot, channel);
        }
        slots
    }

    /// Removes `channel` from the channels of `slot`; returns the place of `slot` in the list of `channel`.
    fn forget(&mut self, slot: Slot, channel: ChannelId) -> Option<u32> {
        let places = self.by_slot.get_mut(&slot)?;
        let index = places.iter().position(|(other, _)| *other == channel)?;
        let (_, place) = places.swap_remove(index);
        if places.is_empty() {
            self.by_slot.remove(&slot);
        }
        Some(place)
    }

    /// Removes the WebSocket at `place` from the list of `channel`; the last WebSocket of the list moves there.
    fn take_out(&mut self, channel: ChannelId, place: u32) {
        let Some(list) = self.by_channel.get_mut(&channel) else { return };
        list.swap_remove(place as usize);
        let moved = list.get(place as usize).map(|(slot, _)| *slot);
        if list.is_empty() {
            self.by_channel.remove(&channel);
        }
        let places = moved.and_then(|slot| self.by_slot.get_mut(&slot));
        let known = places.and_then(|places| places.iter_mut().find(|(other, _)| *other == channel));
        if let Some((_, known)) = known {
            *known = place;
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
        assert!(!joining.any_for(a) && joining.channels_of(Slot(2)).next().is_none());
        assert!(joining.remove(Slot(3), b) && !joining.remove(Slot(3), b));
        assert_eq!(joining.remove_all(Slot(1)).as_slice(), [b]);
        assert!(joining.is_empty() && !joining.any_for(b));
    }

    #[test]
    fn one_that_leaves_does_not_hide_another() {
        let mut joining = Joining::default();
        let channels = [ChannelId(1), ChannelId(2)];
        for slot in 1..=4 {
            channels.iter().for_each(|channel| joining.add(Slot(slot), Transport::Socket, *channel));
        }
        assert!(joining.remove(Slot(1), channels[0]));
        assert_eq!(joining.remove_all(Slot(4)).as_slice(), channels);
        let waiting =
            |slots: &[u32]| -> Vec<_> { slots.iter().map(|slot| (Slot(*slot), Transport::Socket)).collect() };
        assert_eq!(joining.acknowledge(channels[1]), waiting(&[1, 2, 3]));
        assert!(joining.remove(Slot(2), channels[0]));
        assert_eq!(joining.acknowledge(channels[0]), waiting(&[3]));
        assert!(joining.is_empty());
    }
}
