//! How a connection begins: accepted, or refused because of who speaks for it, who has made it, or because memory is
//! short.

use super::{Clients, Port, Service};
use crate::ids::Slot;
use crate::proto::proxy_protocol::Source;
use crate::wire::Credentials;
use std::net::SocketAddr;
use std::rc::Rc;

impl Clients {
    /// A client has connected by TCP. `is_proxied` says that a proxy speaks first.
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

    /// Whether the proxy at `peer` may say whose connections it relays.
    fn believes(&self, peer: SocketAddr) -> bool {
        let settings = self.context.settings();
        settings.http.trusted_proxies.as_ref().is_some_and(|trusted| trusted.trusts(Some(peer.ip())))
    }

    /// Anybody could say to be anybody.
    fn refuse_proxy(&self, slot: Slot, peer: SocketAddr) {
        tracing::debug!(%peer, "a connection is closed: its proxy is not one of http.trusted_proxies");
        self.context.metrics.untrusted_proxies_total.add(1);
        self.wire.borrow_mut().close(slot);
        self.context.wake();
    }

    /// There is no memory for one more client.
    fn refuse_for_memory(&self, slot: Slot) {
        self.context.metrics.memory_refused_total.add(1);
        self.wire.borrow_mut().close(slot);
        self.context.wake();
    }

    /// A proxy has said whose connection this is. A client whose address it does not say has none: that of the proxy,
    /// which is believed, must not stand for it.
    pub fn proxied(&self, slot: Slot, source: Source) {
        if let Some(row) = self.rows.borrow_mut().get(slot) {
            match source {
                Source::Client(client) => row.set_peer(Some(client)),
                Source::Unknown => row.set_peer(None),
                Source::Sender => {}
            }
        }
    }

    /// A client has connected by a Unix socket. Whoever may not publish is told so before saying anything.
    pub fn accepted_local(self: &Rc<Self>, slot: Slot, listener: usize, peer: Credentials) {
        let service = self.listeners.local.get(listener).copied().unwrap_or(Service::LocalControl);
        if service.is_for_clients() && self.context.accounts.is_full() {
            return self.refuse_for_memory(slot);
        }
        self.opened(slot, service, None);
        if service == Service::LocalControl && !self.context.permits().allow(peer) {
            tracing::debug!(user = peer.user, "a user who may not publish was refused");
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
