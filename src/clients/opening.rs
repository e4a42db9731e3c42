//! Accepts connections, or refuses them: because of a proxy that is not trusted, because of the user who connects, or
//! because memory is short.

use super::{Clients, Port, Service};
use crate::ids::Slot;
use crate::proto::proxy_protocol::Source;
use crate::wire::Credentials;
use std::net::SocketAddr;
use std::rc::Rc;

impl Clients {
    /// A client has connected by TCP. `is_proxied` says that its connection began with the PROXY protocol.
    pub fn accepted(self: &Rc<Self>, slot: Slot, listener: usize, peer: SocketAddr, is_proxied: bool) {
        match is_proxied && !self.believes(peer) {
            true => self.refuse_proxy(slot, peer),
            false => self.admit(slot, listener, peer),
        }
    }

    fn admit(self: &Rc<Self>, slot: Slot, listener: usize, peer: SocketAddr) {
        let service = self.listeners.tcp.get(listener).copied().unwrap_or(Service::Clients(Port::Plain));
        if service.is_for_clients() && self.context.accounts.is_full() {
            return self.refuse_for_memory(slot);
        }
        self.opened(slot, service, Some(peer));
    }

    /// Whether `peer` is a trusted proxy, which may say whose connections it relays.
    fn believes(&self, peer: SocketAddr) -> bool {
        let settings = self.context.settings();
        settings.http.trusted_proxies.as_ref().is_some_and(|trusted| trusted.trusts(Some(peer.ip())))
    }

    /// Refuses a connection whose proxy is not trusted: with the PROXY protocol anybody could claim any address.
    fn refuse_proxy(&self, slot: Slot, peer: SocketAddr) {
        tracing::debug!(%peer, "a connection was closed: its proxy is not in http.trusted_proxies");
        self.context.metrics.untrusted_proxies_total.add(1);
        self.wire.borrow_mut().close(slot);
        self.context.wake();
    }

    /// Refuses a connection because memory is short.
    fn refuse_for_memory(&self, slot: Slot) {
        self.context.metrics.memory_refused_total.add(1);
        self.wire.borrow_mut().close(slot);
        self.context.wake();
    }

    /// A trusted proxy has said whose connection this is. If it does not say the client's address, the client has no
    /// address: the proxy's own address is trusted and must not stand for the client's.
    pub fn proxied(&self, slot: Slot, source: Source) {
        if let Some(row) = self.rows.borrow_mut().get(slot) {
            match source {
                Source::Client(client) => row.set_peer(Some(client)),
                Source::Unknown => row.set_peer(None),
                Source::Sender => {}
            }
        }
    }

    /// A client has connected by a Unix socket. A user without permission to publish is told so before sending
    /// anything.
    pub fn accepted_local(self: &Rc<Self>, slot: Slot, listener: usize, peer: Credentials) {
        let service = self.listeners.local.get(listener).copied().unwrap_or(Service::LocalControl);
        if service.is_for_clients() && self.context.accounts.is_full() {
            return self.refuse_for_memory(slot);
        }
        self.opened(slot, service, None);
        if service == Service::LocalControl && !self.context.permits().allow(peer) {
            tracing::debug!(
                user = peer.user,
                "a connection to the control port was refused: its user may not publish"
            );
            let message = format!("User {} may not publish here.\n", peer.user);
            self.close_with_error(slot, 403, &message);
        }
    }

    fn opened(&self, slot: Slot, service: Service, peer: Option<SocketAddr>) {
        self.rows.borrow_mut().open(slot, service, peer);
        self.set_timer(slot, self.context.settings().http.head_timeout_ms);
        self.context.metrics.connections_total.add(1);
    }
}
