//! Whether one more connection of an address is let in. The wire asks when it has accepted a connection, before anything
//! else is done for it, and again when a proxy has named its client; what the answer counts in the [`Ledger`] is counted
//! down when the connection's slot is released, however it ended. Each core has an [`Admission`] with the limits in
//! force, and all of them have the same ledger. Clients that are exempt are not counted at all, nor is anybody while
//! there is no limit, so whoever is connected when a limit is set is not counted against it.

use super::ledger::{Bounds, EntryId, Excess, Ledger};
use crate::ids::Slot;
use crate::proto::exempt::Exempt;
use crate::proto::trusted_proxies::TrustedProxies;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

/// What one address may have of the whole process: an IPv4 address, or a /64 of IPv6. A limit of 0 is none.
#[derive(Clone, Debug, Default)]
pub struct AddressLimits {
    /// Connections at a time.
    pub connections: u32,
    /// Connections that begin within a second.
    pub new_per_s: u16,
    /// Handshakes of TLS that begin within a second.
    pub handshakes_per_s: u16,
    /// For whom there are no limits.
    pub exempt: Exempt,
    /// Proxies that are believed as to whose connections they relay.
    pub trusted_proxies: Option<TrustedProxies>,
}

/// Connections that were closed at once since start, by the limit that their address had reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedConnections {
    /// Connections at a time.
    pub connections: u64,
    /// Connections that begin within a second.
    pub new_connections: u64,
    /// Handshakes of TLS that begin within a second.
    pub handshakes: u64,
}

/// Whose connections a listener accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PortUse {
    /// Clients, for whom the reserved slots are not.
    #[default]
    Clients,
    /// Operators and publishers.
    Operators,
}

/// The limits of one core, and what each of its slots is counted as.
pub(super) struct Admission {
    ledger: Arc<Ledger>,
    limits: AddressLimits,
    second: u16,
    refused: RefusedConnections,
    /// For each slot the number of its entry, 0 if there is none, and [`OPERATOR`].
    holders: Vec<u32>,
    /// Open connections of operators.
    operators: usize,
}

/// The connection was refused, which is counted.
pub(super) struct Refused;

impl Admission {
    /// Of `slots` slots, without limits.
    pub fn new(slots: u32, ledger: Arc<Ledger>) -> Admission {
        Admission {
            ledger,
            limits: AddressLimits::default(),
            second: 0,
            refused: RefusedConnections::default(),
            holders: vec![0; slots as usize],
            operators: 0,
        }
    }

    /// What one address may have from now on. Connections that were counted before still are.
    pub fn set_limits(&mut self, limits: AddressLimits) {
        self.limits = limits;
    }

    /// The clock has moved to `now`: limits by the second count in another second.
    pub fn set_now(&mut self, now: Instant) {
        self.second = self.ledger.second(now);
    }

    /// Connections that were refused.
    pub fn refused(&self) -> RefusedConnections {
        self.refused
    }

    /// Whether the proxy at `peer` may say whose connections it relays.
    pub fn believes(&self, peer: IpAddr) -> bool {
        self.limits.trusted_proxies.as_ref().is_some_and(|trusted| trusted.trusts(Some(peer)))
    }

    /// Lets in one more connection of `address`, if its limits allow that; `None` if it is not counted.
    pub fn admit(&mut self, address: Option<IpAddr>, is_handshake: bool) -> Result<Option<EntryId>, Refused> {
        let AddressLimits { connections, new_per_s, handshakes_per_s, exempt, trusted_proxies } =
            &self.limits;
        let bounds =
            Bounds { connections: *connections, new_per_s: *new_per_s, handshakes_per_s: *handshakes_per_s };
        if bounds == Bounds::default() || exempt.has(address, trusted_proxies.as_ref()) {
            return Ok(None);
        }
        let counted = self.ledger.begin(address, &bounds, is_handshake, self.second);
        counted.map_err(|excess| {
            let refused = match excess {
                Excess::Connections => &mut self.refused.connections,
                Excess::NewConnections => &mut self.refused.new_connections,
                Excess::Handshakes => &mut self.refused.handshakes,
            };
            *refused += 1;
            Refused
        })
    }

    /// A connection of `port_use` that was admitted has `slot` now.
    pub fn hold(&mut self, slot: Slot, entry_id: Option<EntryId>, port_use: PortUse) {
        let is_operator = port_use == PortUse::Operators;
        let word = entry_id.map_or(0, |entry_id| entry_id.0.get()) | if is_operator { OPERATOR } else { 0 };
        if let Some(holder) = self.holders.get_mut(slot.index()).filter(|_| word != 0) {
            debug_assert_eq!(*holder, 0, "a slot is held twice");
            *holder = word;
            self.operators += usize::from(is_operator);
        }
    }

    /// The connection in `slot` is that of a client at `address`, which is counted instead of its proxy.
    pub fn rename(&mut self, slot: Slot, address: IpAddr, is_handshake: bool) -> Result<(), Refused> {
        let entry_id = self.admit(Some(address), is_handshake)?;
        if let Some(holder) = self.holders.get_mut(slot.index()) {
            let before = *holder;
            *holder = entry_id.map_or(0, |entry_id| entry_id.0.get()) | before & OPERATOR;
            self.forget(account_of(before));
        }
        Ok(())
    }

    /// The connection in `slot` is over.
    pub fn release(&mut self, slot: Slot) {
        let Some(holder) = self.holders.get_mut(slot.index()).filter(|holder| **holder != 0) else { return };
        let holder = std::mem::take(holder);
        self.operators -= usize::from(holder & OPERATOR != 0);
        self.forget(account_of(holder));
    }

    /// A connection that was admitted came to nothing, or is over.
    pub fn forget(&self, entry_id: Option<EntryId>) {
        entry_id.into_iter().for_each(|entry_id| self.ledger.end(entry_id));
    }

    /// Open connections of operators.
    pub fn operators(&self) -> usize {
        self.operators
    }
}

fn account_of(holder: u32) -> Option<EntryId> {
    NonZeroU32::new(holder & !OPERATOR).map(EntryId)
}

/// The bit of a slot's holder that an operator has. Entries leave it free.
const OPERATOR: u32 = 1 << 31;
