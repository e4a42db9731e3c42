//! Connections by listeners that expect the PROXY protocol: what they send is kept until its header is whole, and what
//! follows is the client's. TLS begins behind the header. Whether the sender is believed is up to the core, which is
//! told of it before anything that the client says.

use super::admission::Refused;
use super::buffers::Received;
use super::events::{Wire, WireEvent};
use super::slots::flag;
use crate::ids::Slot;
use crate::proto::proxy_protocol::{Header, Source, read_header};

impl Wire {
    /// Takes `bytes` of a connection whose header is not whole. What is kept is bounded by the longest header.
    pub(super) fn read_proxy_header(&mut self, slot: Slot, bytes: Received) {
        let Some(begun) = self.proxied.header(slot) else { return };
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
                self.events.push_back(WireEvent::Proxied { slot, source });
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
        self.proxied.ignore(slot);
        self.events.push_back(WireEvent::Failed { slot });
    }
}
