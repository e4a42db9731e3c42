//! Finds out which client sent a request, and whether by TLS: from the connection itself, and from the headers of
//! trusted proxies.

use crate::clients::{Port, Request, Service};
use crate::config::Config;
use crate::proto::client_network::ClientNetwork;
use http::HeaderValue;
use std::net::IpAddr;

/// Whether the client's request came by TLS: to this server, or to a trusted proxy that says so.
pub fn is_https(settings: &Config, request: &Request) -> bool {
    request.service == Service::Clients(Port::Tls)
        || accepts_forwarded_protocol(settings, request) && forwarded_as_tls(request)
}

fn accepts_forwarded_protocol(settings: &Config, request: &Request) -> bool {
    let said = settings.proxy.accept_x_forwarded_protocol;
    said.unwrap_or_else(|| believes_peer(settings, request) == Some(true))
}

/// Whether the peer of the connection is a trusted proxy. `None` if the settings name no trusted proxies, as those of a
/// pushpin.conf.
pub fn believes_peer(settings: &Config, request: &Request) -> Option<bool> {
    let trusted = settings.http.trusted_proxies.as_ref()?;
    // A peer without an address came by a Unix socket, or by a proxy that does not say where the client is.
    let is_known = request.peer.is_some() || request.service == Service::Clients(Port::Unix);
    Some(is_known && trusted.trusts(request.peer.map(|peer| peer.ip())))
}

/// The address of the client that sent the request, according to trusted proxies; `None` if it has none.
pub fn client_address(settings: &Config, request: &Request) -> Option<IpAddr> {
    let peer = request.peer.map(|peer| peer.ip());
    if believes_peer(settings, request) != Some(true) {
        return peer;
    }
    let forwarded_for = request.headers.get_all("x-forwarded-for").into_iter();
    settings.http.trusted_proxies.as_ref()?.client_address(peer, forwarded_for.map(HeaderValue::as_bytes))
}

/// The network to which `request` counts when requests are shared fairly among clients.
pub fn client_network(settings: &Config, request: &Request) -> ClientNetwork {
    ClientNetwork::of(client_address(settings, request))
}

fn forwarded_as_tls(request: &Request) -> bool {
    let of = |name| request.headers.get(name).map(HeaderValue::as_bytes);
    [of("x-forwarded-proto"), of("x-forwarded-protocol")]
        .into_iter()
        .flatten()
        .any(|value| value == b"https" || value == b"wss")
}
