//! The events of a core for the stats socket: clients that come and go, items that are delivered, and the
//! statistics of each route. A core gathers the events of a tick and hands them over together.

use super::route_stats_table::RouteStatsTable;
use crate::channel::{Audience, Transport};
use crate::config::Stats;
use crate::ids::{CoreId, RouteStatsId};
use crate::monitor::{Mailbox, RouteStats, StatsBatch, StatsEvent};
use crate::proto::grip::Publication;
use std::cell::RefCell;
use std::sync::Arc;

/// When this many events have gathered, they are handed over before the tick ends.
const GATHERED: usize = 4096;

/// Gathers events for the stats socket.
pub struct StatsReporter {
    mailbox: Arc<Mailbox>,
    events: RefCell<StatsBatch>,
    route_stats: RefCell<RouteStatsTable>,
    /// Each connection is reported, and reported again within this time, ms. `None` if connections are not
    /// reported.
    connection_ms: Option<u64>,
}

impl StatsReporter {
    /// A reporter that puts the events which `settings` ask for into `mailbox`.
    pub fn new(mailbox: Arc<Mailbox>, settings: &Stats) -> StatsReporter {
        // A report is repeated after three quarters of the time for which it is valid, as in Pushpin.
        let repeat_ms = u64::from(settings.connection_ttl_s) * 250 * 3;
        StatsReporter {
            mailbox,
            events: RefCell::default(),
            route_stats: RouteStatsTable::new().into(),
            connection_ms: settings.connections.then_some(repeat_ms),
        }
    }

    /// Within how many ms the report of each connection is repeated; `None` if connections are not reported.
    pub fn connection_ms(&self) -> Option<u64> {
        self.connection_ms
    }

    /// Reports `event`.
    pub fn tell(&self, event: StatsEvent) {
        let mut events = self.events.borrow_mut();
        events.events.push(event);
        if events.events.len() >= GATHERED {
            self.mailbox.hand_over(&mut events);
        }
    }

    /// Reports that this core delivers `publication` to `receivers` subscribers.
    pub fn tell_of_delivery(&self, publication: &Arc<Publication>, receivers: Audience) {
        let kinds = [
            (Transport::Response, receivers.responses),
            (Transport::StreamChunked, receivers.streams),
            (Transport::Socket, receivers.sockets),
        ];
        for (transport, receivers) in kinds.into_iter().filter(|(_, receivers)| *receivers > 0) {
            self.tell(StatsEvent::Message { publication: publication.clone(), transport, receivers });
        }
    }

    /// Counts a new request on the route with the id `route`. Returns the entry in which the request is counted.
    pub fn begin(&self, route: Option<&str>) -> RouteStatsId {
        self.route_stats.borrow_mut().begin(route)
    }

    /// A request that was counted in the entry `route_stats` is over.
    pub fn end(&self, route_stats: RouteStatsId) {
        self.route_stats.borrow_mut().end(route_stats);
    }

    /// The id of the route that is counted in the entry `route_stats`, if the route has an id.
    pub fn route(&self, route_stats: RouteStatsId) -> Option<Arc<str>> {
        self.route_stats.borrow().route(route_stats)
    }

    /// Has `count` change the entry `route_stats`.
    pub fn count(&self, route_stats: RouteStatsId, count: impl FnOnce(&mut RouteStats)) {
        self.route_stats.borrow_mut().count(route_stats, count);
    }

    /// Hands over all events of `core` since the last call. `changed` are the channels whose number of subscribers
    /// has changed.
    pub fn hand_over(&self, core: CoreId, changed: Vec<(Arc<str>, Audience)>) {
        let mut events = self.events.borrow_mut();
        let changed = changed.into_iter().map(|(channel, receivers)| ((core, channel), receivers));
        events.subscribers.extend(changed);
        self.route_stats.borrow_mut().take(|route, route_stats| {
            events.route_stats.entry((core, route)).or_default().add(&route_stats);
        });
        if !events.is_empty() || events.lost > 0 {
            self.mailbox.hand_over(&mut events);
        }
    }
}
