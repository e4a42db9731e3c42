//! Counts the items that are sent to the clients of each route, for the stats socket. Each channel knows how many
//! subscribers it has from each route. So an item is counted once for each route when it arrives, and not again in
//! its fan-out.

use super::Subscriptions;
use crate::channel::audience::Audience;
use crate::channel::transport::Transport;
use crate::ids::{BySlot, ChannelId, RouteStatsId, Slot};
use crate::proto::grip::{Format, Publication};
use crate::slack::{Look, Places};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Items sent to the clients of a route, counted before filters.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Delivered {
    /// The receivers of items.
    pub items: Audience,
    /// Receivers that got a WebSocket message, not a ping or a close.
    pub messages: u64,
    /// The blocks of these items, if items are counted in blocks.
    pub blocks: u64,
    /// Content bytes for streams and WebSockets. The bytes of an answer to a long poll are counted when it is sent.
    pub content_bytes: u64,
}

/// The routes of a channel's subscribers, with their numbers.
type ChannelRoutes = SmallVec<[(RouteStatsId, Audience); 1]>;

/// Subscribers by route.
pub(super) struct ByRoute {
    block_bytes: u32,
    of_slot: BySlot<RouteStatsId>,
    by_channel: Vec<ChannelRoutes>,
    sent: FxHashMap<RouteStatsId, Delivered>,
}

impl Subscriptions {
    /// Counts from now on the items that are sent to the clients of each route, for [`Subscriptions::take_sent`].
    /// They are also counted in blocks of `block_bytes`, unless that is 0.
    pub fn route_stats(&mut self, block_bytes: u32) {
        debug_assert_eq!(self.subscriptions, 0);
        self.by_route = Some(Box::new(ByRoute {
            block_bytes,
            of_slot: BySlot::default(),
            by_channel: Vec::new(),
            sent: FxHashMap::default(),
        }));
    }

    /// Counts items for `slot`, which has no subscription yet, at the route `route_stats`.
    pub fn count_for_route(&mut self, slot: Slot, route_stats: RouteStatsId) {
        let Some(by_route) = &mut self.by_route else { return };
        if let Some(of_slot) = by_route.of_slot.entry(slot) {
            *of_slot = route_stats;
        }
    }

    /// Forgets the route of `slot`, whose connection has ended.
    pub fn forget_route(&mut self, slot: Slot) {
        if let Some(by_route) = &mut self.by_route {
            by_route.of_slot.take(slot);
        }
    }

    /// The items sent since the previous call, by route.
    pub fn take_sent(&mut self) -> FxHashMap<RouteStatsId, Delivered> {
        self.by_route.as_mut().map(|by_route| std::mem::take(&mut by_route.sent)).unwrap_or_default()
    }
}

impl ByRoute {
    /// A subscription of `slot` to `channel` comes into force.
    pub fn begins(&mut self, slot: Slot, channel: ChannelId, transport: Transport) {
        let index = channel.0 as usize;
        if self.by_channel.len() <= index {
            self.by_channel.resize_with(index + 1, SmallVec::new);
        }
        let route_stats = self.of(slot);
        let Some(routes) = self.by_channel.get_mut(index) else { return };
        let one = Audience::of(transport, 1);
        match routes.iter_mut().find(|(known, _)| *known == route_stats) {
            Some((_, audience)) => audience.add(one),
            None => routes.push((route_stats, one)),
        }
    }

    /// A subscription of `slot` to `channel` ends.
    pub fn ends(&mut self, slot: Slot, channel: ChannelId, transport: Transport) {
        let route_stats = self.of(slot);
        let Some(routes) = self.by_channel.get_mut(channel.0 as usize) else { return };
        let Some(index) = routes.iter().position(|(known, _)| *known == route_stats) else { return };
        if let Some((_, audience)) = routes.get_mut(index) {
            audience.remove(Audience::of(transport, 1));
            if audience.total() == 0 {
                routes.swap_remove(index);
            }
        }
    }

    /// Lets `look` shrink its tables; there are `subscriptions` in all.
    pub fn look_at_tables(&mut self, subscriptions: usize, look: &mut Look<'_>) {
        look.at(&mut Places {
            list: &mut self.by_channel,
            used: subscriptions,
            is_used: |routes: &ChannelRoutes| !routes.is_empty(),
        });
    }

    /// Counts `item` for the routes of all subscribers of `channel`.
    pub fn send(&mut self, channel: ChannelId, item: &Publication) {
        let Some(routes) = self.by_channel.get(channel.0 as usize) else { return };
        for (route_stats, audience) in routes {
            let items = audience.concerned_by(item);
            let formats = [
                (Format::Response, items.responses),
                (Format::Stream, items.streams),
                (Format::Socket, items.sockets),
            ];
            let sent = self.sent.entry(*route_stats).or_default();
            sent.items.add(items);
            sent.messages += if item.is_message() { items.sockets as u64 } else { 0 };
            for (format, receivers) in formats {
                if format != Format::Response {
                    sent.content_bytes += (receivers * item.content_bytes(format)) as u64;
                }
                sent.blocks += receivers as u64 * item.blocks(format, self.block_bytes);
            }
        }
    }

    fn of(&self, slot: Slot) -> RouteStatsId {
        self.of_slot.get(slot).copied().unwrap_or(RouteStatsId::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ToCore, ToHome};
    use crate::proto::grip::StreamFormat;

    fn subscribe(table: &mut Subscriptions, slot: u32, route_stats: u32, transport: Transport) {
        table.count_for_route(Slot(slot), RouteStatsId(route_stats));
        let mut asked = Vec::new();
        let _ = table.subscribe(Slot(slot), transport, &["c"], &mut |_, message| asked.push(message));
        for message in asked {
            if let ToHome::Subscribe { channel, epoch } = message {
                table.handle(ToCore::Subscribed { channel, epoch, last_id: None }, &mut Vec::new());
            }
        }
    }

    fn publish(table: &mut Subscriptions) {
        let mut item = Publication::new("c");
        item.stream = Some(StreamFormat::Content("abcde".into()));
        table.handle(ToCore::Deliver(item.into()), &mut Vec::new());
    }

    fn streams(streams: usize, blocks: u64, content_bytes: u64) -> Delivered {
        Delivered { items: Audience { streams, ..Audience::default() }, messages: 0, blocks, content_bytes }
    }

    #[test]
    fn what_is_sent_is_counted_for_the_routes_of_those_who_get_it() {
        let mut table = Subscriptions::new(1, 1);
        table.route_stats(4);
        subscribe(&mut table, 1, 1, Transport::StreamRaw);
        subscribe(&mut table, 2, 2, Transport::StreamChunked);
        subscribe(&mut table, 3, 1, Transport::StreamChunked);
        subscribe(&mut table, 4, 3, Transport::Socket);
        publish(&mut table);
        let sent = table.take_sent();
        assert_eq!((sent[&RouteStatsId(1)], sent[&RouteStatsId(2)]), (streams(2, 4, 10), streams(1, 2, 5)));
        assert_eq!(sent[&RouteStatsId(3)], Delivered::default());
        table.unsubscribe(Slot(1));
        table.unsubscribe(Slot(2));
        publish(&mut table);
        let sent = table.take_sent();
        assert_eq!((sent[&RouteStatsId(1)], sent.get(&RouteStatsId(2))), (streams(1, 2, 5), None));
        assert!(table.take_sent().is_empty());
    }
}
