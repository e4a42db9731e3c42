//! The run queue. Items from homes wait at their channel, channels with items to write wait in the queue, and the
//! first channel gives a slice of its pass.

use super::Subscriptions;
use crate::channel::audience::Audience;
use crate::channel::message::last_id_after;
use crate::channel::pass::Pass;
use crate::channel::slice::{Slice, SliceKind};
use crate::ids::ChannelId;
use crate::proto::grip::{Publication, Receipt};
use std::sync::Arc;

impl Subscriptions {
    /// The receipts of items that arrived since the previous call and had no subscriber here.
    pub fn take_unheard(&mut self) -> Vec<Receipt> {
        std::mem::take(&mut self.unheard)
    }

    /// Handles an item from a home.
    pub(super) fn deliver(&mut self, publication: Arc<Publication>) {
        let receipt = publication.receipt;
        if !self.take_in(publication) {
            self.unheard.extend(receipt);
        }
    }

    /// Queues an item for its subscribers; returns whether there are any.
    fn take_in(&mut self, publication: Arc<Publication>) -> bool {
        let Some(&id) = self.names.get(&publication.channel) else { return false };
        let now = self.now_tick;
        let channel = self.channels.get_mut(id.0 as usize).and_then(Option::as_deref_mut);
        let Some(channel) = channel.filter(|channel| channel.live) else { return false };
        let count = channel.next;
        if let Some(followed) = &mut channel.followed {
            let for_anybody = channel.roster.len() > 0;
            followed.arrives(&publication, &channel.last_id, count, for_anybody);
            if channel.pending.is_empty() && channel.pass.is_none() {
                followed.settled_id.clone_from(&channel.last_id);
            }
        }
        last_id_after(&mut channel.last_id, &publication);
        if channel.roster.len() == 0 {
            return false;
        }
        if publication.stream_content().is_some() {
            channel.stream_tick = Some(now);
        }
        if publication.socket_frame().is_some() {
            channel.socket_tick = Some(now);
        }
        let weight = publication.weight();
        let receivers = Audience::all(&channel.roster).concerned_by(&publication);
        if let Some(by_route) = &mut self.by_route {
            by_route.send(id, &publication);
        }
        channel.next = channel.next.wrapping_add(1);
        channel.pending.push_back(publication);
        self.received.add(receivers);
        self.pending_publications += 1;
        self.pending_bytes += weight;
        self.enqueue(id);
        true
    }

    /// Puts the channel into the run queue, unless it is there.
    fn enqueue(&mut self, id: ChannelId) {
        let Some(channel) = self.channel_mut(id) else { return };
        if !std::mem::replace(&mut channel.queued, true) {
            self.queue.push_back(id);
        }
    }

    /// Makes the next slice of the fan-out: up to `budget` subscribers of the first channel in the queue. Returns
    /// `false` if nothing is pending. A slice may be empty.
    pub fn next_slice(&mut self, budget: usize, slice: &mut Slice) -> bool {
        debug_assert!(budget > 0);
        slice.kind = SliceKind::Empty;
        slice.slots.clear();
        slice.partial.clear();
        slice.counting = None;
        let Some(id) = self.queue.pop_front() else { return false };
        let Some(channel) = self.channel_mut(id) else { return true };
        channel.queued = false;
        if channel.followed.is_some() && self.lead_aside(id, slice) {
            self.enqueue(id);
            return true;
        }
        self.advance(id, budget, slice);
        let Some(channel) = self.channel(id) else { return true };
        if channel.pass.is_some() || !channel.pending.is_empty() {
            self.enqueue(id);
        } else {
            self.maybe_linger(id);
        }
        true
    }

    /// Continues the channel's pass, or begins one.
    fn advance(&mut self, id: ChannelId, budget: usize, slice: &mut Slice) {
        let Some(channel) = self.channels.get_mut(id.0 as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let first = channel.first_pending();
        let next_turn = channel.followed.as_ref().and_then(|followed| followed.next_turn());
        let pass = match &mut channel.pass {
            Some(pass) => pass,
            none => {
                let limit = next_turn.map_or(usize::MAX, |turn| turn.wrapping_sub(first) as usize);
                none.insert(Pass::new(&mut channel.pending, first, limit).into())
            }
        };
        if pass.advance(&mut channel.roster, budget, slice) {
            let (publications, bytes) = pass.weight();
            self.pending_publications -= publications;
            self.pending_bytes -= bytes;
            if let Some(followed) = &mut channel.followed {
                pass.publications().iter().for_each(|item| last_id_after(&mut followed.settled_id, item));
            }
            channel.pass = None;
        }
    }

    /// The number of items that are not yet written to all their subscribers, and their bytes.
    pub fn pending(&self) -> (usize, usize) {
        (self.pending_publications, self.pending_bytes)
    }
}
