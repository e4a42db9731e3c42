//! Connections by listeners that expect the PROXY protocol: what they send is kept until its header is whole, and what
//! follows is the client's. TLS begins behind the header. Whether the sender is believed is up to the core, which is
//! told of it before anything that the client says.

use super::buffers::Received;
use super::events::{Event, Wire};
use crate::ids::Slot;
use crate::proto::proxy_protocol::{Header, read_header};
use crate::tls::Offer;
use rustc_hash::FxHashMap;

/// What stands between a listener's connections and the first byte of a client.
#[derive(Clone, Default)]
pub struct Preface {
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

/// A header that has not all come, or a connection that began otherwise and is about to be closed.
enum Begun {
    Header(Vec<u8>),
    Malformed,
}

impl Proxied {
    /// A connection begins with a header.
    pub fn expect(&mut self, slot: Slot) {
        self.headers.insert(slot, Begun::Header(Vec::new()));
    }

    /// Whether bytes of `slot` are still of its header. Listeners without the protocol have no overhead but this.
    pub fn awaits(&self, slot: Slot) -> bool {
        !self.headers.is_empty() && self.headers.contains_key(&slot)
    }

    /// The connection is over.
    pub fn forget(&mut self, slot: Slot) {
        self.headers.remove(&slot);
    }
}

impl Wire {
    /// Takes `bytes` of a connection whose header is not whole. What is kept is bounded by the longest header.
    pub(super) fn read_proxy_header(&mut self, slot: Slot, bytes: Received) {
        let Some(Begun::Header(begun)) = self.proxied.headers.get_mut(&slot) else { return };
        begun.extend_from_slice(&bytes);
        drop(bytes);
        match read_header(begun) {
            Ok(Header::Partial) => {}
            Ok(Header::Complete { source, used }) => {
                let rest = begun.split_off(used);
                self.proxied.forget(slot);
                self.events.push_back(Event::Proxied { slot, source });
                if !rest.is_empty() {
                    self.heard(slot, Received::unsealed(rest));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a connection is closed");
                self.proxied.headers.insert(slot, Begun::Malformed);
                self.events.push_back(Event::Failed { slot });
            }
        }
    }
}
