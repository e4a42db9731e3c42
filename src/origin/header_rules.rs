//! What the fields of a request become on its way to an application, and those of an answer on its way back. End-to-
//! end fields pass as they are, but for GRIP's own and the forwarding ones that the settings speak of. hyper writes
//! the names in title case whatever the client wrote; names are not case-sensitive (RFC 9110 section 5.1).

use super::route::Route;
use crate::config::{ForwardedProtocol, Proxy};
use crate::proto::grip::GRIP_FEATURE;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::net::IpAddr;

/// What the rules depend on.
pub struct HeaderRules<'a> {
    /// The request's route.
    pub route: &'a Route,
    /// The settings.
    pub settings: &'a Proxy,
    /// The client's address.
    pub peer: IpAddr,
    /// The client came over TLS.
    pub tls: bool,
    /// The Grip-Sig to be sent.
    pub signature: Option<HeaderValue>,
}

/// The fields for the application; Host, which is set for each target, stands first.
pub fn request_headers(client: &HeaderMap, rules: &HeaderRules<'_>) -> HeaderMap {
    let named = named_in_connection(client);
    let mut headers = HeaderMap::with_capacity(client.len() + 4);
    headers.insert(header::HOST, HeaderValue::from_static(""));
    for (name, value) in client {
        if !is_dropped(name, rules) && !named.contains(name) {
            headers.append(name, value.clone());
        }
    }
    for (name, value) in &rules.route.headers {
        headers.remove(name);
        if !value.is_empty() {
            headers.append(name, value.clone());
        }
    }
    if !rules.route.no_grip {
        if let Some(signature) = &rules.signature {
            headers.insert("grip-sig", signature.clone());
        }
        headers.insert("grip-feature", HeaderValue::from_static(GRIP_FEATURE));
    }
    forward_protocol(&mut headers, rules);
    forward_address(&mut headers, rules);
    headers
}

/// The end-to-end fields of an answer.
pub(super) fn response_headers(mut headers: HeaderMap) -> HeaderMap {
    for name in named_in_connection(&headers) {
        headers.remove(name);
    }
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::TRAILER, KEEP_ALIVE, PROXY_CONNECTION]
    {
        headers.remove(name);
    }
    headers
}

fn is_dropped(name: &HeaderName, rules: &HeaderRules<'_>) -> bool {
    let hop_by_hop = [
        header::HOST,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::EXPECT,
        KEEP_ALIVE,
        PROXY_CONNECTION,
    ];
    let name_text = name.as_str();
    hop_by_hop.contains(name)
        // To what an application holds, more will be appended in the clear.
        || (name == header::ACCEPT_ENCODING && !rules.route.no_grip)
        || name_text.starts_with("grip-")
        || name_text.starts_with("eb9bf0f5-")
}

/// RFC 9110 section 7.6.1: what Connection names goes no further.
fn named_in_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).filter_map(|token| token.trim().parse().ok());
    // A length is no connection option: without it the rest of the message could be read as another one.
    names.filter(|name| *name != header::CONTENT_LENGTH && *name != header::HOST).collect()
}

fn forward_protocol(headers: &mut HeaderMap, rules: &HeaderRules<'_>) {
    let set = rules.settings.set_x_forwarded_protocol;
    if rules.settings.accept_x_forwarded_protocol || set != ForwardedProtocol::Off {
        headers.remove(FORWARDED_PROTO);
        headers.remove(FORWARDED_PROTOCOL);
    }
    if rules.tls && set != ForwardedProtocol::Off {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    }
    if rules.tls && set == ForwardedProtocol::Both {
        headers.insert(FORWARDED_PROTOCOL, HeaderValue::from_static("https"));
    }
}

fn forward_address(headers: &mut HeaderMap, rules: &HeaderRules<'_>) {
    let settings = rules.settings;
    let given = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let mut addresses: Vec<String> =
        given.flat_map(|value| value.split(',')).map(|one| one.trim().to_owned()).collect();
    if let Some(kept) = settings.x_forwarded_for_truncate {
        addresses.drain(..addresses.len().saturating_sub(kept));
    }
    if settings.x_forwarded_for_append {
        addresses.push(rules.peer.to_string());
    }
    headers.remove(FORWARDED_FOR);
    if let Ok(value) = HeaderValue::from_str(&addresses.join(", ")) {
        if !addresses.is_empty() {
            headers.insert(FORWARDED_FOR, value);
        }
    }
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PROTOCOL: HeaderName = HeaderName::from_static("x-forwarded-protocol");
