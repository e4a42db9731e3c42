//! What the stats socket says: of requests and activity every tenth of a second, of messages when all cores have had the
//! time to say how many receivers they have, of connections and subscriptions as they come, and sums now and then. Times
//! are milliseconds of any clock.

use super::packet::Packet;
use super::subscribers::Subscribers;
use crate::bridge::{Event, Events};
use crate::channel::{Publication, Transport};
use crate::config;
use crate::core::Sums;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// How long a core may take to say how many receivers a publication has, ms: two of its ticks.
const GATHER_MS: u64 = 200;
/// Publications that are waited for, and their bytes; beyond them the oldest are said as they are.
const GATHERED: usize = 16 * 1024;
const GATHERED_BYTES: usize = 16 * 1024 * 1024;

/// All that is known for the stats socket.
pub struct Stats {
    connection_ttl_s: u32,
    report_interval_ms: u64,
    subscribers: Subscribers,
    /// Publications of which cores are telling, the oldest first.
    gathered: VecDeque<(u64, Arc<Publication>, Transport)>,
    gathered_bytes: usize,
    receivers: FxHashMap<(usize, u8), usize>,
    /// Sums at the last tick, and at the last report.
    last: Sums,
    reported: Sums,
    reported_ms: u64,
    /// The most requests at a time since the last report.
    most_requests: u64,
}

impl Stats {
    /// As `settings` want them; the end of long polls is said after `linger_ms`.
    pub fn new(settings: &config::Stats, linger_ms: u64) -> Stats {
        Stats {
            connection_ttl_s: settings.connection_ttl_s,
            report_interval_ms: u64::from(settings.report_interval_s) * 1000,
            subscribers: Subscribers::new(settings.subscription_ttl_s, linger_ms),
            gathered: VecDeque::new(),
            gathered_bytes: 0,
            receivers: FxHashMap::default(),
            last: Sums::default(),
            reported: Sums::default(),
            reported_ms: 0,
            most_requests: 0,
        }
    }

    /// What happened on cores.
    pub fn take(&mut self, events: Events, now_ms: u64, out: &mut Vec<Packet>) {
        for event in events.events {
            match event {
                Event::Connected { id, is_socket, is_tls, peer } => {
                    let kind = if is_socket { "ws" } else { "http" };
                    let mut packet = Packet::of("conn").text("id", id.to_string()).text("type", kind);
                    if let Some(peer) = peer {
                        packet = packet.text("peer-address", peer.to_string());
                    }
                    if is_tls {
                        packet = packet.flag("ssl");
                    }
                    out.push(packet.number("ttl", self.connection_ttl_s));
                }
                Event::Disconnected(id) => {
                    out.push(Packet::of("conn").text("id", id.to_string()).unavailable());
                }
                Event::Message { publication, transport, receivers } => {
                    self.gather(publication, transport, receivers, now_ms, out);
                }
            }
        }
        for ((core, channel), receivers) in events.subscribers {
            self.subscribers.are(core, &channel, receivers, now_ms, out);
        }
    }

    /// Says what is due. To be called every tenth of a second.
    pub fn tick(&mut self, sums: Sums, now_ms: u64, out: &mut Vec<Packet>) {
        let requests = sums.requests_total - self.last.requests_total;
        let activity = requests + sums.keep_alives_total - self.last.keep_alives_total;
        if activity > 0 {
            out.push(Packet::of("activity").number("count", activity));
        }
        if requests > 0 {
            out.push(Packet::of("counts").number("requests-received", requests));
        }
        self.last = sums;
        self.most_requests = self.most_requests.max(sums.requests);
        while self.gathered.front().is_some_and(|(since_ms, ..)| since_ms + GATHER_MS <= now_ms) {
            self.say_oldest(out);
        }
        self.subscribers.tick(now_ms, out);
        self.report(sums, now_ms, out);
    }

