//! Makes the messages of the stats socket: requests and activity every tenth of a second, items when all cores have had
//! time to report their receivers, connections and subscriptions at once, and totals in regular reports. Times are
//! milliseconds of any clock.

use super::events::{StatsBatch, StatsEvent};
use super::packet::Packet;
use super::reports::{Received, Reports};
use super::subscribers::Subscribers;
use crate::channel::Transport;
use crate::config;
use crate::proto::grip::Publication;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// Time for all cores to report the receivers of a publication, ms: two ticks of a core.
const GATHER_MS: u64 = 200;
/// Most publications, and most bytes of them, that wait for cores' reports. Beyond that, the oldest is sent at once.
const GATHERED: usize = 16 * 1024;
const GATHERED_BYTES: usize = 16 * 1024 * 1024;

/// The state of the stats socket.
pub struct Stats {
    connection_ttl_s: u32,
    /// Size of the blocks in which items are counted; 0 counts no blocks.
    block_bytes: u32,
    subscribers: Subscribers,
    reports: Reports,
    /// Publications that wait for cores' reports, the oldest first.
    gathered: VecDeque<(u64, Arc<Publication>, Transport)>,
    gathered_bytes: usize,
    receivers: FxHashMap<(usize, u8), usize>,
    /// The totals at the last tick.
    last: Totals,
    /// The totals at the last report.
    reported: Totals,
}

/// Totals of all cores since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// Requests of clients.
    pub requests: u64,
    /// Items that were published.
    pub items: u64,
    /// Blocks of these items, if blocks are counted.
    pub blocks: u64,
}

impl Stats {
    /// Uses the formats and times of `settings`. The end of a long poll's subscription is sent after `linger_ms`.
    pub fn new(settings: &config::Stats, linger_ms: u64) -> Stats {
        Stats {
            connection_ttl_s: settings.connection_ttl_s,
            block_bytes: settings.message_block_bytes,
            subscribers: Subscribers::new(settings.subscription_ttl_s, linger_ms),
            reports: Reports::new(settings),
            gathered: VecDeque::new(),
            gathered_bytes: 0,
            receivers: FxHashMap::default(),
            last: Totals::default(),
            reported: Totals::default(),
        }
    }

    /// Size of the blocks in which items are counted; 0 counts no blocks.
    pub fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    /// Takes a batch of a core.
    pub fn take(&mut self, events: StatsBatch, now_ms: u64, out: &mut Vec<Packet>) {
        for event in events.events {
            match event {
                StatsEvent::Connected { id, is_socket, is_tls, peer, route } => {
                    let kind = if is_socket { "ws" } else { "http" };
                    let packet = Packet::of("conn").route(route.as_deref());
                    let mut packet = packet.text("id", id.to_string()).text("type", kind);
                    if let Some(peer) = peer {
                        packet = packet.text("peer-address", peer.to_string());
                    }
                    if is_tls {
                        packet = packet.flag("ssl");
                    }
                    out.push(packet.number("ttl", self.connection_ttl_s));
                }
                StatsEvent::Disconnected { id, route } => {
                    let packet = Packet::of("conn").route(route.as_deref());
                    out.push(packet.text("id", id.to_string()).unavailable());
                }
                StatsEvent::Message { publication, transport, receivers } => {
                    self.gather(publication, transport, receivers, now_ms, out);
                }
            }
        }
        for ((core, channel), receivers) in events.subscribers {
            self.subscribers.are(core, &channel, receivers, now_ms, out);
        }
        for ((core, route), route_stats) in events.route_stats {
            self.reports.take(core, route, &route_stats);
        }
    }

    /// Makes the messages that are due. Call it every tenth of a second.
    pub fn tick(&mut self, totals: Totals, now_ms: u64, out: &mut Vec<Packet>) {
        let requests = totals.requests - self.last.requests;
        self.reports.tick(now_ms, out);
        if requests > 0 {
            out.push(Packet::of("counts").number("requests-received", requests));
        }
        self.last = totals;
        while self.gathered.front().is_some_and(|(since_ms, ..)| since_ms + GATHER_MS <= now_ms) {
            self.say_oldest(out);
        }
        self.subscribers.tick(now_ms, out);
        if self.reports.are_due(now_ms) {
            let before = std::mem::replace(&mut self.reported, totals);
            let received =
                Received { items: totals.items - before.items, blocks: totals.blocks - before.blocks };
            self.reports.report(received, now_ms, out);
        }
    }

    /// Adds one core's receivers of a publication.
    fn gather(
        &mut self,
        publication: Arc<Publication>,
        transport: Transport,
        receivers: usize,
        now_ms: u64,
        out: &mut Vec<Packet>,
    ) {
        let key = key(&publication, transport);
        if let Some(known) = self.receivers.get_mut(&key) {
            *known += receivers;
            return;
        }
        self.receivers.insert(key, receivers);
        self.gathered_bytes += publication.weight();
        self.gathered.push_back((now_ms, publication, transport));
        while self.gathered.len() > GATHERED || self.gathered_bytes > GATHERED_BYTES {
            self.say_oldest(out);
        }
    }

