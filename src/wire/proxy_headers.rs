//! Connections of listeners that expect the PROXY protocol. Their bytes are kept until the header is complete; the
//! bytes behind it are the client's. TLS begins behind the header. The core decides whether the proxy is trusted; it
//! is told of the proxy before it sees any byte of the client.

use super::admission::Refused;
use super::buffers::Received;
use super::events::{Wire, WireEvent};
use super::slots::flag;
use crate::ids::Slot;
use crate::proto::proxy_protocol::{Header, Source, read_header};

impl Wire {
    /// Handles `bytes` of a connection whose header is incomplete. The length of a header limits the bytes that are
    /// kept.
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
                tracing::debug!(%error, "a connection is closed because its PROXY protocol header is invalid");
                self.ignore(slot);
            }
        }
    }

    /// Counts a connection for the client that its proxy names. If the proxy names none, it stays counted for the
    /// proxy.
    fn count_for(&mut self, slot: Slot, source: Source) -> Result<(), Refused> {
        match source {
            Source::Client(client) => {
                let is_handshake = self.slots.has(slot, flag::INDIRECT);
                self.admission.rename(slot, client.ip(), is_handshake)
            }
            Source::Unknown | Source::Sender => Ok(()),
        }
    }

    /// Has the core close a connection, and ignores further bytes of it.
    fn ignore(&mut self, slot: Slot) {
        self.proxied.ignore(slot);
        self.events.push_back(WireEvent::Failed { slot });
    }
}
