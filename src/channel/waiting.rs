//! Rows that wait for homes to acknowledge some of their channels. `subscriptions` adds a row with all its channels,
//! also those that are live already, so that these do not expire meanwhile. The row leaves when the last channel is
//! acknowledged, or when its client leaves. Each row knows its place in the list of each of its channels, so that
//! coming and going costs the same for each client even if a hundred thousand clients come back at once for one
//! channel.

use super::transport::Transport;
use crate::ids::{ChannelId, Slot};
use crate::slack::Look;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// The channels of one row, each once.
pub(super) type Channels = SmallVec<[ChannelId; 2]>;

/// All waiting rows of a core, by slot and by channel; no list is empty.
#[derive(Default)]
pub(super) struct WaitingRows {
    rows: FxHashMap<Slot, WaitingRow>,
    by_channel: FxHashMap<ChannelId, Vec<Slot>>,
}

/// A waiting row.
struct WaitingRow {
    transport: Transport,
    /// The row's channels, and its place in the list of each.
    places: SmallVec<[(ChannelId, u32); 2]>,
    /// The number of these channels that are not live.
    missing: usize,
}

impl WaitingRows {
    /// Adds a row of `slot`, which waits until `missing` of `channels` are acknowledged.
    pub fn add(&mut self, slot: Slot, transport: Transport, channels: &[ChannelId], missing: usize) {
        debug_assert!(missing > 0 && missing <= channels.len() && !self.contains(slot));
        let mut places = SmallVec::new();
        for &channel in channels {
            let list = self.by_channel.entry(channel).or_default();
            places.push((channel, list.len() as u32));
            list.push(slot);
        }
        self.rows.insert(slot, WaitingRow { transport, places, missing });
    }

    /// Removes `slot`, if it waits; returns its transport and channels.
    pub fn remove(&mut self, slot: Slot) -> Option<(Transport, Channels)> {
        let row = self.rows.remove(&slot)?;
        for (channel, place) in &row.places {
            self.leave(slot, *channel, *place);
        }
        Some((row.transport, row.places.iter().map(|(channel, _)| *channel).collect()))
    }

    /// Handles that `channel` is live: removes and returns the rows that waited for nothing else.
    ///
    /// The list is walked from its end down: a removed row is replaced by the last row, which was counted already.
    pub fn acknowledge(&mut self, channel: ChannelId) -> Vec<(Slot, Transport, Channels)> {
        let mut complete = Vec::new();
        for place in (0..self.waiting_for(channel).len()).rev() {
            let Some(&slot) = self.waiting_for(channel).get(place) else { break };
            let Some(row) = self.rows.get_mut(&slot) else { continue };
            row.missing -= 1;
            if row.missing == 0 {
                complete.extend(self.remove(slot).map(|(transport, channels)| (slot, transport, channels)));
            }
        }
        complete
    }

    /// Lets `look` shrink its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.rows);
        look.at(&mut self.by_channel);
    }

    /// Whether `slot` waits.
    pub fn contains(&self, slot: Slot) -> bool {
        self.rows.contains_key(&slot)
    }

    /// Whether `channel` is among the channels of any waiting row.
    pub fn any_with(&self, channel: ChannelId) -> bool {
        self.by_channel.contains_key(&channel)
    }

    /// The channels of the waiting row of `slot`.
    pub fn channels_of(&self, slot: Slot) -> impl Iterator<Item = ChannelId> {
        self.rows.get(&slot).into_iter().flat_map(|row| row.places.iter().map(|(channel, _)| *channel))
    }

    fn waiting_for(&self, channel: ChannelId) -> &[Slot] {
        self.by_channel.get(&channel).map(Vec::as_slice).unwrap_or_default()
    }

    fn leave(&mut self, slot: Slot, channel: ChannelId, place: u32) {
        let Some(list) = self.by_channel.get_mut(&channel) else { return };
        debug_assert_eq!(list.get(place as usize), Some(&slot));
        list.swap_remove(place as usize);
        match list.get(place as usize).copied() {
            Some(moved) => self.move_to(moved, channel, place),
            None if list.is_empty() => drop(self.by_channel.remove(&channel)),
            None => {}
        }
    }

    fn move_to(&mut self, slot: Slot, channel: ChannelId, place: u32) {
        let places = self.rows.get_mut(&slot).map(|row| row.places.as_mut_slice()).unwrap_or_default();
        if let Some(known) = places.iter_mut().find(|known| known.0 == channel) {
            known.1 = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ChannelId = ChannelId(0);
    const B: ChannelId = ChannelId(1);

    fn waiting(rows: &[(u32, &[ChannelId])]) -> WaitingRows {
        let mut waiting = WaitingRows::default();
        for (slot, channels) in rows {
            waiting.add(Slot(*slot), Transport::Response, channels, channels.len());
        }
        waiting
    }

    fn acknowledge(waiting: &mut WaitingRows, channel: ChannelId) -> Vec<u32> {
        let mut slots: Vec<u32> = waiting.acknowledge(channel).iter().map(|(slot, ..)| slot.0).collect();
        slots.sort_unstable();
        slots
    }

    #[test]
    fn a_row_is_complete_with_the_last_of_its_channels() {
        let mut waiting = waiting(&[(1, &[A]), (2, &[A, B]), (3, &[A]), (4, &[B, A])]);
        assert_eq!(acknowledge(&mut waiting, A), [1, 3]);
        assert_eq!(acknowledge(&mut waiting, B), [2, 4]);
        assert!(!waiting.any_with(A) && !waiting.any_with(B));
    }

    #[test]
    fn a_row_that_leaves_does_not_hide_another() {
        let mut waiting = waiting(&[(1, &[A]), (2, &[A, B]), (3, &[B, A])]);
        assert!(waiting.remove(Slot(1)).is_some() && waiting.remove(Slot(1)).is_none());
        assert_eq!(acknowledge(&mut waiting, B), [] as [u32; 0]);
        assert!(waiting.remove(Slot(3)).is_some());
        assert_eq!(acknowledge(&mut waiting, A), [2]);
        assert!(!waiting.any_with(B));
    }
}