    fn say_oldest(&mut self, out: &mut Vec<Packet>) {
        let Some((_, publication, transport)) = self.gathered.pop_front() else { return };
        self.gathered_bytes -= publication.weight();
        let receivers = self.receivers.remove(&key(&publication, transport)).unwrap_or_default();
        let mut packet = Packet::of("message").text("channel", &*publication.channel);
        if let Some(id) = &publication.id {
            packet = packet.text("item-id", &**id);
        }
        packet = packet.number("count", receivers);
        if self.block_bytes > 0 {
            let blocks = publication.blocks(transport.part(), self.block_bytes);
            packet = packet.number("blocks", receivers as u64 * blocks);
        }
        out.push(packet.text("transport", transport.format()));
    }
}

/// The key of a publication and a transport while the publication is kept.
fn key(publication: &Arc<Publication>, transport: Transport) -> (usize, u8) {
    (Arc::as_ptr(publication) as usize, transport as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnectionId;
    use uuid::Uuid;

    fn stats() -> Stats {
        Stats::new(&config::Config::default().stats, 10_000)
    }

    fn taken(stats: &mut Stats, events: Vec<StatsEvent>, now_ms: u64) -> Vec<Packet> {
        let mut out = Vec::new();
        stats.take(StatsBatch { events, ..StatsBatch::default() }, now_ms, &mut out);
        out
    }

    fn ticked(stats: &mut Stats, totals: Totals, now_ms: u64) -> Vec<Packet> {
        let mut out = Vec::new();
        stats.tick(totals, now_ms, &mut out);
        out
    }

    #[test]
    fn the_receivers_of_a_message_are_those_on_all_cores() {
        let mut stats = stats();
        let message = |publication: &Arc<Publication>, transport, receivers| StatsEvent::Message {
            publication: publication.clone(),
            transport,
            receivers,
        };
        let mut item = Publication::new("c");
        item.id = Some("7".into());
        let (first, second) = (Arc::new(item), Arc::new(Publication::new("c")));
        let events = vec![message(&first, Transport::Socket, 2), message(&second, Transport::Socket, 1)];
        assert_eq!(taken(&mut stats, events, 1_000), []);
        let events = vec![message(&first, Transport::Socket, 3), message(&first, Transport::Response, 4)];
        assert_eq!(taken(&mut stats, events, 1_100), []);
        assert_eq!(ticked(&mut stats, Totals::default(), 1_199), []);
        let said = |id: Option<&str>, count: u64, transport: &str| {
            let packet = Packet::of("message").text("channel", "c");
            let packet = id.map_or(packet.clone(), |id| packet.text("item-id", id));
            packet.number("count", count).text("transport", transport)
        };
        let both = [said(Some("7"), 5, "ws-message"), said(None, 1, "ws-message")];
        assert_eq!(ticked(&mut stats, Totals::default(), 1_200), both);
        assert_eq!(ticked(&mut stats, Totals::default(), 1_300), [said(Some("7"), 4, "http-response")]);
        assert!(stats.receivers.is_empty() && stats.gathered_bytes == 0);
    }

    #[test]
    fn too_many_messages_are_said_early() {
        let mut stats = stats();
        let items: Vec<Arc<Publication>> = (0..=GATHERED).map(|_| Arc::new(Publication::new("c"))).collect();
        let events = items.into_iter().map(|publication| StatsEvent::Message {
            publication,
            transport: Transport::Socket,
            receivers: 1,
        });
        assert_eq!(taken(&mut stats, events.collect(), 0).len(), 1);
    }

    #[test]
    fn connections_are_told_of_as_they_come_and_go() {
        let id = ConnectionId::of_application(Uuid::nil());
        let peer = Some(std::net::Ipv4Addr::LOCALHOST.into());
        let events = vec![
            StatsEvent::Connected { id, is_socket: true, is_tls: true, peer, route: Some("r".into()) },
            StatsEvent::Disconnected { id, route: Some("r".into()) },
        ];
        let packet = || Packet::of("conn").route(Some("r")).text("id", id.to_string());
        let there = packet().text("type", "ws").text("peer-address", "127.0.0.1");
        let there = there.flag("ssl").number("ttl", 120u64);
        assert_eq!(taken(&mut stats(), events, 0), [there, packet().unavailable()]);
    }

    #[test]
    fn requests_and_published_items_are_said_by_how_many_more_they_are() {
        let mut stats = stats();
        let totals = Totals { requests: 3, items: 5, blocks: 0 };
        assert_eq!(ticked(&mut stats, totals, 100), [Packet::of("counts").number("requests-received", 3u64)]);
        assert_eq!(ticked(&mut stats, totals, 10_000).len(), 1, "a report");
        assert_eq!(ticked(&mut stats, totals, 20_000), []);
    }
}
