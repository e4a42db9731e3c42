//! The facts, besides a request's own headers, that decide which headers reach an origin. The proxy task makes one
//! for each request; `request_headers`, `reserved` and `forwarding` use it.

use super::route::Route;
use crate::config::Proxy;
use http::header::HeaderValue;
use std::net::IpAddr;

/// The facts that decide about a request's headers, besides the headers.
pub struct Rules<'a> {
    /// The route that was matched.
    pub route: &'a Route,
    /// The forwarding settings.
    pub proxy: &'a Proxy,
    /// `https` or `wss` if the client came by TLS, or if a trusted proxy says so.
    pub secure_scheme: Option<&'static str>,
    /// The client is another GRIP proxy: its GRIP headers pass, and this server adds none.
    pub is_trusted: bool,
    /// The client's address, if it has one.
    pub peer: Option<IpAddr>,
    /// Whether the peer of the connection is a trusted proxy; `None` means Pushpin's rules.
    pub believes_peer: Option<bool>,
    /// The signature; `None` without a key. Not sent on `no_grip` routes.
    pub grip_sig: Option<HeaderValue>,
    /// The value of `Grip-Feature`. Not sent on `no_grip` routes.
    pub grip_feature: &'static str,
}

#[cfg(test)]
impl<'a> Rules<'a> {
    /// The rules for a request without a signature, of a client without an address.
    pub(super) fn plain(route: &'a Route, proxy: &'a Proxy) -> Rules<'a> {
        let (secure_scheme, is_trusted, peer, believes_peer, grip_sig) = (None, false, None, None, None);
        Rules { route, proxy, secure_scheme, is_trusted, peer, believes_peer, grip_sig, grip_feature: "" }
    }
}
