//! Followers of ids: the items that they have missed when they come, the gaps that they run into, and the last item
//! that they have when their application is asked for more.

use super::{LocalChannel, Subscriptions};
use crate::channel::followed::{Followed, Missed};
use crate::channel::home::home_of;
use crate::channel::message::LastId;
use crate::channel::roster::before;
use crate::channel::slice::{Slice, SliceKind};
use crate::channel::transport::Transport;
use crate::ids::{ChannelId, CoreId, Slot};
use std::sync::Arc;

/// A channel, and the id of the last item on it that a subscriber has.
pub type HeardUpTo = (Arc<str>, Box<str>);

impl Subscriptions {
    /// Makes `slot`, which has just subscribed to `channel`, a follower that has all items up to `id`. When the
    /// subscription is in force, [`Subscriptions::take_missed`] returns the items it has missed.
    pub fn follow(&mut self, slot: Slot, channel: &str, id: &str) {
        let Some(&place) = self.names.get(channel) else { return };
        // Items in transit are among the items that it has missed.
        if self.newcomers.remove(slot, place) {
            self.unpark(slot, place);
        }
        let in_force = self.links_of(slot).iter().any(|link| link.channel == place);
        let Some(channel) = self.channel_mut(place) else { return };
        let last_id = channel.last_id.clone();
        let new = || Box::new(Followed::after_all_up_to(last_id));
        channel.followed.get_or_insert_with(new).follow(slot, id);
        if in_force {
            self.begin_following(slot, place);
        }
    }

    /// The items that `slot` had missed when its subscriptions came into force; empty if they were taken before.
    pub fn take_missed(&mut self, slot: Slot) -> Missed {
        self.missed.remove(&slot).unwrap_or_default()
    }

    /// The channels that `slot` follows, with the id of the last item it has on each; channels that it waits for
    /// included.
    pub fn heard(&self, slot: Slot) -> Vec<HeardUpTo> {
        let in_force = self.links_of(slot).iter().filter_map(|link| {
            let channel = self.channel(link.channel)?;
            let (transport, index) = link.place();
            let next = channel.roster.entry(transport, index)?.next;
            let id = channel.followed.as_ref()?.id_of(slot, next, transport, || channel.id_before(next))?;
            Some((channel.name.clone(), id))
        });
        let joining = self.joining.channels_of(slot).filter_map(|id| {
            let channel = self.channel(id)?;
            let id = channel.followed.as_ref()?.id_of(slot, channel.next, Transport::Socket, || None)?;
            Some((channel.name.clone(), id))
        });
        in_force.chain(joining).collect()
    }

    /// Unsubscribes a stream from the channels that it follows, until its application has answered a refetch; its
    /// other channels stay. Returns the followed channels, with the id of the last item it has on each.
    pub fn withdraw(&mut self, slot: Slot) -> Vec<HeardUpTo> {
        self.missed.remove(&slot);
        let heard = self.heard(slot);
        for (channel, _) in &heard {
            self.leave(slot, channel);
        }
        heard
    }

    /// The tick of the oldest last stream content among the channels of `slot`; `None` if some channel has had none
    /// yet.
    pub fn quiet_since(&self, slot: Slot) -> Option<u32> {
        let links = self.links_of(slot).iter();
        let ticks = links.map(|link| self.channel(link.channel).and_then(|channel| channel.stream_tick));
        ticks.reduce(|a, b| Some(if before(a?, b?) { a? } else { b? })).flatten()
    }

    /// The slots of long polls and streams on channels with their home at `home`.
    pub fn held_on(&self, home: CoreId) -> Vec<Slot> {
        let channels = self.channels.iter().flatten();
        let channels = channels.filter(|channel| home_of(&channel.name, self.cores) == home);
        let mut slots: Vec<Slot> = channels.flat_map(|channel| channel.held()).collect();
        slots.sort_unstable_by_key(|slot| slot.0);
        slots.dedup();
        slots
    }

    /// The slots of long polls and streams on `channel`.
    pub fn held_on_channel(&self, channel: &str) -> Vec<Slot> {
        let channel = self.names.get(channel).and_then(|id| self.channel(*id));
        channel.into_iter().flat_map(LocalChannel::held).collect()
    }

    /// Forgets the last ids of the channels with their home at `home`, as the home has done.
    pub fn forget_last_ids(&mut self, home: CoreId) {
        let cores = self.cores;
        let channels = self.channels.iter_mut().flatten();
        let channels = channels.filter(|channel| home_of(&channel.name, cores) == home);
        channels.for_each(|channel| channel.forget_last_id());
    }

    /// Forgets the last id of `channel`, as its home has done.
    pub fn forget_last_id(&mut self, channel: &str) {
        let Some(id) = self.names.get(channel).copied() else { return };
        self.channel_mut(id).into_iter().for_each(LocalChannel::forget_last_id);
    }

    /// Starts following, because the subscription of `slot` to one channel has come into force.
    pub(super) fn begin_following(&mut self, slot: Slot, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(id.0 as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let Some(followed) = channel.followed.as_mut().filter(|followed| followed.has(slot)) else { return };
        followed.begin(slot, &channel.last_id, channel.next, self.missed.entry(slot).or_default());
    }

    /// Puts the followers that are gapped at the channel's next item into `slice`; returns whether there was a gap.
    pub(super) fn lead_aside(&mut self, id: ChannelId, slice: &mut Slice) -> bool {
        let Some(channel) = self.channel_mut(id).filter(|channel| channel.pass.is_none()) else {
            return false;
        };
        let first = channel.first_pending();
        let turn = channel.followed.as_mut().and_then(|followed| followed.turn_at(first));
        let Some(turn) = turn else { return false };
        let still_due = |slot: &Slot| {
            let link = self.links_of(*slot).iter().find(|link| link.channel == id);
            let entry = link.and_then(|link| {
                let (transport, index) = link.place();
                self.channel(id)?.roster.entry(transport, index)
            });
            entry.is_some_and(|entry| !before(turn.count, entry.next))
        };
        let slots: Vec<Slot> = turn.slots.iter().copied().filter(still_due).collect();
        slice.kind = SliceKind::Gapped { slots };
        true
    }
}

impl LocalChannel {
    fn forget_last_id(&mut self) {
        self.last_id = None;
        if let Some(followed) = &mut self.followed {
            followed.forget_recent();
        }
    }

    /// The count of the first pending item.
    pub(super) fn first_pending(&self) -> u32 {
        self.next.wrapping_sub(self.pending.len() as u32)
    }

    /// The channel's last id before the item with the count `next`.
    fn id_before(&self, next: u32) -> LastId {
        if next == self.next && self.pass.is_none() && self.pending.is_empty() {
            return self.last_id.clone();
        }
        let written = self.pass.as_ref().map(|pass| pass.publications()).unwrap_or_default();
        let first = self.first_pending().wrapping_sub(written.len() as u32);
        let got = if before(first, next) { next.wrapping_sub(first) as usize } else { 0 };
        let last = written.iter().chain(&self.pending).take(got).filter(|item| !item.no_seq).last();
        match last {
            Some(item) => item.id.clone(),
            None => self.followed.as_ref().and_then(|followed| followed.settled_id.clone()),
        }
    }
}
