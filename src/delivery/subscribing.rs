//! Joins and leaves channels, and answers questions about subscribers and channels. The callers of `subscribe` and
//! `join` get the messages for the homes of channels and send them.

use super::Delivery;
use crate::channel::{Audience, HeardUpTo, Missed, Page, Readiness, ToHome, Transport};
use crate::ids::{CoreId, Slot};
use crate::slack::Look;
use std::sync::Arc;

/// A message for the home of a channel.
pub type ForHome = (CoreId, ToHome);

impl Delivery {
    /// Subscribes the client in `slot` to `channels`. The subscription begins when all of these channels are in force.
    pub fn subscribe(
        &self,
        slot: Slot,
        transport: Transport,
        channels: &[&str],
        asks: &mut Vec<ForHome>,
    ) -> Readiness {
        let route_stats = self.clients.route_stats(slot);
        let mut subscriptions = self.subscriptions.borrow_mut();
        subscriptions.count_for_route(slot, route_stats);
        subscriptions.subscribe(slot, transport, channels, &mut |home, message| asks.push((home, message)))
    }

    /// Subscribes the client in `slot` to one more channel.
    pub fn join(
        &self,
        slot: Slot,
        transport: Transport,
        channel: &str,
        asks: &mut Vec<ForHome>,
    ) -> Readiness {
        let route_stats = self.clients.route_stats(slot);
        let mut subscriptions = self.subscriptions.borrow_mut();
        subscriptions.count_for_route(slot, route_stats);
        subscriptions.join(slot, transport, channel, &mut |home, message| asks.push((home, message)))
    }

    /// Whether a channel that the subscriber has joined is not in force yet.
    pub fn is_joining(&self, slot: Slot) -> bool {
        self.subscriptions.borrow().is_joining(slot)
    }

    /// The subscriber leaves `channel`.
    pub fn leave(&self, slot: Slot, channel: &str) {
        self.subscriptions.borrow_mut().leave(slot, channel);
    }

    /// The subscriber leaves all channels.
    pub fn unsubscribe(&self, slot: Slot) {
        {
            let mut subscriptions = self.subscriptions.borrow_mut();
            subscriptions.unsubscribe(slot);
            subscriptions.forget_route(slot);
        }
        if let Some(hook) = self.hook() {
            hook.forget(slot);
        }
    }

    /// The subscriber follows the ids of `channel`, and has everything up to `id`.
    pub fn follow(&self, slot: Slot, channel: &str, id: &str) {
        self.subscriptions.borrow_mut().follow(slot, channel, id);
    }

    /// Items of `channel` for the subscriber go through the hook from now on.
    pub fn filter(&self, slot: Slot, channel: &str) {
        self.subscriptions.borrow_mut().filter(slot, channel);
    }

    /// Whether items of `channel` for the subscriber go through the hook.
    pub fn is_filtered(&self, slot: Slot, channel: &str) -> bool {
        self.subscriptions.borrow().is_filtered(slot, channel)
    }

    /// The channels of the subscriber.
    pub fn channels_of(&self, slot: Slot) -> Vec<Arc<str>> {
        self.subscriptions.borrow().channels_of(slot)
    }

    /// For each channel whose ids the subscriber follows: the id of the last item that the subscriber got.
    pub fn heard_by(&self, slot: Slot) -> Vec<HeardUpTo> {
        let mut heard = self.subscriptions.borrow().heard(slot);
        if let Some(hook) = self.hook() {
            hook.correct(slot, &mut heard);
        }
        heard
    }

    /// The subscriber leaves the channels whose ids it follows, to ask its application. Returns, in order, these
    /// channels with the ids of the last items that the subscriber got.
    pub fn withdraw(&self, slot: Slot) -> Vec<HeardUpTo> {
        let mut heard = self.subscriptions.borrow_mut().withdraw(slot);
        if let Some(hook) = self.hook() {
            hook.withdraw(slot, &mut heard);
        }
        heard.sort_unstable();
        heard
    }

    /// Which items the subscriber had missed when its subscription came into force. Forgets it.
    pub fn take_missed(&self, slot: Slot) -> Missed {
        self.subscriptions.borrow_mut().take_missed(slot)
    }

