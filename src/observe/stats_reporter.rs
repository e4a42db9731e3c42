//! What is told of a core to the stats socket: which clients come and go, what is published to whom, and the figures of
//! each route. A core gathers it for a tick and hands it over.

use super::route_stats_table::RouteStatsTable;
use crate::channel::{Audience, Transport};
use crate::config::Stats;
use crate::ids::{CoreId, RouteStatsId};
use crate::monitor::{Mailbox, RouteStats, StatsBatch, StatsEvent};
use crate::proto::grip::Publication;
use std::cell::RefCell;
use std::sync::Arc;

/// StatsBatch that are handed over before a tick is over.
const GATHERED: usize = 4096;

/// What the stats socket is told.
pub struct StatsReporter {
    mailbox: Arc<Mailbox>,
    events: RefCell<StatsBatch>,
    route_stats: RefCell<RouteStatsTable>,
    /// Each connection is told of, and again within so many ms; `None` is never.
    connection_ms: Option<u64>,
}

impl StatsReporter {
    /// Puts into `mailbox` what `settings` ask for.
    pub fn new(mailbox: Arc<Mailbox>, settings: &Stats) -> StatsReporter {
        // Three quarters of the time that it is valid for, as Pushpin does it.
        let repeat_ms = u64::from(settings.connection_ttl_s) * 250 * 3;
        StatsReporter {
            mailbox,
            events: RefCell::default(),
            route_stats: RouteStatsTable::new().into(),
            connection_ms: settings.connections.then_some(repeat_ms),
        }
    }

    /// Within how many ms each connection is told of again; `None` if connections are not told of.
    pub fn connection_ms(&self) -> Option<u64> {
        self.connection_ms
    }

    /// Tells of `event`.
    pub fn tell(&self, event: StatsEvent) {
        let mut events = self.events.borrow_mut();
        events.events.push(event);
        if events.events.len() >= GATHERED {
            self.mailbox.hand_over(&mut events);
        }
    }

    /// Tells that `publication` is given to so many subscribers on this core.
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

    /// A request begins on the route with this id of its own; where it is counted.
    pub fn begin(&self, route: Option<&str>) -> RouteStatsId {
        self.route_stats.borrow_mut().begin(route)
    }

    /// The request that is counted at `route_stats` is over.
    pub fn end(&self, route_stats: RouteStatsId) {
        self.route_stats.borrow_mut().end(route_stats);
    }

    /// The id of the route that is counted at `route_stats`, if it has one of its own.
    pub fn route(&self, route_stats: RouteStatsId) -> Option<Arc<str>> {
        self.route_stats.borrow().route(route_stats)
    }

    /// Counts something at `route_stats`.
    pub fn count(&self, route_stats: RouteStatsId, count: impl FnOnce(&mut RouteStats)) {
        self.route_stats.borrow_mut().count(route_stats, count);
    }

    /// Hands over what has happened on `core` since this was last called. `changed` are the channels whose subscribers
    /// have become more or fewer.
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
