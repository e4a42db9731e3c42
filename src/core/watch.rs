//! What is told of the clients of this core: to the stats socket, if there is one, to the log, if it has a line for
//! each request, and to counters. A connection that is watched has nothing but a mark in its row: its id is made out of
//! where it is, and what must be repeated while it lasts is found by walking over the rows.

use super::row::{Mark, Port, Row, Service};
use super::tallies::Tallies;
use super::{Core, SECOND};
use crate::bridge::{Event, Events, Outlet};
use crate::channel::{Publication, Transport};
use crate::config::Stats;
use crate::ids::{Slot, TallyId};
use crate::origin::Route;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// Events that are handed over before a tick is over.
const GATHERED: usize = 4096;

/// What the stats socket is told.
pub(super) struct Watch {
    outlet: Arc<Outlet>,
    events: RefCell<Events>,
    pub tallies: RefCell<Tallies>,
    /// Each connection is told of, and again within so many ticks; `None` is never.
    connection_ticks: Option<u32>,
    /// The row at which the walk goes on.
    walked: Cell<usize>,
}

impl Watch {
    /// Tells `outlet` what `settings` ask for.
    pub fn new(outlet: Arc<Outlet>, settings: &Stats) -> Watch {
        // Three quarters of the time that it is valid for, as Pushpin does it.
        let ticks = settings.connection_ttl_s.saturating_mul(SECOND) / 4 * 3;
        Watch {
            outlet,
            events: RefCell::default(),
            tallies: Tallies::new().into(),
            connection_ticks: settings.connections.then_some(ticks.max(1)),
            walked: Cell::new(0),
        }
    }

    fn tell(&self, event: Event) {
        let mut events = self.events.borrow_mut();
        events.add(event);
        if events.events.len() >= GATHERED {
            self.outlet.happened(&mut events);
        }
    }
}

impl Core {
    /// A request of the client in `slot` begins.
    pub(super) fn request_begins(&self, slot: Slot) {
        self.gauges.client_requests_total.add(1);
        self.engaged.set(self.engaged.get() + 1);
        if let Some(row) = self.rows.borrow_mut().get(slot) {
            row.mark = Mark::Counted;
        }
    }

    /// The route of the request in `slot` is known, or there is none for it. Of one for a WebSocket more is said when
    /// that is open. Whether that is counted from now on: one that is made again is already.
    pub(super) fn route_is_known(&self, slot: Slot, route: Option<&Route>, for_socket: bool) -> bool {
        let Some(watch) = &self.watch else { return false };
        let tally = {
            let mut rows = self.rows.borrow_mut();
            let fresh = rows.get(slot).filter(|row| row.mark == Mark::Counted && row.tally == TallyId::NONE);
            let Some(row) = fresh else { return false };
            let own_id = route.filter(|route| route.has_own_id).map(|route| route.id.as_str());
            row.tally = watch.tallies.borrow_mut().begin(own_id);
            row.tally
        };
        self.subscriptions.borrow_mut().tally_at(slot, tally);
        if !for_socket {
            self.tell_connected(slot);
        }
        true
    }

    /// The WebSocket in `slot` is open.
    pub(super) fn socket_begins(&self, slot: Slot) {
        self.tell_connected(slot);
    }