    /// The tick since which no item has been published to any channel of the subscriber.
    pub fn quiet_since(&self, slot: Slot) -> Option<u32> {
        self.subscriptions.borrow().quiet_since(slot)
    }

    /// The tick at which the stream in `slot` was last sent an item.
    pub fn last_stream_activity(&self, slot: Slot) -> Option<u32> {
        let published = self.subscriptions.borrow().last_stream_activity(slot);
        let filtered = self.hook().and_then(|hook| hook.sent_at(slot));
        let ago = |tick: &u32| self.context.now().wrapping_sub(*tick);
        published.into_iter().chain(filtered).min_by_key(ago)
    }

    /// The tick at which the WebSocket in `slot` was last sent an item.
    pub fn last_socket_activity(&self, slot: Slot) -> Option<u32> {
        self.subscriptions.borrow().last_socket_activity(slot)
    }

    /// Up to `limit` channels whose names begin with `prefix`, from place `from` of the table on.
    pub fn list(&self, from: u32, prefix: &str, limit: usize) -> Page<Arc<str>> {
        self.subscriptions.borrow().list(from, prefix, limit)
    }

    /// How many subscribers `channel` has here.
    pub fn audience(&self, channel: &str) -> Audience {
        self.subscriptions.borrow().audience(channel)
    }

    /// Up to `limit` subscribers of `channel`, from place `before` of its list downwards.
    pub fn members(&self, channel: &str, before: u32, limit: usize) -> Page<(Slot, Transport)> {
        self.subscriptions.borrow().members(channel, before, limit)
    }

    /// Drops up to `limit` channels that have had no subscribers for a while. Returns whether there are more.
    pub fn expire(&self, limit: usize, asks: &mut Vec<ForHome>) -> bool {
        self.subscriptions.borrow_mut().expire(limit, &mut |home, message| asks.push((home, message)))
    }

    /// Tells the subscription table that the current tick is `tick`.
    pub fn set_now(&self, tick: u32) {
        self.subscriptions.borrow_mut().set_now(tick);
    }

    /// How many channels this core listens to: channels with subscribers, and channels whose last subscriber left a
    /// moment ago.
    pub fn channels(&self) -> usize {
        self.subscriptions.borrow().channels()
    }

    /// Whether items wait to be written to subscribers.
    pub fn is_pending(&self) -> bool {
        self.subscriptions.borrow().pending().0 > 0
    }

    /// Updates the metrics about subscriptions.
    pub fn publish_metrics(&self) {
        let (subscriptions, metrics) = (self.subscriptions.borrow(), &self.context.metrics);
        let received = subscriptions.received();
        metrics.response_messages_total.set(received.responses as u64);
        metrics.stream_messages_total.set(received.streams as u64);
        metrics.socket_messages_total.set(received.sockets as u64);
        metrics.channels.set(subscriptions.channels() as u64);
        metrics.subscriptions.set(subscriptions.subscriptions() as u64);
        metrics.pending_publications.set(subscriptions.pending().0 as u64);
    }

    /// The channels whose number of subscribers has changed since the last call. Also adds the items sent to the
    /// clients of each route to the route statistics.
    pub fn take_changed(&self) -> Vec<(Arc<str>, Audience)> {
        let (changed, sent) = {
            let mut subscriptions = self.subscriptions.borrow_mut();
            (subscriptions.take_changed(), subscriptions.take_sent())
        };
        let Some(reporter) = &self.context.stats_reporter else { return changed };
        for (route_stats, sent) in sent {
            reporter.count(route_stats, |route_stats| {
                route_stats.sent += sent.items.total() as u64;
                route_stats.responses_sent += sent.items.responses as u64;
                route_stats.blocks_sent += sent.blocks;
                route_stats.client.sent.content_bytes += sent.content_bytes;
                route_stats.client.sent.messages += sent.messages;
            });
        }
        changed
    }

    /// Shows its tables to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.subscriptions.borrow_mut().look_at_tables(look);
        self.receipts.borrow_mut().look_at_tables(look);
        look.at(&mut *self.first_subscriptions.borrow_mut());
    }
}
