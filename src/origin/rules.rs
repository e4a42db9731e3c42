//! What decides about the headers of a request to an origin, besides the headers that came. The proxy task makes one
//! for each request; `request_headers` and its parts, `reserved` and `forwarding`, ask it.

use super::route::Route;
use crate::config::Proxy;
use http::header::HeaderValue;
use std::net::IpAddr;

/// What decides about a request's headers, besides the headers.
pub struct Rules<'a> {
    /// The route that was matched.
    pub route: &'a Route,
    /// The forwarding settings.
    pub proxy: &'a Proxy,
    /// The client came by TLS, or a proxy we trust says so: `https` or `wss`.
    pub secure_scheme: Option<&'static str>,
    /// The client is another GRIP proxy: what it says of GRIP passes, and nothing of it is said here.
    pub is_trusted: bool,
    /// The client's address, if it has one.
    pub peer: Option<IpAddr>,
    /// Whether whoever has connected is a proxy that is believed; `None` has Pushpin's rules.
    pub believes_peer: Option<bool>,
    /// The signature; `None` when there is no key. Not sent on `no_grip` routes.
    pub grip_sig: Option<HeaderValue>,
    /// What `Grip-Feature` tells origins. Not sent on `no_grip` routes.
    pub grip_feature: &'static str,
}

#[cfg(test)]
impl<'a> Rules<'a> {
    /// For a request of a client without an address, without a signature.
    pub(super) fn plain(route: &'a Route, proxy: &'a Proxy) -> Rules<'a> {
        let (secure_scheme, is_trusted, peer, believes_peer, grip_sig) = (None, false, None, None, None);
        Rules { route, proxy, secure_scheme, is_trusted, peer, believes_peer, grip_sig, grip_feature: "" }
    }
}