    /// Adds what one core says of a publication to what others said.
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
        out.push(packet.number("count", receivers).text("transport", transport.format()));
    }

    /// Reports what was counted since the last report, unless that is nothing.
    fn report(&mut self, sums: Sums, now_ms: u64, out: &mut Vec<Packet>) {
        let duration_ms = now_ms.saturating_sub(self.reported_ms);
        if self.report_interval_ms == 0 || duration_ms < self.report_interval_ms {
            return;
        }
        let before = std::mem::replace(&mut self.reported, sums);
        let most = std::mem::replace(&mut self.most_requests, sums.requests);
        self.reported_ms = now_ms;
        if before == sums && most == 0 {
            return;
        }
        let packet = Packet::of("report")
            .number("connections", most)
            .number("minutes", sums.minutes_total - before.minutes_total)
            .number("received", sums.received_total - before.received_total)
            .number("sent", sums.sent_total - before.sent_total)
            .number("http-response-sent", sums.responses_total - before.responses_total);
        out.push(packet.number("duration", duration_ms));
    }
}

/// What a publication is known by while it is kept.
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

    fn taken(stats: &mut Stats, events: Vec<Event>, now_ms: u64) -> Vec<Packet> {
        let mut out = Vec::new();
        stats.take(Events { events, ..Events::default() }, now_ms, &mut out);
        out
    }

    fn ticked(stats: &mut Stats, sums: Sums, now_ms: u64) -> Vec<Packet> {
        let mut out = Vec::new();
        stats.tick(sums, now_ms, &mut out);
        out
    }

    #[test]
    fn the_receivers_of_a_message_are_those_on_all_cores() {
        let mut stats = stats();
        let message = |publication: &Arc<Publication>, transport, receivers| Event::Message {
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
        assert_eq!(ticked(&mut stats, Sums::default(), 1_199), []);
        let said = |id: Option<&str>, count: u64, transport: &str| {
            let packet = Packet::of("message").text("channel", "c");
            let packet = id.map_or(packet.clone(), |id| packet.text("item-id", id));
            packet.number("count", count).text("transport", transport)
        };
        let both = [said(Some("7"), 5, "ws-message"), said(None, 1, "ws-message")];
        assert_eq!(ticked(&mut stats, Sums::default(), 1_200), both);
        assert_eq!(ticked(&mut stats, Sums::default(), 1_300), [said(Some("7"), 4, "http-response")]);
        assert!(stats.receivers.is_empty() && stats.gathered_bytes == 0);
    }

    #[test]
    fn too_many_messages_are_said_early() {
        let mut stats = stats();
        let items: Vec<Arc<Publication>> = (0..=GATHERED).map(|_| Arc::new(Publication::new("c"))).collect();
        let events = items.into_iter().map(|publication| Event::Message {
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
        let events =
            vec![Event::Connected { id, is_socket: true, is_tls: true, peer }, Event::Disconnected(id)];
        let packet = || Packet::of("conn").text("id", id.to_string());
        let there = packet().text("type", "ws").text("peer-address", "127.0.0.1");
        let there = there.flag("ssl").number("ttl", 120u64);
        assert_eq!(taken(&mut stats(), events, 0), [there, packet().unavailable()]);
    }

    #[test]
    fn sums_are_reported_by_what_they_have_grown() {
        let mut stats = stats();
        let sums = Sums {
            requests: 2,
            requests_total: 3,
            minutes_total: 3,
            keep_alives_total: 1,
            received_total: 5,
            sent_total: 7,
            responses_total: 6,
        };
        let counts = Packet::of("counts").number("requests-received", 3u64);
        assert_eq!(ticked(&mut stats, sums, 100), [Packet::of("activity").number("count", 4u64), counts]);
        let fewer = Sums { requests: 1, ..sums };
        let report = |connections: u64, sums: [u64; 4]| {
            let [minutes, received, sent, responses] = sums;
            let packet = Packet::of("report").number("connections", connections).number("minutes", minutes);
            let packet = packet.number("received", received).number("sent", sent);
            packet.number("http-response-sent", responses).number("duration", 10_000u64)
        };
        assert_eq!(ticked(&mut stats, fewer, 10_000), [report(2, [3, 5, 7, 6])]);
        assert_eq!(ticked(&mut stats, fewer, 20_000), [report(1, [0, 0, 0, 0])]);
        let none = Sums { requests: 0, ..sums };
        assert_eq!(ticked(&mut stats, none, 30_000), [report(1, [0, 0, 0, 0])]);
        assert_eq!(ticked(&mut stats, none, 40_000), []);
    }
}
