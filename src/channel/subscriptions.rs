//! A core's subscription table. A slot is subscribed to all its channels at one moment: when the homes of all of them
//! have acknowledged this core's interest. From then on it gets exactly the items that those homes sequence, in their
//! order, until it is unsubscribed. Items that a home sequenced before the slot subscribed are not for it, even if
//! they are still in transit to this core (`newcomers`).
//!
//! A channel whose last subscriber has left lingers for a while with its interest kept (`lingering`), so that long
//! polls, which leave and come back with every item, cause no messages in the mesh.
//!
//! `fan_out` is the run queue of channels with items to write. `sockets` lets WebSockets join and leave single
//! channels, `filtered` separates subscriptions with filters, and `following` handles followers of ids. `census` and
//! `counting` report subscribers, `by_route` counts sent items for each route, and `slack` shrinks tables.

mod by_route;
mod census;
mod counting;
mod fan_out;
mod filtered;
mod following;
mod lingering;
mod newcomers;
mod packing;
mod slack;
mod sockets;

use super::audience::Audience;
use super::followed::{Followed, Missed};
use super::home::home_of;
use super::joining::Joining;
use super::message::{LastId, ToCore, ToHome};
use super::newcomers::Newcomers;
use super::pass::Pass;
use super::roster::{Entry, Link, Links, Roster};
use super::transport::Transport;
use super::waiting::{Channels, WaitingRows};
use crate::ids::{ChannelId, CoreId, NameMap, Slot};
use crate::proto::grip::{Publication, Receipt};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::sync::Arc;

use by_route::ByRoute;
pub use by_route::Delivered;
pub use census::Page;
pub use following::HeardUpTo;
pub use packing::ChannelActivity;

/// Whether a new subscription is in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// The subscription is in force.
    Ready,
    /// The subscription waits for homes; [`Subscriptions::handle`] reports when it is in force.
    Waiting,
}

/// The subscription table of one core.
pub struct Subscriptions {
    cores: usize,
    linger_ticks: u32,
    now_tick: u32,
    names: NameMap<Arc<str>, ChannelId>,
    /// Boxed, because places outlast their channels.
    channels: Vec<Option<Box<LocalChannel>>>,
    free: Vec<ChannelId>,
    links: Links,
    waiting: WaitingRows,
    joining: Joining,
    newcomers: Newcomers,
    queue: VecDeque<ChannelId>,
    /// Channels without subscribers, and when their last subscriber left; each channel at most once.
    lingering: VecDeque<(u32, ChannelId)>,
    epochs: u32,
    /// The items that followers had missed when they came, until [`Subscriptions::take_missed`].
    missed: FxHashMap<Slot, Missed>,
    /// Receipts of items that had no subscriber here, until [`Subscriptions::take_unheard`].
    unheard: Vec<Receipt>,
    /// Subscriptions with filters, in force or not.
    filtered: FxHashSet<(Slot, ChannelId)>,
    /// The number of entries in all rosters.
    subscriptions: usize,
    pending_publications: usize,
    pending_bytes: usize,
    /// The receivers of all items that were delivered.
    received: Audience,
    /// Channels whose number of subscribers has changed, if somebody watches.
    changed: Option<FxHashSet<ChannelId>>,
    /// Subscribers by route, if sent items are counted for each route.
    by_route: Option<Box<ByRoute>>,
}

struct LocalChannel {
    name: Arc<str>,
    /// The epoch of the request to the home.
    epoch: u32,
    /// The home has acknowledged the request.
    live: bool,
    /// The id of the last item that arrived, while the channel is live.
    last_id: LastId,
    roster: Roster,
    /// Items from the home that are not part of a pass yet. The count of the first one is `next - pending.len()`.
    pending: VecDeque<Arc<Publication>>,
    /// The count for the next item that arrives.
    next: u32,
    /// Boxed, because few of many channels are in a pass at a time.
    pass: Option<Box<Pass>>,
    /// The channel has, or had, followers of ids.
    followed: Option<Box<Followed>>,
    queued: bool,
    /// When an item with content for streams last arrived.
    stream_tick: Option<u32>,
    /// When a message for WebSockets last arrived.
    socket_tick: Option<u32>,
    /// When the last subscriber left, and whether the channel is in the lingering queue.
    idle_since: u32,
    lingers: bool,
}

impl Subscriptions {
    /// An empty table of one of `cores` cores. Channels without subscribers are kept for `linger_ticks`, at least
    /// until the next tick, because changes in subscriber counts are collected once a tick.
    pub fn new(cores: usize, linger_ticks: u32) -> Subscriptions {
        Subscriptions {
            cores,
            linger_ticks: linger_ticks.max(1),
            now_tick: 0,
            names: NameMap::default(),
            channels: Vec::new(),
            free: Vec::new(),
            links: Links::default(),
            waiting: WaitingRows::default(),
            joining: Joining::default(),
            newcomers: Newcomers::default(),
            queue: VecDeque::new(),
            lingering: VecDeque::new(),
            epochs: 0,
            missed: FxHashMap::default(),
            unheard: Vec::new(),
            filtered: FxHashSet::default(),
            subscriptions: 0,
            pending_publications: 0,
            pending_bytes: 0,
            received: Audience::default(),
            changed: None,
            by_route: None,
        }
    }

