//! Connections by listeners that expect the PROXY protocol: what they send is kept until its header is whole, and what
//! follows is the client's. TLS begins behind the header. Whether the sender is believed is up to the core, which is
//! told of it before anything that the client says.

use super::admission::{PortUse, Refused};
use super::buffers::Received;
use super::events::{Event, Wire};
use super::slots::flag;
use crate::ids::Slot;
use crate::proto::proxy_protocol::{Header, Source, read_header};
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
                if self.count_for(slot, source).is_err() {
                    self.reset(slot);
                    return self.ignore(slot);
                }
                self.proxied.forget(slot);
                self.events.push_back(Event::Proxied { slot, source });
                if !rest.is_empty() {
                    self.heard(slot, Received::unsealed(rest));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a connection is closed");
                self.ignore(slot);
            }
        }
    }

    /// Counts a connection for its client instead of its proxy. A proxy stands for clients that it does not name.
    fn count_for(&mut self, slot: Slot, source: Source) -> Result<(), Refused> {
        match source {
            Source::Client(client) => {
                let is_handshake = self.slots.has(slot, flag::INDIRECT);
                self.admission.rename(slot, client.ip(), is_handshake)
            }
            Source::Unknown | Source::Sender => Ok(()),
        }
    }

    /// Has the core close a connection; nothing more of it is read.
    fn ignore(&mut self, slot: Slot) {
        self.proxied.headers.insert(slot, Begun::Ignored);
        self.events.push_back(Event::Failed { slot });
    }
}
