//! Fields that a client may not send to an origin, because an origin would believe that this server sent them. The
//! header rules check each field of a request here. Three kinds are reserved: fields that this server sets or answers
//! itself, fields that only a GRIP proxy sends, and fields whose names CGI-like servers (CGI, WSGI, FastCGI, Rack)
//! cannot tell from a reserved name, because these servers turn every byte of a name that is no letter or digit into
//! `_`.

use super::forwarding::is_forwarding;
use super::rules::Rules;
use crate::proto::http1::HopByHop;
use http::header::{self, HeaderMap, HeaderName};

/// Decides about the fields of one request.
pub(super) struct Reserved<'a> {
    rules: &'a Rules<'a>,
    hop_by_hop: HopByHop,
}

impl<'a> Reserved<'a> {
    /// Decides for a request with the fields `client`.
    pub fn of(client: &HeaderMap, rules: &'a Rules<'a>) -> Reserved<'a> {
        Reserved { rules, hop_by_hop: HopByHop::of(client) }
    }

    /// Whether a field of this name must not reach the origin.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.is_reserved(name, self.rules.is_trusted) || self.imitates(name)
    }

    /// Whether the exact name is reserved; `is_trusted` if another GRIP proxy sent the field.
    fn is_reserved(&self, name: &HeaderName, is_trusted: bool) -> bool {
        self.hop_by_hop.stays(name)
            || OURS.contains(name)
            || (!is_trusted && (self.is_of_grip(name) || self.is_mark(name)))
    }

    /// Whether only a GRIP proxy sends this field, so that any other client forges it. On routes without GRIP only
    /// Gripwire's own prefix is reserved.
    fn is_of_grip(&self, name: &HeaderName) -> bool {
        let of_proxies = || !self.rules.route.no_grip && is_of_grip_proxies(name);
        name.as_str().starts_with(GRIP) || of_proxies()
    }

    /// Where a route marks headers itself, a marked header of the client is taken for the original, as in Pushpin.
    fn is_mark(&self, name: &HeaderName) -> bool {
        is_marked(name) && !self.rules.route.orig_headers
    }

    /// Whether a CGI-like server takes this name for the name of a reserved field, of a field that describes the body
    /// or tells how the request came, or of a field that the route sets. Another GRIP proxy may have let such a field
    /// of its own client through, so the field is not accepted from GRIP proxies either.
    fn imitates(&self, name: &HeaderName) -> bool {
        if name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return false;
        }
        let letters =
            name.as_str().bytes().map(|byte| if byte.is_ascii_alphanumeric() { byte } else { b'-' });
        let Ok(meant) = HeaderName::from_bytes(&letters.collect::<Vec<u8>>()) else { return true };
        self.is_reserved(&meant, false)
            || IMITATED.contains(&meant)
            || is_forwarding(&meant)
            || self.rules.route.headers.iter().any(|(of_route, _)| *of_route == meant)
    }
}

/// Whether only proxies send this field, because it is part of GRIP or tells how a request came.
pub fn is_of_proxies(name: &HeaderName) -> bool {
    name.as_str().starts_with(GRIP) || is_of_grip_proxies(name) || is_forwarding(name)
}

fn is_of_grip_proxies(name: &HeaderName) -> bool {
    let name = name.as_str();
    PROXY_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || PROXY_NAMES.contains(&name)
}

/// Whether the name has Pushpin's mark of headers that are sent twice.
pub(super) fn is_marked(name: &HeaderName) -> bool {
    name.as_str().starts_with(ORIGINAL_MARK)
}

pub(super) const ORIGINAL_MARK: &str = "eb9bf0f5-";

/// The pool sets framing and `Host`, this server answers `Expect`, proxy credentials are for this server, and CGI
/// programs take `Proxy` for HTTP_PROXY.
static OURS: [HeaderName; 7] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy"),
    HeaderName::from_static("http2-settings"),
];

