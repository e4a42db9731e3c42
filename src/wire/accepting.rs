//! Accepting clients: how many accepts are in flight for each of the `listeners`, and how finished accepts are
//! handled. No more accepts are in flight than there are free slots; further clients wait in the kernel's queue and
//! are not refused. A connection beyond the limits of its address is reset before anything else is done for it.

use super::admission::{AddressLimits, PortUse, Refused, RefusedConnections};
use super::events::{Wire, WireEvent};
use super::listener::{ACCEPTS, Listener};
use super::listeners::is_exhausted;
use super::operation::Operation;
use super::proxied::Preface;
use super::slots::flag;
use super::token::{Kind, Token};
use crate::ids::Slot;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

impl Wire {
    /// Slots that further connections of `port_use` may take, beside the accepts that are in flight.
    pub(super) fn room(&self, port_use: PortUse) -> usize {
        let (free, of_operators) = (self.free_slots(), self.listeners.in_flight(PortUse::Operators));
        match port_use {
            PortUse::Clients => (free + of_operators).saturating_sub(self.listeners.reserved).min(free),
            PortUse::Operators => {
                let own = self.admission.operators() + self.local.moving_operators() + of_operators;
                free.min(self.listeners.for_operators.saturating_sub(own))
            }
        }
    }

    /// Slots that neither a connection has nor an accept in flight may take.
    pub(super) fn free_slots(&self) -> usize {
        let of_clients = self.listeners.in_flight(PortUse::Clients);
        let of_operators = self.listeners.in_flight(PortUse::Operators);
        let taken = self.open as usize + self.local.moving() + of_clients + of_operators;
        (self.limits.connections as usize).saturating_sub(taken)
    }

    /// Starts accepts for all listeners, as far as there are free slots.
    pub(super) fn arm_accepts(&mut self) {
        if self.stillness.listeners {
            return;
        }
        for port_use in [PortUse::Operators, PortUse::Clients] {
            let mut room = self.room(port_use);
            if room > 0 {
                self.take_waiting_local(port_use);
                self.watch_local_listeners(port_use);
                room = self.room(port_use);
            }
            let most = match port_use {
                PortUse::Operators => self.listeners.operator_accepts,
                PortUse::Clients => ACCEPTS,
            };
            self.arm_in_turn(port_use, most, room);
        }
    }

    /// Starts up to `room` accepts for `port_use`, with at most `most` in flight for each listener. The listeners get
    /// one accept each in turn, or the first listener would take all slots that become free.
    fn arm_in_turn(&mut self, port_use: PortUse, most: usize, room: usize) {
        let (mut room, listeners) = (room, self.listeners.all.len());
        let is_accepting =
            |listener: &Listener, preface: &Preface| preface.port_use == port_use && listener.is_open();
        let all = self.listeners.all.iter();
        let of_use = all.filter(|(listener, preface)| is_accepting(listener, preface));
        let least = of_use.map(|(listener, _)| listener.in_flight()).min().unwrap_or(most);
        if room == 0 || least >= most {
            return;
        }
        for in_flight in least..most {
            for index in 0..listeners {
                let index = (self.listeners.first + index) % listeners;
                let Some((listener, preface)) = self.listeners.all.get(index) else { return };
                if room > 0 && is_accepting(listener, preface) && listener.in_flight() <= in_flight {
                    room -= 1;
                    self.arm_accept(index);
                }
            }
        }
        self.listeners.first = self.listeners.first.wrapping_add(1);
    }

    fn arm_accept(&mut self, index: usize) {
        let listener = self.listeners.all.get_mut(index);
        let Some((operation, accept)) = listener.and_then(|(listener, _)| listener.next_accept()) else {
            return;
        };
        let token = accept_token(index, accept);
        // SAFETY: the address slot belongs to the listener and is not used again until the accept finished.
        unsafe { self.push(operation, token.pack()) };
    }

    /// Cancels all accepts in flight, and those that rest.
    pub(super) fn cancel_accepts(&mut self) {
        let listeners = self.listeners.all.iter().enumerate();
        let tokens = listeners.flat_map(|(index, (listener, _))| {
            listener.accepts_in_flight().map(move |accept| accept_token(index, accept))
        });
        let tokens: Vec<Token> = tokens.collect();
        tokens.into_iter().for_each(|token| self.cancel_token(token));
    }

