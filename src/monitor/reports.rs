//! Statistics of each route over all cores: its activity every tenth of a second, and its totals in reports. A route is
//! known from its first statistics until a report would be empty. Times are milliseconds of any clock.

use super::packet::Packet;
use super::route_stats::{RouteStats, Traffic};
use crate::config;
use crate::ids::CoreId;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The statistics of all known routes.
pub(super) struct Reports {
    interval_ms: u64,
    has_blocks: bool,
    /// By id. Routes without their own ids are counted as one, with `None`.
    routes: BTreeMap<Option<Arc<str>>, Route>,
    ticked_ms: u64,
    reported_ms: u64,
}

/// Items that were published since the last report, and their blocks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Received {
    pub items: u64,
    pub blocks: u64,
}

#[derive(Default)]
struct Route {
    /// For each core, the current number of connections, and the most since the last tick.
    by_core: SmallVec<[(CoreId, u64, u64); 2]>,
    /// Totals since the last report.
    sums: RouteStats,
    /// Activity since the last tick.
    activity: u64,
    /// Time of all connections that is not yet counted in minutes.
    connected_ms: u64,
}

impl Reports {
    pub fn new(settings: &config::Stats) -> Reports {
        Reports {
            interval_ms: u64::from(settings.report_interval_s) * 1000,
            has_blocks: settings.message_block_bytes > 0,
            routes: BTreeMap::new(),
            ticked_ms: 0,
            reported_ms: 0,
        }
    }

    /// Adds the statistics of a route on `core`.
    pub fn take(&mut self, core: CoreId, route: Option<Arc<str>>, route_stats: &RouteStats) {
        let route = self.routes.entry(route).or_default();
        route.activity += route_stats.activity;
        route.sums.add(&RouteStats { most: 0, ..*route_stats });
        match route.by_core.iter_mut().find(|(known, ..)| *known == core) {
            Some((_, now, most)) => (*now, *most) = (route_stats.connections, route_stats.most.max(*most)),
            None => route.by_core.push((core, route_stats.connections, route_stats.most)),
        }
    }

    /// Reports the routes with activity. Call it every tenth of a second.
    pub fn tick(&mut self, now_ms: u64, out: &mut Vec<Packet>) {
        let passed_ms = now_ms.saturating_sub(std::mem::replace(&mut self.ticked_ms, now_ms));
        for (id, route) in &mut self.routes {
            let activity = route.tick(passed_ms);
            if activity > 0 {
                out.push(Packet::of("activity").route(id.as_deref()).number("count", activity));
            }
        }
    }

    /// Whether it is time for a report.
    pub fn are_due(&self, now_ms: u64) -> bool {
        self.interval_ms > 0 && now_ms.saturating_sub(self.reported_ms) >= self.interval_ms
    }

    /// Reports the totals since the last report. Published items belong to no route; they are reported with the routes
    /// without their own ids.
    pub fn report(&mut self, received: Received, now_ms: u64, out: &mut Vec<Packet>) {
        let duration_ms = now_ms.saturating_sub(std::mem::replace(&mut self.reported_ms, now_ms));
        if received != Received::default() {
            self.routes.entry(None).or_default();
        }
        let has_blocks = self.has_blocks;
        self.routes.retain(|id, route| {
            let received = if id.is_none() { received } else { Received::default() };
            let (sums, minutes) = route.take_sums();
            let has_news = sums != RouteStats::default() || received != Received::default();
            if has_news {
                let packet = Packet::of("report").route(id.as_deref());
                let packet = with_messages(packet, &sums, minutes, received, has_blocks);
                out.push(with_traffic(packet.number("duration", duration_ms), &sums));
            }
            has_news
        });
    }
}

impl Route {
    /// Ends a tick that took `passed_ms`, and returns the activity in it.
    fn tick(&mut self, passed_ms: u64) -> u64 {
        let most = self.by_core.iter().map(|(_, _, most)| most).sum();
        self.sums.most = self.sums.most.max(most);
        self.by_core.iter_mut().for_each(|(_, now, most)| *most = *now);
        self.connected_ms += self.connections() * passed_ms;
        std::mem::take(&mut self.activity)
    }

    /// Takes the totals since the last report, and the minutes of connections, where each started minute counts.
    fn take_sums(&mut self) -> (RouteStats, u64) {
        let connections = self.connections();
        let sums = std::mem::take(&mut self.sums);
        self.sums.most = connections;
        let minutes = sums.begun + self.connected_ms / MINUTE_MS;
        self.connected_ms %= MINUTE_MS;
        (RouteStats { connections, ..sums }, minutes)
    }

    fn connections(&self) -> u64 {
        self.by_core.iter().map(|(_, now, _)| now).sum()
    }
}

