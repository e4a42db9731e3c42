//! Tells an origin how a request came: the client's address in X-Forwarded-For, the client's scheme in
//! X-Forwarded-Proto, and similar fields of proxies. Such fields of a request are kept if they come from a trusted
//! proxy (`http.trusted_proxies`, or another GRIP proxy), and removed otherwise; a setting for each field may decide
//! otherwise. A pushpin.conf without trusted proxies has Pushpin's rules: fields pass unchanged, and none is added
//! unless a setting says so.

use super::rules::Rules;
use crate::config::{ForwardedFor, ForwardedProtocol};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::net::IpAddr;

/// Whether a field tells how a request came: from which client, for which host, by which scheme.
pub(super) fn is_forwarding(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-forwarded-") || FORWARDING.contains(name)
}

/// Sets these fields in `headers`, which are the client's own.
pub(super) fn set_forwarding(headers: &mut HeaderMap, rules: &Rules<'_>) {
    set_protocol(headers, rules);
    let said = match rules.is_trusted {
        true => rules.proxy.x_forwarded_for_trusted,
        false => rules.proxy.x_forwarded_for,
    };
    match (said, rules.keeps_forwarding()) {
        (Some(said), _) => set_forwarded_for(headers, said, rules.peer),
        (None, None) => {}
        (None, Some(keeps)) => {
            if !keeps {
                remove_all(headers);
            }
            set_forwarded_for(headers, ForwardedFor { truncate: None, append: true }, rules.peer);
        }
    }
}

impl Rules<'_> {
    /// Whether fields of the request are kept where their settings say nothing. `None` means Pushpin's rules: fields
    /// pass.
    fn keeps_forwarding(&self) -> Option<bool> {
        self.believes_peer.map(|believes| believes || self.is_trusted)
    }
}

/// Removes the fields of the request. The scheme has rules of its own.
fn remove_all(headers: &mut HeaderMap) {
    let is_here = |name: &&HeaderName| is_forwarding(name) && !PROTOCOL.contains(name);
    let names: Vec<HeaderName> = headers.keys().filter(is_here).cloned().collect();
    names.iter().for_each(|name| drop(headers.remove(name)));
}

fn set_protocol(headers: &mut HeaderMap, rules: &Rules<'_>) {
    let set = rules.proxy.set_x_forwarded_protocol;
    let keeps = match (rules.proxy.accept_x_forwarded_protocol, rules.keeps_forwarding()) {
        (Some(accepts), _) => !accepts,
        (None, keeps) => keeps.unwrap_or(true),
    };
    if !keeps || set != ForwardedProtocol::Off {
        PROTOCOL.iter().for_each(|name| drop(headers.remove(name)));
    }
    let Some(scheme) = rules.secure_scheme.map(HeaderValue::from_static) else { return };
    let [proto, protocol] = PROTOCOL;
    if set != ForwardedProtocol::Off {
        headers.insert(proto, scheme.clone());
    }
    if set == ForwardedProtocol::Both {
        headers.insert(protocol, scheme);
    }
}

