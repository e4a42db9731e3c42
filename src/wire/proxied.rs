//! The preface of each listener: the bytes that come before the first byte of a client. Connections whose PROXY
//! protocol header is incomplete are kept here with the bytes of the header. `proxy_headers` reads the headers.

use super::admission::PortUse;
use crate::ids::Slot;
use crate::tls::Offer;
use rustc_hash::FxHashMap;

/// What a listener expects before the first byte of a client, and who its clients are.
#[derive(Clone, Default)]
pub struct Preface {
    /// Who connects to the listener.
    pub port_use: PortUse,
    /// Whether another process has the listening socket too, so that its queue outlives this process.
    pub is_shared: bool,
    /// Whether connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// The TLS configuration, if connections use TLS.
    pub tls: Option<Offer>,
}

/// The connections whose header is incomplete.
#[derive(Default)]
pub(super) struct Proxied {
    headers: FxHashMap<Slot, Begun>,
}

/// An incomplete header, or a connection that is about to be closed and is not read any more.
enum Begun {
    Header(Vec<u8>),
    Ignored,
}

impl Proxied {
    /// Expects a header from a new connection. The header of an untrusted proxy is not read, because the core closes
    /// the connection: otherwise the connection would be counted for the client that the header names.
    pub fn expect(&mut self, slot: Slot, is_believed: bool) {
        let begun = if is_believed { Begun::Header(Vec::new()) } else { Begun::Ignored };
        self.headers.insert(slot, begun);
    }

    /// Whether bytes of `slot` belong to its header. This check is the only overhead for listeners without the
    /// protocol.
    pub fn awaits(&self, slot: Slot) -> bool {
        !self.headers.is_empty() && self.headers.contains_key(&slot)
    }

    /// The bytes of the header of `slot` so far; `None` if they are ignored.
    pub fn header(&mut self, slot: Slot) -> Option<&mut Vec<u8>> {
        match self.headers.get_mut(&slot) {
            Some(Begun::Header(begun)) => Some(begun),
            Some(Begun::Ignored) | None => None,
        }
    }

    /// Ignores further bytes of a connection that is about to be closed.
    pub fn ignore(&mut self, slot: Slot) {
        self.headers.insert(slot, Begun::Ignored);
    }

    /// Removes a connection whose header is complete, or that has ended.
    pub fn forget(&mut self, slot: Slot) {
        self.headers.remove(&slot);
    }
}