fn with_messages(
    packet: Packet,
    sums: &RouteStats,
    minutes: u64,
    received: Received,
    has_blocks: bool,
) -> Packet {
    let packet = packet
        .number("connections", sums.most)
        .number("minutes", minutes)
        .number("received", received.items)
        .number("sent", sums.sent)
        .number("http-response-sent", sums.responses_sent);
    match has_blocks {
        true => packet.number("blocks-received", received.blocks).number("blocks-sent", sums.blocks_sent),
        false => packet,
    }
}

fn with_traffic(packet: Packet, sums: &RouteStats) -> Packet {
    let [client, server] = [(&sums.client, CLIENT), (&sums.server, SERVER)].map(by_name);
    client.into_iter().chain(server).fold(packet, |packet, (name, number)| packet.number(name, number))
}

fn by_name((traffic, names): (&Traffic, [&'static str; 6])) -> [(&'static str, u64); 6] {
    let Traffic { received, sent } = traffic;
    let numbers = [
        received.header_bytes,
        sent.header_bytes,
        received.content_bytes,
        sent.content_bytes,
        received.messages,
        sent.messages,
    ];
    std::array::from_fn(|index| (names[index], numbers[index]))
}

const MINUTE_MS: u64 = 60_000;

/// Pushpin's names of the traffic counters.
const CLIENT: [&str; 6] = [
    "client-header-bytes-received",
    "client-header-bytes-sent",
    "client-content-bytes-received",
    "client-content-bytes-sent",
    "client-messages-received",
    "client-messages-sent",
];
const SERVER: [&str; 6] = [
    "server-header-bytes-received",
    "server-header-bytes-sent",
    "server-content-bytes-received",
    "server-content-bytes-sent",
    "server-messages-received",
    "server-messages-sent",
];

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Received = Received { items: 0, blocks: 0 };

    fn reports() -> Reports {
        Reports::new(&config::Config::default().stats)
    }

    fn ticked(reports: &mut Reports, now_ms: u64) -> Vec<Packet> {
        let mut out = Vec::new();
        reports.tick(now_ms, &mut out);
        out
    }

    fn reported(reports: &mut Reports, received: Received, now_ms: u64) -> Vec<Packet> {
        assert!(reports.are_due(now_ms) && !reports.are_due(now_ms - 1));
        let mut out = ticked(reports, now_ms);
        reports.report(received, now_ms, &mut out);
        out
    }

    fn report(
        route: Option<&str>,
        connections: u64,
        minutes: u64,
        received: u64,
        sums: RouteStats,
    ) -> Packet {
        let packet = Packet::of("report").route(route).number("connections", connections);
        let packet = packet.number("minutes", minutes).number("received", received);
        let packet = packet.number("sent", sums.sent).number("http-response-sent", sums.responses_sent);
        with_traffic(packet.number("duration", 10_000u64), &sums)
    }

    #[test]
    fn each_route_is_reported_until_there_is_nothing_more_to_say() {
        let mut reports = reports();
        let mut sums = RouteStats { sent: 7, responses_sent: 6, ..RouteStats::default() };
        sums.client.sent.content_bytes = 5;
        let route_stats = |connections, most| RouteStats { connections, most, begun: 3, activity: 4, ..sums };
        reports.take(CoreId(0), Some("a".into()), &route_stats(1, 2));
        reports.take(
            CoreId(1),
            Some("a".into()),
            &RouteStats { connections: 1, most: 3, ..RouteStats::default() },
        );
        let activity = Packet::of("activity").route(Some("a")).number("count", 4u64);
        assert_eq!(ticked(&mut reports, 100), [activity]);
        let received = Received { items: 5, blocks: 0 };
        let none = report(None, 0, 0, 5, RouteStats::default());
        assert_eq!(reported(&mut reports, received, 10_000), [none, report(Some("a"), 5, 3, 0, sums)]);
        for core in [CoreId(0), CoreId(1)] {
            reports.take(core, Some("a".into()), &RouteStats { most: 1, ..RouteStats::default() });
        }
        assert_eq!(
            reported(&mut reports, SECOND, 20_000),
            [report(Some("a"), 2, 0, 0, RouteStats::default())]
        );
        assert_eq!(reported(&mut reports, SECOND, 30_000), []);
        assert!(reports.routes.is_empty());
    }

    #[test]
    fn minutes_that_have_begun_are_counted() {
        let mut reports = reports();
        reports.take(
            CoreId(0),
            None,
            &RouteStats { connections: 2, most: 2, begun: 2, ..RouteStats::default() },
        );
        let minutes: Vec<u64> = (1..=7)
            .map(|period| {
                reports.tick(period * 10_000, &mut Vec::new());
                let route = reports.routes.get_mut(&None).map(Route::take_sums);
                route.map_or(0, |(_, minutes)| minutes)
            })
            .collect();
        assert_eq!(minutes, [2, 0, 1, 0, 0, 1, 0]);
    }
}
