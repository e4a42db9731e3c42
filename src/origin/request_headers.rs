//! Decides which headers of a client's request reach the origin, and adds the headers of this server. The proxy task
//! calls this once for each request; the pool then sets `Host` and the framing headers, which depend on the target
//! and the body. Headers that only this server may set, and headers that tell the client's scheme, never reach an
//! origin unless Gripwire itself vouches for them; `reserved` names them.

use super::forwarding::set_forwarding;
use super::reserved::{ORIGINAL_MARK, Reserved, is_marked};
use super::rules::Rules;
use crate::proto::http1::Headers;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The headers to send to the origin, `Host` first.
///
/// The `Accept-Encoding` of clients is dropped on GRIP routes, and applications are asked for `identity`: an item
/// that is published later could not be appended to a compressed answer.
pub fn request_headers(client: &Headers, rules: Rules<'_>) -> Headers {
    let grip = !rules.route.no_grip && !rules.is_trusted;
    let mut headers = Headers::from(forwarded(client, &rules));
    headers.spell_as(client);
    if grip {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    for (name, value) in &rules.route.headers {
        headers.remove(name);
        if !value.is_empty() {
            headers.insert(name, value.clone());
        }
    }
    if rules.route.orig_headers && !rules.is_trusted {
        mark_originals(&mut headers, &rules.proxy.orig_headers_need_mark);
    }
    if grip {
        if let Some(signature) = &rules.grip_sig {
            headers.insert(GRIP_SIG, signature.clone());
        }
        headers.insert(GRIP_FEATURE, HeaderValue::from_static(rules.grip_feature));
    }
    if let Some(name) = &rules.proxy.cdn_loop {
        append_to_list(&mut headers, CDN_LOOP, name);
    }
    set_forwarding(&mut headers, &rules);
    headers
}

/// The client's headers without those that must not pass.
fn forwarded(client: &HeaderMap, rules: &Rules<'_>) -> HeaderMap {
    let reserved = Reserved::of(client, rules);
    let mut headers = HeaderMap::with_capacity(client.len() + 4);
    if let Some(host) = client.get(header::HOST) {
        headers.insert(header::HOST, host.clone());
    }
    for (name, value) in client {
        let encoding = *name == header::ACCEPT_ENCODING && !rules.route.no_grip && !rules.is_trusted;
        let route = *name == PUSHPIN_ROUTE && rules.proxy.accept_pushpin_route;
        if !encoding && !route && !reserved.has(name) {
            headers.append(name, value.clone());
        }
    }
    headers
}

/// Adds a copy of every header, named with Pushpin's mark of an original. A header that came with the mark is the
/// original and stays. Headers in `need_mark` are sent only with the mark.
fn mark_originals(headers: &mut HeaderMap, need_mark: &[HeaderName]) {
    let marked: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !is_marked(name) && !need_mark.contains(name))
        .filter_map(|(name, value)| {
            let name = HeaderName::try_from(format!("{ORIGINAL_MARK}{name}")).ok()?;
            Some((name, value.clone()))
        })
        .collect();
    for (name, value) in marked {
        headers.append(name, value);
    }
}

/// Adds `item` to a list header, and joins a list that was in several headers to one.
fn append_to_list(headers: &mut HeaderMap, name: HeaderName, item: &HeaderValue) {
    let mut items: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
    items.push(item.as_bytes());
    if let Ok(list) = HeaderValue::from_bytes(&items.join(&b", "[..])) {
        headers.insert(name, list);
    }
}

const GRIP_SIG: HeaderName = HeaderName::from_static("grip-sig");
const GRIP_FEATURE: HeaderName = HeaderName::from_static("grip-feature");
const PUSHPIN_ROUTE: HeaderName = HeaderName::from_static("pushpin-route");
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::origin::fake_origin::route_to;
    use crate::origin::route::Route;

    type Lines = &'static [(&'static str, &'static str)];

    fn map(lines: &[(&'static str, &'static str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn sent(client: Lines, change: impl FnOnce(&mut Route)) -> Vec<(String, String)> {
        let (mut route, proxy) = (route_to(&[]), Config::default().proxy);
        change(&mut route);
        let rules = Rules {
            grip_sig: Some(HeaderValue::from_static("jwt")),
            grip_feature: "status",
            ..Rules::plain(&route, &proxy)
        };
        let headers = request_headers(&map(client), rules);
        headers.iter().map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into())).collect()
    }

    fn owned(lines: Lines) -> Vec<(String, String)> {
        lines.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect()
    }

    #[test]
    fn what_must_not_pass_is_dropped_and_the_rest_is_untouched() {
        let client: Lines = &[
            ("accept", "*/*"),
            ("host", "a.example"),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("upgrade", "h2c"),
            ("proxy", "http://evil"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eA=="),
            ("accept-encoding", "gzip"),
            ("content-encoding", "gzip"),
            ("grip-sig", "forged"),
            ("grip-last", "c; last-id=1"),
            ("eb9bf0f5-x", "1"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
        ];
        let kept: Lines = &[
            ("host", "a.example"),
            ("accept", "*/*"),
            ("content-encoding", "gzip"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("accept-encoding", "identity"),
            ("grip-sig", "jwt"),
            ("grip-feature", "status"),
        ];
        assert_eq!(sent(client, |_| ()), owned(kept));
    }

    #[test]
    fn a_pass_through_route_signs_nothing_and_lets_origins_compress() {
        let client: Lines = &[("accept-encoding", "gzip"), ("grip-sig", "forged")];
        assert_eq!(sent(client, |route| route.no_grip = true), owned(&[("accept-encoding", "gzip")]));
    }

    #[test]
    fn a_routes_own_headers_win_and_an_empty_one_only_removes() {
        let client: Lines = &[("x-a", "client"), ("x-b", "client")];
        let change = |route: &mut Route| {
            route.no_grip = true;
            route.headers = vec![
                (HeaderName::from_static("x-a"), HeaderValue::from_static("ours")),
                (HeaderName::from_static("x-b"), HeaderValue::from_static("")),
            ];
        };
        assert_eq!(sent(client, change), owned(&[("x-a", "ours")]));
    }
}
