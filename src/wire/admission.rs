//! Decides whether a connection is admitted, by the limits of its address. The wire asks after it has accepted a
//! connection, before anything else is done for it, and again when a proxy has named its client. An admitted
//! connection is counted in the [`Ledger`] until its slot is released. Each core has one [`Admission`] with the
//! current limits, and all cores share one ledger. Clients that are exempt are not counted. While there is no limit,
//! no connection is counted, so connections that are open when a limit is set do not count towards it.

use super::ledger::{Bounds, EntryId, Excess, Ledger};
use crate::ids::Slot;
use crate::proto::exempt::Exempt;
use crate::proto::trusted_proxies::TrustedProxies;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

/// The limits of one address in the whole process; an address is an IPv4 address or an IPv6 /64. A limit of 0 is no
/// limit.
#[derive(Clone, Debug, Default)]
pub struct AddressLimits {
    /// Connections at a time.
    pub connections: u32,
    /// Connections that begin within a second.
    pub new_per_s: u16,
    /// Handshakes of TLS that begin within a second.
    pub handshakes_per_s: u16,
    /// Clients that have no limits.
    pub exempt: Exempt,
    /// Proxies that are trusted to name the client of a connection.
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

/// Who connects to a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum PortUse {
    /// Clients, which may not take the reserved slots.
    #[default]
    Clients,
    /// Operators and publishers.
    Operators,
}

/// The limits of one core, and the ledger entry of each of its slots.
pub(super) struct Admission {
    ledger: Arc<Ledger>,
    limits: AddressLimits,
    second: u16,
    refused: RefusedConnections,
    /// For each slot the number of its ledger entry (0 if it is not counted), and [`OPERATOR`].
    holders: Vec<u32>,
    /// Open connections of operators.
    operators: usize,
}

/// The connection is refused. The refusal has been counted.
pub(super) struct Refused;

impl Admission {
    /// An admission for `slots` slots, without limits.
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

    /// Sets the limits for one address. Connections that were counted before stay counted.
    pub fn set_limits(&mut self, limits: AddressLimits) {
        self.limits = limits;
    }

    /// Advances the clock to `now`, for the limits that count within a second.
    pub fn set_now(&mut self, now: Instant) {
        self.second = self.ledger.second(now);
    }

    /// Connections that were refused.
    pub fn refused(&self) -> RefusedConnections {
        self.refused
    }

    /// Whether the proxy at `peer` is trusted to name its clients.
    pub fn believes(&self, peer: IpAddr) -> bool {
        self.limits.trusted_proxies.as_ref().is_some_and(|trusted| trusted.trusts(Some(peer)))
    }

    /// Admits one more connection of `address` if its limits allow it, and returns its ledger entry; `None` if it is
    /// not counted.
    ///
    /// # Errors
    /// The connection is beyond a limit of its address.
    pub fn admit(&mut self, address: Option<IpAddr>, is_handshake: bool) -> Result<Option<EntryId>, Refused> {
        if !self.counts(address) {
            return Ok(None);
        }
        let counted = self.ledger.begin(address, &self.bounds(), is_handshake, self.second);
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

    /// Counts a connection of `address` that was admitted before, by another process, whatever the limits are. Returns
    /// its ledger entry; `None` if it is not counted.
    pub fn readmit(&mut self, address: Option<IpAddr>) -> Option<EntryId> {
        if !self.counts(address) {
            return None;
        }
        let counted = self.ledger.begin(address, &Bounds::default(), false, self.second);
        counted.unwrap_or_default()
    }

    /// Stores the ledger entry of an admitted connection of `port_use` for its `slot`.
    pub fn hold(&mut self, slot: Slot, entry_id: Option<EntryId>, port_use: PortUse) {
        let is_operator = port_use == PortUse::Operators;
        let word = entry_id.map_or(0, |entry_id| entry_id.0.get()) | if is_operator { OPERATOR } else { 0 };
        if let Some(holder) = self.holders.get_mut(slot.index()).filter(|_| word != 0) {
            debug_assert_eq!(*holder, 0, "a slot is held twice");
            *holder = word;
            self.operators += usize::from(is_operator);
        }
    }

    /// Counts the connection in `slot` for the client at `address`, in place of the client's proxy.
    ///
    /// # Errors
    /// The connection is beyond a limit of the client's address.
    pub fn rename(&mut self, slot: Slot, address: IpAddr, is_handshake: bool) -> Result<(), Refused> {
        let entry_id = self.admit(Some(address), is_handshake)?;
        if let Some(holder) = self.holders.get_mut(slot.index()) {
            let before = *holder;
            *holder = entry_id.map_or(0, |entry_id| entry_id.0.get()) | before & OPERATOR;
            self.forget(account_of(before));
        }
        Ok(())
    }

    /// Stops counting the connection in `slot`, which has ended.
    pub fn release(&mut self, slot: Slot) {
        let Some(holder) = self.holders.get_mut(slot.index()).filter(|holder| **holder != 0) else { return };
        let holder = std::mem::take(holder);
        self.operators -= usize::from(holder & OPERATOR != 0);
        self.forget(account_of(holder));
    }

    /// Stops counting a connection that was admitted.
    pub fn forget(&self, entry_id: Option<EntryId>) {
        entry_id.into_iter().for_each(|entry_id| self.ledger.end(entry_id));
    }

    /// Who connected by the connection in `slot`.
    pub fn port_use(&self, slot: Slot) -> PortUse {
        // A field that is added is to be named here, and packed if it belongs to a connection.
        let Admission { ledger: _, limits: _, second: _, refused: _, holders, operators: _ } = self;
        match holders.get(slot.index()).is_some_and(|holder| holder & OPERATOR != 0) {
            true => PortUse::Operators,
            false => PortUse::Clients,
        }
    }

    /// Whether connections of `address` are counted.
    fn counts(&self, address: Option<IpAddr>) -> bool {
        let AddressLimits { exempt, trusted_proxies, .. } = &self.limits;
        self.bounds() != Bounds::default() && !exempt.has(address, trusted_proxies.as_ref())
    }

    fn bounds(&self) -> Bounds {
        let AddressLimits { connections, new_per_s, handshakes_per_s, .. } = self.limits;
        Bounds { connections, new_per_s, handshakes_per_s }
    }

    /// Open connections of operators.
    pub fn operators(&self) -> usize {
        self.operators
    }
}

fn account_of(holder: u32) -> Option<EntryId> {
    NonZeroU32::new(holder & !OPERATOR).map(EntryId)
}

/// The bit that is set in the holder of an operator's slot. No entry number has it.
const OPERATOR: u32 = 1 << 31;
