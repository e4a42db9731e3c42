//! What stands before the first byte of a client, and the connections of which the header of the PROXY protocol is not
//! whole: what they have sent of it is kept until then. `proxy_headers` reads them.

use super::admission::PortUse;
use crate::ids::Slot;
use crate::tls::Offer;
use rustc_hash::FxHashMap;

/// What stands between a listener's connections and the first byte of a client, and whose they are.
#[derive(Clone, Default)]
pub struct Preface {
    /// Whose connections these are.
    pub port_use: PortUse,
    /// A header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// A handshake of TLS, with what is offered in it.
    pub tls: Option<Offer>,
}

/// The connections whose header is not whole.
#[derive(Default)]
pub(super) struct Proxied {
    headers: FxHashMap<Slot, Begun>,
}

/// A header that has not all come, or a connection that is about to be closed, of which nothing more is read.
enum Begun {
    Header(Vec<u8>),
    Ignored,
}

impl Proxied {
    /// A connection begins with a header. That of a proxy which is not believed is not read, as the core closes the
    /// connection: what it says would be counted for whoever it names.
    pub fn expect(&mut self, slot: Slot, is_believed: bool) {
        let begun = if is_believed { Begun::Header(Vec::new()) } else { Begun::Ignored };
        self.headers.insert(slot, begun);
    }

    /// Whether bytes of `slot` are still of its header. Listeners without the protocol have no overhead but this.
    pub fn awaits(&self, slot: Slot) -> bool {
        !self.headers.is_empty() && self.headers.contains_key(&slot)
    }

    /// What has come of the header of `slot`; `None` if nothing more is read of it.
    pub fn header(&mut self, slot: Slot) -> Option<&mut Vec<u8>> {
        match self.headers.get_mut(&slot) {
            Some(Begun::Header(begun)) => Some(begun),
            Some(Begun::Ignored) | None => None,
        }
    }

    /// The connection is about to be closed: nothing more is read of it.
    pub fn ignore(&mut self, slot: Slot) {
        self.headers.insert(slot, Begun::Ignored);
    }

    /// The connection is over.
    pub fn forget(&mut self, slot: Slot) {
        self.headers.remove(&slot);
    }
}
