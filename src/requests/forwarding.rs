//! Who has sent a request, and how: what a connection itself says, and what proxies that are believed say of it.

use crate::clients::{Port, Request, Service};
use crate::config::Config;
use crate::proto::client_network::ClientNetwork;
use http::HeaderValue;
use std::net::IpAddr;

/// Whether the client's request came by TLS, or by a proxy that is believed to have got it so.
pub fn is_https(settings: &Config, request: &Request) -> bool {
    request.service == Service::Clients(Port::Tls)
        || accepts_forwarded_protocol(settings, request) && forwarded_as_tls(request)
}

fn accepts_forwarded_protocol(settings: &Config, request: &Request) -> bool {
    let said = settings.proxy.accept_x_forwarded_protocol;
    said.unwrap_or_else(|| believes_peer(settings, request) == Some(true))
}

/// Whether whoever has connected is a proxy whose word about its clients is believed. `None`: the settings, of a
/// pushpin.conf, know of no such proxies.
pub fn believes_peer(settings: &Config, request: &Request) -> Option<bool> {
    let trusted = settings.http.trusted_proxies.as_ref()?;
    // Who has no address came by a Unix socket, or by a proxy that does not say from where.
    let is_known = request.peer.is_some() || request.service == Service::Clients(Port::Unix);
    Some(is_known && trusted.trusts(request.peer.map(|peer| peer.ip())))
}

/// The address of the client that the request comes from, by way of the proxies that are believed; `None` if it has
/// none.
pub fn client_address(settings: &Config, request: &Request) -> Option<IpAddr> {
    let peer = request.peer.map(|peer| peer.ip());
    if believes_peer(settings, request) != Some(true) {
        return peer;
    }
    let forwarded_for = request.headers.get_all("x-forwarded-for").into_iter();
    settings.http.trusted_proxies.as_ref()?.client_address(peer, forwarded_for.map(HeaderValue::as_bytes))
}

/// The client among whose requests `request` counts.
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
