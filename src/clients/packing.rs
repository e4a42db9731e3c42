//! Packs clients for the hand-over to another process, and takes over clients that another process has packed. Clients
//! move that wait for a request, or whose hold can be packed. Requests that are being answered, and connections that
//! are closing, stay.

use super::Clients;
use super::held::Held;
use super::row::{Carry, Mark, Phase, Row};
use super::service::Service;
use super::timer_wheel::TimerWheel;
use crate::ids::{RouteStatsId, Slot};
use crate::wire::{MoveError, PackedSocket, Place};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// A client as a value that can be sent to another process.
#[derive(Serialize, Deserialize)]
pub struct PackedClient {
    /// The place of its connection in the old process.
    pub place: Place,
    socket: PackedSocket,
    service: Service,
    peer: Option<SocketAddr>,
    /// The client's request, which is held, is counted.
    is_counted: bool,
    /// The id of the route in whose statistics the request is counted, if the route has one.
    route: Option<String>,
    /// Received bytes that are not parsed yet.
    carry: Bytes,
    /// The tick at which the client's timer fires, if it is set. Both processes count the same ticks.
    due: Option<u32>,
    /// The hold of the client, if it is held.
    hold: Option<Bytes>,
}

/// In the process that has the clients.
impl Clients {
    /// The clients that may move: those whose connection can, and that wait for a request or are held. Whether a hold
    /// can be packed shows when it is packed.
    pub fn that_may_move(&self) -> Vec<Slot> {
        let (rows, wire) = (self.rows.borrow(), self.wire.borrow());
        let may_move = |row: &Row| matches!(row.phase, Phase::Head | Phase::Held(_));
        let all = rows.some(0, rows.places()).filter(|(_, row)| may_move(row));
        all.map(|(slot, _)| slot).filter(|slot| wire.can_move(*slot)).collect()
    }

    /// The client in `slot` as a value; `None` if its hold cannot be packed.
    pub fn pack(&self, slot: Slot) -> Option<PackedClient> {
        let held = self.held(slot);
        let hold = match &held {
            Some(held) => Some(held.clone().pack(slot)?),
            None => None,
        };
        let due = self.timers.borrow().due(slot);
        let mut rows = self.rows.borrow_mut();
        // A field that is added is to be named here, and packed if the other process needs it.
        let Row { service, mark, peer_port: _, peer_address: _, route_stats, carry, phase: _ } =
            rows.get(slot)?;
        let reporter = self.context.stats_reporter.as_ref();
        let route = reporter.and_then(|reporter| reporter.route(*route_stats));
        let (service, is_counted) = (*service, mark.is_counted());
        let carry = carry.as_ref().map(|carry| Bytes::copy_from_slice(carry.bytes())).unwrap_or_default();
        let peer = rows.get(slot)?.peer();
        let socket = self.wire.borrow().pack(slot);
        let route = route.as_deref().map(str::to_owned);
        let place = Place { slot, generation: self.wire.borrow().generation(slot) };
        Some(PackedClient { place, socket, service, peer, is_counted, route, carry, due, hold })
    }

    /// Descriptors for the sockets of `slots`, in their order.
    ///
    /// # Errors
    /// When the kernel makes no descriptor.
    pub fn install(&self, slots: &[Slot]) -> Result<Vec<OwnedFd>, MoveError> {
        self.wire.borrow_mut().install(slots)
    }

    /// Forgets the client in `slot`, whom another process serves from now on: nobody is told that the client is gone,
    /// and nothing is sent to it.
    pub fn let_go_of(&self, slot: Slot) {
        let Some(row) = self.rows.borrow_mut().free(slot) else { return };
        if row.mark.is_counted() {
            self.engaged.set(self.engaged.get().saturating_sub(1));
        }
        self.timers.borrow_mut().cancel(slot);
        self.takings.borrow_mut().forget(slot);
        self.wire.borrow_mut().let_go(slot);
        if let Phase::Held(held) = row.phase {
            held.moved(slot);
        }
        self.context.accounts.ended(slot);
    }
}

/// In both processes.
impl Clients {
    /// Calls `visit` for each client that is held.
    pub fn each_held(&self, visit: impl Fn(Slot, Rc<dyn Held>)) {
        let held: Vec<(Slot, Rc<dyn Held>)> = {
            let rows = self.rows.borrow();
            let all = rows.some(0, rows.places());
            all.filter_map(|(slot, row)| Some((slot, row.held()?.clone()))).collect()
        };
        held.into_iter().for_each(|(slot, held)| visit(slot, held));
    }
}

/// In the process that takes clients over.
impl Clients {
    /// Puts the sockets of `clients` into slots, and returns the slots in order.
    ///
    /// # Errors
    /// When there are too few slots, or the kernel failed.
    pub fn adopt(&self, sockets: Vec<OwnedFd>, clients: &[PackedClient]) -> Result<Vec<Slot>, MoveError> {
        let places: Vec<Place> = clients.iter().map(|client| client.place).collect();
        self.wire.borrow_mut().adopt(sockets, &places)
    }

    /// The clock goes on from `tick`. No timer is set yet.
    pub fn clock_went_on(&self, tick: u32) {
        *self.timers.borrow_mut() = TimerWheel::new(tick);
    }

    /// Takes over a client whose socket is in `slot`. Returns its packed hold, if it is held: the caller holds it again
    /// with [`Clients::hold_again`].
    pub fn take_over(&self, slot: Slot, packed: PackedClient) -> Option<Bytes> {
        let PackedClient { place: _, socket, service, peer, is_counted, route, carry, due, hold } = packed;
        self.wire.borrow_mut().unpack(slot, socket, peer.map(|peer| peer.ip()));
        let reporter = self.context.stats_reporter.as_ref().filter(|_| is_counted);
        let route_stats = reporter.map_or(RouteStatsId::NONE, |reporter| reporter.begin(route.as_deref()));
        {
            let mut rows = self.rows.borrow_mut();
            rows.open(slot, service, peer);
            let row = rows.get(slot)?;
            row.route_stats = route_stats;
            row.mark = if is_counted { Mark::Counted } else { Mark::None };
            if !carry.is_empty() {
                let owner = row.owner(slot, &self.context.accounts);
                row.carry = Some(Carry::new(BytesMut::from(&carry[..]), owner));
            }
        }
        if is_counted {
            self.engaged.set(self.engaged.get() + 1);
        }
        if let Some(due) = due {
            self.set_timer_at(slot, due);
        }
        hold
    }

    /// Makes `held` the hold of the client in `slot`, which was taken over.
    pub fn hold_again(&self, slot: Slot, held: Rc<dyn Held>) {
        let is_known = {
            let mut rows = self.rows.borrow_mut();
            let row = rows.get(slot);
            row.map(|row| row.phase = Phase::Held(held)).is_some()
        };
        if is_known && self.context.stats_reporter.is_some() {
            self.tell_connected(slot);
        }
    }
}
