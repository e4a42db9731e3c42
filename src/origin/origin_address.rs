//! The address of an origin, called place for short: where a connection leads, and the identity that TLS verifies.
//! `idle` keeps connections by place, requests queue for a place (`openings`), and errors name the place to the
//! operator.

use super::route::{ClientCertificate, Target};
use std::sync::Arc;

/// Where a connection leads, and the verified identity of the other side. Two requests may share a connection exactly
/// when their places are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OriginAddress {
    pub host: String,
    pub port: u16,
    pub tls: Option<Identity>,
    /// The place must have an address on the public Internet.
    pub untrusted: bool,
    /// The place must not be one of this server's own ports for operators and publishers.
    pub named_by_application: bool,
}

/// The identity that the other side of TLS must prove.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    /// The name that is sent (SNI) and verified.
    pub name: String,
    /// The other side's certificate is not verified.
    pub insecure: bool,
    /// The certificate that this server shows.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl OriginAddress {
    /// The place of `target`, for a request whose URI names `uri_host`.
    pub fn of(host: &str, port: u16, target: &Target, uri_host: &str) -> Self {
        let name = if target.trust_connect_host { host } else { without_port(uri_host) };
        let tls = target.ssl.then(|| Identity {
            name: name.to_owned(),
            insecure: target.insecure,
            certificate: target.client_certificate.clone(),
        });
        let Target { untrusted, named_by_application, .. } = *target;
        OriginAddress { host: host.to_owned(), port, tls, untrusted, named_by_application }
    }

    /// The place in the form that an operator writes.
    pub fn name(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// The host of `host[:port]`, without the brackets of an IPv6 address.
pub(super) fn without_port(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.split(':').next().unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::fake_origin::target_at;

    #[test]
    fn the_verified_name_is_the_uris_host_unless_the_route_says_otherwise() {
        let cases = [
            (false, false, "a.example:8080", None),
            (true, false, "a.example:8080", Some("a.example")),
            (true, false, "[2001:db8::1]:443", Some("2001:db8::1")),
            (true, true, "a.example", Some("10.0.0.1")),
        ];
        for (ssl, trust_connect_host, uri_host, name) in cases {
            let mut target = target_at("10.0.0.1", 443);
            (target.ssl, target.trust_connect_host) = (ssl, trust_connect_host);
            let place = OriginAddress::of("10.0.0.1", 443, &target, uri_host);
            assert_eq!(place.tls.as_ref().map(|identity| identity.name.as_str()), name, "{uri_host}");
        }
    }

    #[test]
    fn a_place_is_named_as_in_the_routes_file() {
        for (host, named) in [("app", "app:80"), ("::1", "[::1]:80")] {
            assert_eq!(OriginAddress::of(host, 80, &target_at(host, 80), "").name(), named);
        }
    }
}