/// Keeps the last addresses, appends the client's address if the client has one, and joins all to one header. Headers
/// stay untouched unless a setting asks for a change.
fn set_forwarded_for(headers: &mut HeaderMap, rule: ForwardedFor, peer: Option<IpAddr>) {
    if rule == ForwardedFor::default() {
        return;
    }
    let mut hops: Vec<Vec<u8>> = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(|hop| hop.trim_ascii().to_vec())
        .filter(|hop| !hop.is_empty())
        .collect();
    let surplus = hops.len().saturating_sub(rule.truncate.unwrap_or(usize::MAX));
    hops.drain(..surplus);
    if rule.append {
        hops.extend(peer.map(|peer| peer.to_canonical().to_string().into_bytes()));
    }
    headers.remove(X_FORWARDED_FOR);
    if let Ok(value) = HeaderValue::from_bytes(&hops.join(&b", "[..]))
        && !hops.is_empty()
    {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTOCOL: [HeaderName; 2] =
    [HeaderName::from_static("x-forwarded-proto"), HeaderName::from_static("x-forwarded-protocol")];
static FORWARDING: [HeaderName; 2] = [header::FORWARDED, HeaderName::from_static("x-real-ip")];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Proxy};
    use crate::origin::fake_origin::route_to;

    type Lines = &'static [(&'static str, &'static str)];

    /// The X-Forwarded-For of an origin for a client at 192.0.2.9 that sent `client`.
    fn sent(
        client: Lines,
        https: bool,
        believes_peer: Option<bool>,
        change: impl FnOnce(&mut Proxy),
    ) -> Vec<(String, String)> {
        let (route, mut proxy) = (route_to(&[]), Config::default().proxy);
        change(&mut proxy);
        let rules = Rules {
            secure_scheme: https.then_some("https"),
            peer: Some(IpAddr::from([192, 0, 2, 9])),
            believes_peer,
            ..Rules::plain(&route, &proxy)
        };
        let mut headers = HeaderMap::new();
        for (name, value) in client {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        set_forwarding(&mut headers, &rules);
        headers.iter().map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into())).collect()
    }

    fn owned(lines: Lines) -> Vec<(String, String)> {
        lines.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect()
    }

    const FORGED: Lines = &[
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.test"),
        ("x-real-ip", "1.1.1.1"),
        ("forwarded", "for=1.1.1.1"),
        ("via", "1.1 a"),
    ];

    #[test]
    fn what_came_is_kept_only_from_proxies_that_are_believed() {
        let none: fn(&mut Proxy) = |proxy| proxy.set_x_forwarded_protocol = ForwardedProtocol::Off;
        assert_eq!(
            sent(FORGED, false, Some(false), none),
            owned(&[("via", "1.1 a"), ("x-forwarded-for", "192.0.2.9")])
        );
        let mut kept = owned(FORGED);
        kept[0].1 = "1.1.1.1, 192.0.2.9".to_owned();
        let mut believed = sent(FORGED, false, Some(true), none);
        kept.sort();
        believed.sort();
        assert_eq!(believed, kept);
        assert_eq!(sent(FORGED, false, None, none), owned(FORGED), "Pushpin's rules");
    }

    #[test]
    fn what_the_settings_say_of_a_field_wins() {
        let as_today: fn(&mut Proxy) = |proxy| {
            proxy.set_x_forwarded_protocol = ForwardedProtocol::Off;
            proxy.x_forwarded_for = Some(ForwardedFor::default());
            proxy.accept_x_forwarded_protocol = Some(false);
        };
        for believes in [Some(false), Some(true), None] {
            assert_eq!(sent(FORGED, false, believes, as_today), owned(FORGED), "{believes:?}");
        }
    }

    #[test]
    fn the_clients_scheme_is_told_by_us_alone() {
        use ForwardedProtocol::{Both, Off, ProtoOnly};
        let client: Lines = &[("x-forwarded-proto", "https"), ("x-forwarded-protocol", "https")];
        let cases: [(bool, ForwardedProtocol, bool, Lines); 6] = [
            (false, Off, true, client),
            (true, Off, true, &[]),
            (false, ProtoOnly, false, &[]),
            (false, ProtoOnly, true, &[("x-forwarded-proto", "https")]),
            (false, Both, true, client),
            (true, Both, false, &[]),
        ];
        for (accept, set, https, expected) in cases {
            let change = |proxy: &mut Proxy| {
                proxy.accept_x_forwarded_protocol = Some(accept);
                proxy.set_x_forwarded_protocol = set;
            };
            assert_eq!(sent(client, https, None, change), owned(expected), "{accept} {set:?} {https}");
        }
    }

    #[test]
    fn forwarded_addresses_are_cut_from_the_front_and_joined() {
        let client: Lines = &[("x-forwarded-for", "1.1.1.1, 2.2.2.2"), ("x-forwarded-for", " 3.3.3.3 ,")];
        let cases: [(Option<usize>, bool, Lines); 6] = [
            (None, false, client),
            (None, true, &[("x-forwarded-for", "1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.9")]),
            (Some(0), false, &[]),
            (Some(0), true, &[("x-forwarded-for", "192.0.2.9")]),
            (Some(1), true, &[("x-forwarded-for", "3.3.3.3, 192.0.2.9")]),
            (Some(9), false, &[("x-forwarded-for", "1.1.1.1, 2.2.2.2, 3.3.3.3")]),
        ];
        for (truncate, append, expected) in cases {
            for believes in [Some(false), Some(true), None] {
                let change =
                    |proxy: &mut Proxy| proxy.x_forwarded_for = Some(ForwardedFor { truncate, append });
                assert_eq!(sent(client, false, believes, change), owned(expected), "{truncate:?} {append}");
            }
        }
    }
}