    /// Cancels accept `accept` of listener `index`, which then finishes.
    pub(super) fn cancel_accept(&mut self, index: usize, accept: usize) {
        self.cancel_token(accept_token(index, accept));
    }

    /// Handles a finished accept.
    pub(super) fn accepted(&mut self, accept: u32, result: i32) {
        let error = io::Error::from_raw_os_error(-result.min(0));
        if is_exhausted(&error) && !self.stillness.listeners {
            return self.rest(Token { kind: Kind::Accept, generation: 0, slot: Slot(accept) }, error);
        }
        let Some((listener, peer, preface)) = self.finish_accept(accept) else { return };
        if result < 0 {
            return;
        }
        let slot = Slot(result as u32);
        debug_assert!(!self.slots.has(slot, flag::OPEN), "the kernel gave out a descriptor that is in use");
        self.open += 1;
        self.slots.set(slot, flag::OPEN);
        let Preface { port_use, proxy_protocol: is_proxied, tls, is_shared: _ } = preface;
        // Behind a proxy, the handshake is counted for the proxy's client, which is not known yet.
        let is_handshake = tls.is_some() && !is_proxied;
        match self.admission.admit(Some(peer.ip()), is_handshake) {
            Ok(entry_id) => self.admission.hold(slot, entry_id, port_use),
            Err(Refused) => {
                self.reset(slot);
                return self.close(slot);
            }
        }
        if tls.is_some_and(|offer| !self.begin_session(slot, &offer)) {
            return self.close(slot);
        }
        if is_proxied {
            let is_believed = self.admission.believes(peer.ip());
            self.proxied.expect(slot, is_believed);
        }
        self.arm_receive(slot);
        self.events.push_back(WireEvent::Accepted { slot, listener, peer, is_proxied });
    }

    /// Resets the connection in `slot`, so that the kernel keeps no data for it. The caller closes the slot
    /// afterwards.
    pub fn reset(&mut self, slot: Slot) {
        if slot.is_virtual() || !self.slots.has(slot, flag::OPEN) {
            return;
        }
        // SAFETY: what a reset points to is static.
        unsafe { self.push(Operation::Reset { slot }, self.slots.token(Kind::Close, slot)) };
    }

    /// The system lacks memory or descriptors for a client. The accept is not repeated at once, because it would fail
    /// again; another accept starts after [`Operation::Rest`].
    pub(super) fn rest(&mut self, accept: Token, error: io::Error) {
        self.listeners.refusal = Some(error);
        // SAFETY: a rest points to nothing.
        unsafe { self.push(Operation::Rest, accept.pack()) };
    }

    /// The last error that kept clients from being accepted since the previous call.
    pub fn take_refusal(&mut self) -> Option<io::Error> {
        self.listeners.refusal.take()
    }

    /// Slots that clients may take.
    pub fn client_slots(&self) -> usize {
        (self.limits.connections as usize).saturating_sub(self.listeners.reserved)
    }

    /// Sets the limits for one address. Connections that were counted before stay counted.
    pub fn set_address_limits(&mut self, limits: AddressLimits) {
        self.admission.set_limits(limits);
    }

    /// Advances the clock to `now`, for the limits that count within a second.
    pub fn set_now(&mut self, now: Instant) {
        self.admission.set_now(now);
    }

    /// Connections that were closed because of the limits of their addresses.
    pub fn refused_connections(&self) -> RefusedConnections {
        self.admission.refused()
    }

    fn finish_accept(&mut self, id: u32) -> Option<(usize, SocketAddr, Preface)> {
        let (index, accept) = ((id >> 8) as usize, (id & 0xff) as usize);
        let (listener, preface) = self.listeners.all.get_mut(index)?;
        Some((index, listener.finish(accept), preface.clone()))
    }
}

/// The token of an accept of a listener.
fn accept_token(listener: usize, accept: usize) -> Token {
    let id = ((listener as u32) << 8) | accept as u32;
    Token { kind: Kind::Accept, generation: 0, slot: Slot(id) }
}

#[cfg(test)]
mod tests;