    /// Sets the time, in ticks that may wrap.
    pub fn set_now(&mut self, tick: u32) {
        self.now_tick = tick;
    }

    /// Subscribes `slot`, which has no subscription, to `channels`; a name given twice counts once. `out` gets the
    /// requests to the homes.
    pub fn subscribe(
        &mut self,
        slot: Slot,
        transport: Transport,
        channels: &[&str],
        out: &mut impl FnMut(CoreId, ToHome),
    ) -> Readiness {
        debug_assert!(self.channels_of(slot).is_empty());
        let mut wanted = Channels::new();
        for name in channels {
            let id = self.find_or_ask(name, out);
            if !wanted.contains(&id) {
                wanted.push(id);
                self.newcomers.add(slot, id, home_of(name, self.cores));
            }
        }
        let live = |id: &&ChannelId| self.channel(**id).is_some_and(|channel| channel.live);
        let missing = wanted.len() - wanted.iter().filter(live).count();
        if missing == 0 {
            self.admit(slot, transport, &wanted);
            return Readiness::Ready;
        }
        self.waiting.add(slot, transport, &wanted, missing);
        Readiness::Waiting
    }

    /// Ends all subscriptions of `slot`.
    pub fn unsubscribe(&mut self, slot: Slot) {
        self.missed.remove(&slot);
        if let Some((_, channels)) = self.waiting.remove(slot) {
            for id in channels {
                self.forget(slot, id);
                self.maybe_linger(id);
            }
            return;
        }
        for id in self.joining.remove_all(slot) {
            self.forget(slot, id);
            self.maybe_linger(id);
        }
        let Some(links) = self.links.take(slot) else { return };
        for link in links {
            self.remove_entry(slot, link);
            self.maybe_linger(link.channel);
        }
    }

    /// Handles one message from a home; pushes to `ready` the slots whose subscriptions came into force.
    pub fn handle(&mut self, message: ToCore, ready: &mut Vec<Slot>) {
        match message {
            ToCore::Subscribed { channel, epoch, last_id } => {
                self.acknowledged(&channel, epoch, last_id, ready)
            }
            ToCore::Deliver(publication) => self.deliver(publication),
            // These messages concern publishers, which are not in this table, or held rows.
            ToCore::Sequenced { .. }
            | ToCore::Placed { .. }
            | ToCore::Recover { .. }
            | ToCore::RecoverChannel { .. } => {}
        }
    }

    /// When an item with content for streams last arrived on a channel of `slot`. Channels with filters are left out,
    /// because the filters may have dropped the item.
    pub fn last_stream_activity(&self, slot: Slot) -> Option<u32> {
        let links = self.links_of(slot).iter().filter(|link| !link.place().0.is_filtered());
        let ticks = links.filter_map(|link| self.channel(link.channel)?.stream_tick);
        ticks.min_by_key(|tick| self.now_tick.wrapping_sub(*tick))
    }

    /// When a message for WebSockets last arrived on a channel of `slot`, channels with filters left out.
    pub fn last_socket_activity(&self, slot: Slot) -> Option<u32> {
        let links = self.links_of(slot).iter().filter(|link| !link.place().0.is_filtered());
        let ticks = links.filter_map(|link| self.channel(link.channel)?.socket_tick);
        ticks.min_by_key(|tick| self.now_tick.wrapping_sub(*tick))
    }

    /// The channels that `slot` is subscribed to, or waits for.
    pub fn channels_of(&self, slot: Slot) -> Vec<Arc<str>> {
        let held = self.links_of(slot).iter().map(|link| link.channel);
        let held = held.chain(self.waiting.channels_of(slot)).chain(self.joining.channels_of(slot));
        held.filter_map(|id| Some(self.channel(id)?.name.clone())).collect()
    }

    /// The id of the last item that arrived here on `channel`: a subscriber that becomes ready now may have missed
    /// items up to this one. `None` if it is not known.
    pub fn last_id(&self, channel: &str) -> Option<&str> {
        self.channel(*self.names.get(channel)?)?.last_id.as_deref()
    }