    /// What was in `slot` is over, if it was a client's. Said before the slot is used for anything else.
    pub(super) fn request_ends(&self, slot: Slot) {
        let (mark, tally, of_application) = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot).filter(|row| row.mark != Mark::None) else { return };
            let mark = std::mem::replace(&mut row.mark, Mark::None);
            (mark, std::mem::replace(&mut row.tally, TallyId::NONE), row.id_of_application())
        };
        self.engaged.set(self.engaged.get().saturating_sub(1));
        let Some(watch) = &self.watch else { return };
        watch.tallies.borrow_mut().end(tally);
        if mark == Mark::Told {
            let route = watch.tallies.borrow().route(tally);
            watch.tell(Event::Disconnected { id: self.connection_id(slot, of_application), route });
        }
    }

    fn tell_connected(&self, slot: Slot) {
        let Some(watch) = self.watch.as_ref().filter(|watch| watch.connection_ticks.is_some()) else {
            return;
        };
        let known = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            row.mark = Mark::Told;
            Known::of(row)
        };
        watch.tell(self.connected(watch, slot, known));
    }

    fn connected(&self, watch: &Watch, slot: Slot, known: Known) -> Event {
        let Known { of_application, is_socket, is_tls, peer, tally } = known;
        let route = watch.tallies.borrow().route(tally);
        Event::Connected { id: self.connection_id(slot, of_application), is_socket, is_tls, peer, route }
    }

    /// `publication` is about to be given to its subscribers on this core.
    pub(super) fn tell_of_delivery(&self, publication: &Arc<Publication>) {
        if self.watch.is_none() && !self.settings().log.requests {
            return;
        }
        let receivers = self.subscriptions.borrow().audience(&publication.channel).concerned_by(publication);
        if self.settings().log.requests {
            let channel = &*publication.channel;
            tracing::info!(
                channel,
                id = publication.id.as_deref(),
                receivers = receivers.total(),
                "published"
            );
        }
        let Some(watch) = &self.watch else { return };
        let kinds = [
            (Transport::Response, receivers.responses),
            (Transport::StreamChunked, receivers.streams),
            (Transport::Socket, receivers.sockets),
        ];
        for (transport, receivers) in kinds.into_iter().filter(|(_, receivers)| *receivers > 0) {
            watch.tell(Event::Message { publication: publication.clone(), transport, receivers });
        }
    }

    /// `publication` was published, and nobody listens to its channel.
    pub(super) fn tell_of_nobody(&self, publication: &Publication) {
        let channel = &*publication.channel;
        tracing::info!(channel, id = publication.id.as_deref(), receivers = 0, "published");
    }

    /// Hands over what has happened since the last tick.
    pub(super) fn tell_what_happened(&self) {
        let Some(watch) = &self.watch else { return };
        self.repeat_connections(watch);
        let changed = self.subscriptions.borrow_mut().take_changed();
        let changed = changed.into_iter().map(|(channel, receivers)| ((self.id, channel), receivers));
        self.count_sent();
        let mut events = watch.events.borrow_mut();
        events.subscribers.extend(changed);
        watch.tallies.borrow_mut().take(|route, tally| {
            events.tallies.entry((self.id, route)).or_default().add(&tally);
        });
        if !events.is_empty() || events.lost > 0 {
            watch.outlet.happened(&mut events);
        }
    }

    /// Tells again of some of the connections, so that each is told of in time.
    fn repeat_connections(&self, watch: &Watch) {
        let Some(ticks) = watch.connection_ticks else { return };
        let known: Vec<(Slot, Known)> = {
            let rows = self.rows.borrow();
            let step = rows.places().div_ceil(ticks as usize);
            let from = if watch.walked.get() < rows.places() { watch.walked.get() } else { 0 };
            watch.walked.set(from + step);
            let told = rows.some(from, step).filter(|(_, row)| row.mark == Mark::Told);
            told.map(|(slot, row)| (slot, Known::of(row))).collect()
        };
        for (slot, known) in known {
            watch.tell(self.connected(watch, slot, known));
        }
    }
}

/// What a row says of a connection that is told of.
struct Known {
    of_application: Option<Uuid>,
    is_socket: bool,
    is_tls: bool,
    peer: Option<IpAddr>,
    tally: TallyId,
}

impl Known {
    fn of(row: &Row) -> Known {
        Known {
            of_application: row.id_of_application(),
            is_socket: row.is_socket(),
            is_tls: row.service == Service::Clients(Port::Tls),
            peer: row.peer().map(|peer| peer.ip()),
            tally: row.tally,
        }
    }
}
