//! One row for each client: what the client's connection is doing now. A held stream is nothing but its row and its
//! entry in the subscription table. So the row is small, and parts that only some phases need are boxed or shared.

use super::exchange::Exchange;
use super::held::{Description, Held};
use super::service::{Port, Service};
use crate::context::{Accounts, Booking, Kind, Owner};
use crate::ids::{BySlot, RouteStatsId, Slot};
use crate::proto::client_network::ClientNetwork;
use crate::slack::Look;
use crate::wire::PortUse;
use bytes::BytesMut;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

/// A connection of this core.
pub(super) struct Row {
    pub service: Service,
    pub mark: Mark,
    pub peer_port: u16,
    pub peer_address: [u8; 16],
    /// The entry of the route statistics in which the client's request is counted.
    pub route_stats: RouteStatsId,
    /// Received, not parsed yet.
    pub carry: Option<Box<Carry>>,
    pub phase: Phase,
}

/// How far a client's request, or its WebSocket, was counted and reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// There was no request on the connection yet.
    New,
    /// There is no request.
    None,
    /// The request is counted.
    Counted,
    /// The request is counted, and was reported to the stats socket.
    Told,
}

impl Mark {
    /// Whether there is a request, or a WebSocket.
    pub fn is_counted(self) -> bool {
        matches!(self, Mark::Counted | Mark::Told)
    }
}

/// What a connection is doing.
pub(super) enum Phase {
    /// There is no connection in this slot.
    Free,
    /// Waiting for a request, or for the rest of its head.
    Head,
    /// A task is answering a request.
    Exchange(Rc<Exchange>),
    /// The client is held.
    Held(Rc<dyn Held>),
    /// The connection closes when its client has taken all queued bytes.
    Closing {
        /// Unread input must be drained before the close. Else the kernel would answer it with a reset, which could
        /// destroy the answer on its way (RFC 9112 section 9.6).
        linger: bool,
    },
    /// The connection is shut down. Bytes that still arrive are discarded until the client closes.
    Lingering,
}

/// Received bytes that are not parsed yet.
pub(super) struct Carry {
    bytes: BytesMut,
    booking: Booking,
}

