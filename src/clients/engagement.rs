//! The ids of clients, and reports to the stats socket about clients that come and go. A reported client has only a
//! mark in its row: its id is made of its core, slot and generation, and a walk over the rows finds the clients whose
//! reports must be repeated.

use super::row::{Mark, Phase, Row};
use super::service::{Port, Service};
use super::{Clients, Description};
use crate::context::TICK_MS;
use crate::ids::{ConnectionId, RouteStatsId, Slot};
use crate::monitor::StatsEvent;
use crate::observe::StatsReporter;
use crate::origin::Route;
use std::net::IpAddr;
use uuid::Uuid;

impl Clients {
    /// Counts a request of the client in `slot`, which begins.
    pub(super) fn request_begins(&self, slot: Slot) {
        self.context.metrics.client_requests_total.add(1);
        self.engaged.set(self.engaged.get() + 1);
        if let Some(row) = self.rows.borrow_mut().get(slot) {
            row.mark = Mark::Counted;
        }
    }

    /// The route of the client's request is known, or it is known that it has none. Counts the request for its route,
    /// and reports the connection; a WebSocket is reported only when it is open. Returns whether the request is counted
    /// from now on; a refetched request is counted already.
    pub fn route_is_known(&self, slot: Slot, route: Option<&Route>, for_socket: bool) -> bool {
        let Some(reporter) = &self.context.stats_reporter else { return false };
        {
            let mut rows = self.rows.borrow_mut();
            let fresh = rows
                .get(slot)
                .filter(|row| row.mark == Mark::Counted && row.route_stats == RouteStatsId::NONE);
            let Some(row) = fresh else { return false };
            let own_id = route.filter(|route| route.has_own_id).map(|route| route.id.as_str());
            row.route_stats = reporter.begin(own_id);
        }
        if !for_socket {
            self.tell_connected(slot);
        }
        true
    }

    /// Reports the connection in `slot` to the stats socket.
    pub fn tell_connected(&self, slot: Slot) {
        let Some(reporter) =
            self.context.stats_reporter.as_ref().filter(|reporter| reporter.connection_ms().is_some())
        else {
            return;
        };
        let known = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            row.mark = Mark::Told;
            Known::of(row)
        };
        reporter.tell(self.connected(reporter, slot, known));
    }

    /// The request or the WebSocket in `slot` has ended, if it was counted. Called before the slot is used for another
    /// request.
    ///
    /// Every request ends here, however it was answered or held: by its whole answer, the end of its stream or WebSocket,
    /// or the loss of its client. This is where a hook on close is called for a client of which a hook on connect has
    /// heard. `Held::ended` tells what still holds the client after that, and messages of the client may still be on their
    /// way to the application.
    pub(super) fn request_ends(&self, slot: Slot) {
        let (mark, route_stats, id_of_application) = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot).filter(|row| row.mark.is_counted()) else { return };
            let mark = std::mem::replace(&mut row.mark, Mark::None);
            (
                mark,
                std::mem::replace(&mut row.route_stats, RouteStatsId::NONE),
                row.describe().id_of_application,
            )
        };
        self.engaged.set(self.engaged.get().saturating_sub(1));
        let Some(reporter) = &self.context.stats_reporter else { return };
        reporter.end(route_stats);
        if mark == Mark::Told {
            let route = reporter.route(route_stats);
            reporter
                .tell(StatsEvent::Disconnected { id: self.connection_id(slot, id_of_application), route });
        }
    }

    /// Repeats the reports of some of the connections, so that each report is repeated in time. Called once a tick.
    pub fn repeat_connections(&self) {
        let Some(reporter) = &self.context.stats_reporter else { return };
        let Some(repeat_ms) = reporter.connection_ms() else { return };
        let known: Vec<(Slot, Known)> = {
            let rows = self.rows.borrow();
            let step = rows.places().div_ceil((repeat_ms / TICK_MS).max(1) as usize);
            let from = if self.walked.get() < rows.places() { self.walked.get() } else { 0 };
            self.walked.set(from + step);
            let told = rows.some(from, step).filter(|(_, row)| row.mark == Mark::Told);
            told.map(|(slot, row)| (slot, Known::of(row))).collect()
        };
        for (slot, known) in known {
            reporter.tell(self.connected(reporter, slot, known));
        }
    }

    fn connected(&self, reporter: &StatsReporter, slot: Slot, known: Known) -> StatsEvent {
        let Known { id_of_application, is_socket, is_tls, peer, route_stats } = known;
        let route = reporter.route(route_stats);
        StatsEvent::Connected {
            id: self.connection_id(slot, id_of_application),
            is_socket,
            is_tls,
            peer,
            route,
        }
    }

    /// Parses the id `text`; `None` if it is malformed or names a core that does not exist.
    pub fn known_id(&self, text: &str) -> Option<ConnectionId> {
        ConnectionId::parse(text).filter(|id| id.core().index() < self.context.cores)
    }

    /// The id of the client in `slot`, made of its core, slot and generation.
    pub fn id_of_place(&self, slot: Slot) -> ConnectionId {
        ConnectionId::of_place(self.context.id, slot, self.wire.borrow().generation(slot))
    }

    /// The id of the client: `of_application` if its application knows it by a Connection-Id, else its id by place.
    fn connection_id(&self, slot: Slot, of_application: Option<Uuid>) -> ConnectionId {
        of_application.map_or_else(|| self.id_of_place(slot), ConnectionId::of_application)
    }

    /// Whether a request of the client with this id is being answered or held.
    pub fn is_present(&self, id: ConnectionId) -> bool {
        let slot = self.find(id);
        slot.is_some_and(|slot| self.rows.borrow_mut().get(slot).is_some_and(|row| row.mark.is_counted()))
    }

    /// The slot of the client with this id, if it is still connected.
    pub fn find(&self, id: ConnectionId) -> Option<Slot> {
        let (slot, mut rows) = (id.slot(), self.rows.borrow_mut());
        let row =
            rows.get(slot).filter(|row| row.service.is_for_clients() && id.core() == self.context.id)?;
        if matches!(row.phase, Phase::Closing { .. } | Phase::Lingering) {
            return None;
        }
        id.is_of(self.wire.borrow().generation(slot), row.describe().id_of_application).then_some(slot)
    }
}

/// The parts of a row that a report of its connection needs.
struct Known {
    id_of_application: Option<Uuid>,
    is_socket: bool,
    is_tls: bool,
    peer: Option<IpAddr>,
    route_stats: RouteStatsId,
}

impl Known {
    fn of(row: &Row) -> Known {
        let Description { id_of_application, is_socket, .. } = row.describe();
        Known {
            id_of_application,
            is_socket,
            is_tls: row.service == Service::Clients(Port::Tls),
            peer: row.peer().map(|peer| peer.ip()),
            route_stats: row.route_stats,
        }
    }
}