const GRIP: &str = "grip-";
/// Prefixes of WebSocket-over-HTTP and of filters, beside `Grip-`.
const PROXY_PREFIXES: [&str; 4] = ["meta-", "sub-meta", "pub-meta", "content-bytes-"];
const PROXY_NAMES: [&str; 2] = ["connection-id", "keep-alive-interval"];

/// These fields pass under their own names, but not under names that a CGI-like server takes for them.
static IMITATED: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::SEC_WEBSOCKET_EXTENSIONS,
    HeaderName::from_static("cdn-loop"),
    HeaderName::from_static("pushpin-route"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::origin::fake_origin::route_to;
    use crate::origin::route::Route;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn is_reserved(name: &str, change: impl FnOnce(&mut Route), is_trusted: bool) -> bool {
        let (mut route, proxy) = (route_to(&[]), Config::default().proxy);
        change(&mut route);
        let rules = Rules { is_trusted, ..Rules::plain(&route, &proxy) };
        let mut client = HeaderMap::new();
        client.insert(header::CONNECTION, HeaderValue::from_static("x-hop"));
        Reserved::of(&client, &rules).has(&HeaderName::from_bytes(name.as_bytes()).unwrap())
    }

    #[test]
    fn what_only_a_grip_proxy_says_is_reserved_on_routes_with_grip() {
        let of_proxies = [
            "connection-id",
            "meta-user",
            "sub-meta",
            "sub-meta-a",
            "pub-meta",
            "content-bytes-accepted",
            "content-bytes-replayed",
            "keep-alive-interval",
        ];
        for name in of_proxies {
            assert!(is_reserved(name, |_| (), false), "{name}");
            assert!(!is_reserved(name, |_| (), true), "{name} of a trusted proxy");
            assert!(!is_reserved(name, |route| route.no_grip = true, false), "{name} without GRIP");
        }
        for name in ["grip-sig", "grip-anything"] {
            assert!(is_reserved(name, |route| route.no_grip = true, false), "{name}");
            assert!(!is_reserved(name, |_| (), true), "{name}");
        }
    }

    #[test]
    fn names_that_cgi_cannot_tell_from_reserved_ones_are_reserved() {
        let twins = [
            "content_length",
            "transfer_encoding",
            "content_type",
            "x_forwarded_for",
            "x-forwarded_proto",
            "x_real_ip",
            "grip_sig",
            "connection_id",
            "meta_user",
            "x_hop",
            "http2.settings",
            "grip.sig",
            "content!length",
            "keep_alive",
            "sec_websocket_extensions",
            "x_set",
        ];
        let set = |route: &mut Route| {
            route.headers = vec![(HeaderName::from_static("x-set"), HeaderValue::from_static("1"))];
        };
        for name in twins {
            assert!(is_reserved(name, set, false), "{name}");
            assert!(is_reserved(name, set, true), "{name} of a trusted proxy");
        }
        for name in ["x_own", "x-unusual.name", "content_language", "meta", "forwarder", "_"] {
            assert!(!is_reserved(name, set, false), "{name}");
        }
        assert!(!is_reserved("meta_user", |route| route.no_grip = true, false));
        assert!(is_reserved("content_length", |route| route.no_grip = true, false));
    }

    proptest! {
        #[test]
        fn a_reserved_name_stays_reserved_however_its_dashes_are_spelled(
            name in prop::sample::select(vec!["content-length", "transfer-encoding", "grip-sig", "meta-a-b", "x-forwarded-for"]),
            dashes in prop::collection::vec(prop::sample::select(vec!["_", ".", "!", "~", "+"]), 3),
        ) {
            let mut dashes = dashes.into_iter();
            let spelled: String = name.split('-').zip(std::iter::once("").chain(&mut dashes)).fold(
                String::new(), |name, (part, dash)| format!("{name}{dash}{part}"));
            prop_assert!(is_reserved(&spelled, |_| (), false), "{}", spelled);
        }
    }
}