impl Carry {
    /// `bytes`, kept for `owner`.
    pub fn new(bytes: BytesMut, owner: Rc<Owner>) -> Box<Carry> {
        let booking = owner.book(Kind::Heads, bytes.capacity());
        Box::new(Carry { bytes, booking })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds `bytes`. Returns whether a request head may end in them.
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.booking.set(self.bytes.capacity());
        // A head ends with an empty line, which may have begun in the bytes before.
        let fresh = self.bytes.get(before.saturating_sub(2)..).unwrap_or_default();
        memchr::memchr_iter(b'\n', fresh)
            .any(|end| matches!(fresh.get(end + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
    }

    pub fn into_bytes(self) -> BytesMut {
        self.bytes
    }
}

/// All rows of a core, by slot.
#[derive(Default)]
pub(super) struct Rows {
    rows: BySlot<Row>,
    /// Rows that are not free.
    used: usize,
    /// Rows among them that are for operators.
    operators: usize,
}

impl Rows {
    /// A new connection in `slot`.
    pub fn open(&mut self, slot: Slot, service: Service, peer: Option<SocketAddr>) {
        if let Some(row) = self.rows.entry(slot) {
            debug_assert!(matches!(row.phase, Phase::Free), "a slot is opened twice");
            self.used += 1;
            self.operators += usize::from(service.port_use() == PortUse::Operators);
            *row = Row { service, mark: Mark::New, phase: Phase::Head, ..Row::default() };
            row.set_peer(peer);
        }
    }

    /// The row of an open connection.
    pub fn get(&mut self, slot: Slot) -> Option<&mut Row> {
        self.rows.get_mut(slot).filter(|row| !matches!(row.phase, Phase::Free))
    }

    /// How many places a walk over all rows visits.
    pub fn places(&self) -> usize {
        self.rows.places()
    }

    /// The connections in up to `count` places, beginning with the place `from`.
    pub fn some(&self, from: usize, count: usize) -> impl Iterator<Item = (Slot, &Row)> {
        self.rows.some(from, count).filter(|(_, row)| !matches!(row.phase, Phase::Free))
    }

    /// How many connections to the ports of `port_use` are open.
    pub fn open_for(&self, port_use: PortUse) -> usize {
        match port_use {
            PortUse::Clients => self.used - self.operators,
            PortUse::Operators => self.operators,
        }
    }

    /// Frees the row of a connection that has ended, and returns it.
    pub fn free(&mut self, slot: Slot) -> Option<Row> {
        let service = self.get(slot)?.service;
        self.used -= 1;
        self.operators -= usize::from(service.port_use() == PortUse::Operators);
        self.rows.take(slot)
    }

    /// Shows the table to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        let is_used = |row: &Row| !matches!(row.phase, Phase::Free);
        self.rows.look_at(self.used, is_used, look);
    }
}

impl Default for Row {
    fn default() -> Row {
        Row {
            service: Service::Clients(Port::Plain),
            mark: Mark::None,
            peer_port: 0,
            peer_address: [0; 16],
            route_stats: RouteStatsId::NONE,
            carry: None,
            phase: Phase::Free,
        }
    }
}

impl Row {
    /// The client's address, if it has one. An IPv4 address is not given in its IPv6 form.
    pub fn peer(&self) -> Option<SocketAddr> {
        let address = Ipv6Addr::from(self.peer_address);
        // The unspecified address stands for no address, because nobody connects from it.
        let is_known = !address.is_unspecified();
        is_known.then(|| SocketAddr::new(IpAddr::V6(address).to_canonical(), self.peer_port))
    }

    /// Sets the client's address; `None` if it has none.
    pub fn set_peer(&mut self, peer: Option<SocketAddr>) {
        self.peer_port = peer.map_or(0, |peer| peer.port());
        self.peer_address = match peer.map(|peer| peer.ip()) {
            None => [0; 16],
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
            Some(IpAddr::V6(address)) => address.octets(),
        };
    }

    /// Whether the connection's request is being answered by `exchange`.
    pub fn is_answered_by(&self, exchange: &Exchange) -> bool {
        matches!(&self.phase, Phase::Exchange(current) if std::ptr::eq(Rc::as_ptr(current), exchange))
    }

    /// The hold of the client, if it is held.
    pub fn held(&self) -> Option<&Rc<dyn Held>> {
        match &self.phase {
            Phase::Held(held) => Some(held),
            _ => None,
        }
    }

    /// The description of the client's hold; an empty one if the client is not held.
    pub fn describe(&self) -> Description {
        self.held().map(|held| held.describe()).unwrap_or_default()
    }

    /// Whether bytes are passing between the client and an application.
    pub fn has_application(&self) -> bool {
        matches!(self.phase, Phase::Exchange(_)) || self.describe().passes_through
    }

    /// The owner of the bytes that are kept for the client, which is in `slot`.
    pub fn owner(&self, slot: Slot, accounts: &Accounts) -> Rc<Owner> {
        accounts.client(slot, || ClientNetwork::of(self.peer().map(|peer| peer.ip())))
    }

    /// Keeps `bytes` for later, booked for `owner`. Returns the length of all kept bytes.
    pub fn keep(&mut self, bytes: &[u8], owner: Rc<Owner>) -> usize {
        let carry = self.carry.get_or_insert_with(|| Carry::new(BytesMut::new(), owner));
        carry.append(bytes);
        carry.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stays_within_what_a_held_stream_may_cost() {
        assert!(size_of::<Row>() <= 64, "{}", size_of::<Row>());
        assert_eq!(size_of::<Service>(), 1);
    }

    #[test]
    fn the_end_of_a_head_is_noticed_however_its_bytes_come() {
        let accounts = Accounts::default();
        for text in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n"] {
            for cut in 0..text.len() {
                let (first, rest) = text.split_at(cut);
                let mut carry = Carry::new(BytesMut::from(first), accounts.nobody());
                assert!(carry.append(rest.as_bytes()), "{first:?} and {rest:?}");
            }
            let mut carry = Carry::new(BytesMut::new(), accounts.nobody());
            let ends: Vec<bool> = text.bytes().map(|byte| carry.append(&[byte])).collect();
            assert_eq!(ends.iter().position(|end| *end), Some(text.len() - 1), "{text:?}");
        }
    }

    #[test]
    fn a_row_gives_back_the_peer_it_was_opened_with() {
        for peer in ["10.1.2.3:80", "[2001:db8::1]:65535"] {
            let peer: SocketAddr = peer.parse().expect("a literal address");
            let mut rows = Rows::default();
            rows.open(Slot(3), Service::Clients(Port::Plain), Some(peer));
            assert_eq!(rows.get(Slot(3)).and_then(|row| row.peer()), Some(peer));
        }
        let mut rows = Rows::default();
        rows.open(Slot(0), Service::Clients(Port::Unix), None);
        assert_eq!(rows.get(Slot(0)).map(|row| row.peer()), Some(None));
    }
}