    /// Whether the table has no channel, no subscriber and nothing to write.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
            && self.subscriptions == 0
            && self.queue.is_empty()
            && self.joining.is_empty()
            && self.newcomers.is_empty()
    }

    /// The number of channels in the table, lingering channels included.
    pub fn channels(&self) -> usize {
        self.names.len()
    }

    /// The number of subscriptions in force.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    fn find_or_ask(&mut self, name: &str, out: &mut impl FnMut(CoreId, ToHome)) -> ChannelId {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let name: Arc<str> = name.into();
        self.epochs = self.epochs.wrapping_add(1);
        let channel = LocalChannel::asked(name.clone(), self.epochs);
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.channels.push(None);
                ChannelId((self.channels.len() - 1) as u32)
            }
        };
        if let Some(place) = self.channels.get_mut(id.0 as usize) {
            debug_assert!(place.is_none());
            *place = Some(Box::new(channel));
        }
        self.names.insert(name.clone(), id);
        out(home_of(&name, self.cores), ToHome::Subscribe { channel: name, epoch: self.epochs });
        id
    }

    fn acknowledged(&mut self, name: &str, epoch: u32, last_id: LastId, ready: &mut Vec<Slot>) {
        let Some(&id) = self.names.get(name) else { return };
        let Some(channel) = self.channel_mut(id) else { return };
        // An acknowledgement of a cancelled request says nothing about a later request.
        if channel.epoch != epoch || channel.live {
            return;
        }
        channel.live = true;
        channel.last_id = last_id;
        for (slot, transport, channels) in self.waiting.acknowledge(id) {
            self.admit(slot, transport, &channels);
            ready.push(slot);
        }
        for (slot, transport) in self.joining.acknowledge(id) {
            self.admit(slot, transport, &[id]);
            ready.push(slot);
        }
    }

    fn admit(&mut self, slot: Slot, transport: Transport, channels: &[ChannelId]) {
        for &id in channels {
            let Some(channel) = self.channels.get_mut(id.0 as usize).and_then(Option::as_deref_mut) else {
                continue;
            };
            debug_assert!(channel.live);
            self.subscriptions += 1;
            if let Some(changed) = &mut self.changed {
                changed.insert(id);
            }
            if let Some(by_route) = &mut self.by_route {
                by_route.begins(slot, id, transport);
            }
            let has_filters = !self.filtered.is_empty() && self.filtered.contains(&(slot, id));
            let transport = if has_filters { transport.filtered() } else { transport };
            let next = self.newcomers.first(slot, id, channel.next);
            let place = channel.roster.add(transport, Entry { slot, next });
            let is_followed = channel.followed.is_some();
            if let Some(links) = self.links.entry(slot) {
                links.push(Link::new(id, transport, place));
            }
            if is_followed {
                self.begin_following(slot, id);
            }
        }
    }

    fn remove_entry(&mut self, slot: Slot, link: Link) {
        self.subscriptions -= 1;
        if let Some(changed) = &mut self.changed {
            changed.insert(link.channel);
        }
        if let Some(by_route) = &mut self.by_route {
            by_route.ends(slot, link.channel, link.place().0);
        }
        self.forget(slot, link.channel);
        self.take_entry(slot, link);
    }

    /// Removes a subscriber from its list.
    fn take_entry(&mut self, slot: Slot, link: Link) {
        let Some(channel) = self.channels.get_mut(link.channel.0 as usize).and_then(Option::as_deref_mut)
        else {
            return;
        };
        let (transport, index) = link.place();
        debug_assert!(channel.roster.entry(transport, index).is_some_and(|entry| entry.slot == slot));
        let Some(moved) = channel.roster.remove(transport, index) else { return };
        let links = self.links.get_mut(moved).map(|links| links.as_mut_slice()).unwrap_or_default();
        if let Some(of_moved) = links.iter_mut().find(|of_moved| of_moved.channel == link.channel) {
            *of_moved = Link::new(link.channel, transport, index);
        }
    }

    /// Forgets the filters, the following and the newcomer state of a subscription that ends.
    fn forget(&mut self, slot: Slot, id: ChannelId) {
        self.forget_filters(slot, id);
        self.follow_no_more(slot, id);
        self.newcomers.remove(slot, id);
    }

    fn follow_no_more(&mut self, slot: Slot, id: ChannelId) {
        if let Some(followed) = self.channel_mut(id).and_then(|channel| channel.followed.as_mut()) {
            followed.forget(slot);
        }
    }

    fn links_of(&self, slot: Slot) -> &[Link] {
        self.links.get(slot).map(|links| links.as_slice()).unwrap_or_default()
    }

    fn channel(&self, id: ChannelId) -> Option<&LocalChannel> {
        self.channels.get(id.0 as usize)?.as_deref()
    }

    fn channel_mut(&mut self, id: ChannelId) -> Option<&mut LocalChannel> {
        self.channels.get_mut(id.0 as usize)?.as_deref_mut()
    }
}

impl LocalChannel {
    /// The slots of long polls and streams.
    fn held(&self) -> impl Iterator<Item = Slot> {
        let held = [
            Transport::Response,
            Transport::StreamChunked,
            Transport::StreamRaw,
            Transport::FilteredResponse,
            Transport::FilteredStream,
        ];
        held.into_iter().flat_map(|transport| self.roster.entries(transport)).map(|entry| entry.slot)
    }

    fn asked(name: Arc<str>, epoch: u32) -> LocalChannel {
        LocalChannel {
            name,
            epoch,
            live: false,
            last_id: None,
            roster: Roster::default(),
            pending: VecDeque::new(),
            next: 0,
            pass: None,
            followed: None,
            queued: false,
            stream_tick: None,
            socket_tick: None,
            idle_since: 0,
            lingers: false,
        }
    }
}

#[cfg(test)]
mod tests;
