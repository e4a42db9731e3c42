//! Refuses requests of pages in browsers to the control port. A browser lets every page send requests to every address
//! that its machine can reach, including this port, and to any address to which the page's own host currently resolves
//! (DNS rebinding). Browsers say in Sec-Fetch-Site and Origin which page makes a request, and the Host header of a
//! rebound page names the page's host. Programs that publish send neither of the first two headers.

use crate::clients::Request;
use crate::clients::Service;
use crate::config::Control;
use crate::requests::host_name;
use http::{HeaderMap, HeaderValue, Method, header};
use std::net::IpAddr;

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum PageError {
    /// The browser says that a page of another site made the request.
    #[error("Pages of other sites may not use the control port (Sec-Fetch-Site).\n")]
    Site,
    /// A page of another origin made the request.
    #[error("Pages of other origins may not use the control port (Origin).\n")]
    Origin,
    /// The port is bound to a loopback address, and the request names another host.
    #[error(
        "The control port is bound to a loopback address and does not serve the host {0:?}: use localhost or \
         127.0.0.1, or add the host to `control.hosts` (--control-host).\n"
    )]
    Host(String),
}

/// Checks that `request` was not made by a page that must not use this port.
pub(super) fn check(control: &Control, request: &Request) -> Result<(), PageError> {
    check_host(control, request)?;
    if is_visit(request) {
        return Ok(());
    }
    let headers = &request.headers;
    let is_own_site = |site: &HeaderValue| [&b"same-origin"[..], b"none"].contains(&site.as_bytes());
    if !headers.get_all(SEC_FETCH_SITE).iter().all(is_own_site) {
        return Err(PageError::Site);
    }
    let is_own = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| is_of_host(origin, &request.host));
    match headers.get_all(header::ORIGIN).iter().all(is_own) {
        true => Ok(()),
        false => Err(PageError::Origin),
    }
}

/// Checks the host that a request names, if the port is bound to a loopback address: then its names are those that lead
/// to a loopback address on every machine. Ports that are open to other machines may have any name, such as those of
/// containers, and Unix sockets have no names.
fn check_host(control: &Control, request: &Request) -> Result<(), PageError> {
    let is_bound_to_loopback = control.listen.is_some_and(|listen| listen.ip().is_loopback());
    if request.service != Service::Control || !is_bound_to_loopback {
        return Ok(());
    }
    let host = host_name(&request.host);
    let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback());
    let is_named = |name: &String| name.eq_ignore_ascii_case(host);
    match is_loopback || host.eq_ignore_ascii_case("localhost") || control.hosts.iter().any(is_named) {
        true => Ok(()),
        false => Err(PageError::Host(host.to_owned())),
    }
}

/// Whether a person has followed a link to the first page here. That changes nothing here, and the page with the link
/// cannot read the answer.
fn is_visit(request: &Request) -> bool {
    let says = |name: &str, value: &[u8]| only(&request.headers, name) == Some(value);
    let is_first_page = request.target.split('?').next() == Some("/");
    request.method == Method::GET
        && is_first_page
        && says("sec-fetch-mode", b"navigate")
        && says("sec-fetch-dest", b"document")
}

fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
}

/// Whether `origin` is the origin of pages that `host` serves: by either scheme, as TLS may end in front of this port.
fn is_of_host(origin: &str, host: &str) -> bool {
    ["http://", "https://"].iter().zip([":80", ":443"]).any(|(scheme, port)| {
        let without_port = |authority: &str| authority.strip_suffix(port).unwrap_or(authority).to_owned();
        origin
            .strip_prefix(scheme)
            .is_some_and(|authority| without_port(authority).eq_ignore_ascii_case(&without_port(host)))
    })
}

const SEC_FETCH_SITE: &str = "sec-fetch-site";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::proto::http1::BodyLength;
    use http::HeaderName;

    fn request(method: Method, target: &str, host: &str, lines: &[(&'static str, &'static str)]) -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let (target, host) = (target.to_owned(), host.to_owned());
        let (body, peer, service) = (BodyLength::None, None, Service::Control);
        Request { method, target, host, headers: headers.into(), body, peer, service, is_trusted: false }
    }

    fn control(listen: &str) -> Control {
        let hosts = vec!["build.lan".to_owned()];
        Control { listen: listen.parse().ok(), hosts, ..Config::default().control }
    }

    #[test]
    fn a_port_of_this_machine_is_asked_for_by_its_own_names() {
        let outcome =
            |listen: &str, host: &str| check(&control(listen), &request(Method::POST, "/publish", host, &[]));
        let own = [
            "localhost",
            "LocalHost:5561",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:5561",
            "[::1]",
            "Build.LAN:80",
        ];
        for host in own {
            assert_eq!(outcome("127.0.0.1:5561", host), Ok(()), "{host}");
            assert_eq!(outcome("[::1]:5561", host), Ok(()), "{host}");
        }
        let foreign =
            ["evil.test", "evil.test:5561", "localhost.evil.test", "127.0.0.1.nip.test", "10.0.0.1", "[::2]"];
        for host in foreign {
            assert_eq!(outcome("127.0.0.1:5561", host), Err(PageError::Host(host_name(host).to_owned())));
            assert_eq!(outcome("0.0.0.0:5561", host), Ok(()), "{host}");
        }
        let local =
            Request { service: Service::LocalControl, ..request(Method::POST, "/publish", "evil.test", &[]) };
        assert_eq!(check(&control("127.0.0.1:5561"), &local), Ok(()));
    }

    #[test]
    fn a_page_of_another_site_or_origin_is_refused() {
        let outcome = |lines: &[(&'static str, &'static str)]| {
            check(&control("0.0.0.0:5561"), &request(Method::POST, "/publish", "a:5561", lines))
        };
        assert_eq!(outcome(&[]), Ok(()));
        for own in ["http://a:5561", "https://A:5561"] {
            assert_eq!(outcome(&[("sec-fetch-site", "same-origin"), ("origin", own)]), Ok(()));
        }
        assert_eq!(outcome(&[("sec-fetch-site", "none")]), Ok(()));
        for site in ["cross-site", "same-site", "", "None"] {
            assert_eq!(outcome(&[("sec-fetch-site", site)]), Err(PageError::Site), "{site}");
        }
        let twice = [("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
        assert_eq!(outcome(&twice), Err(PageError::Site));
        for origin in ["null", "", "http://a", "http://a:1", "http://evil.test", "ftp://a:5561", "a:5561"] {
            assert_eq!(outcome(&[("origin", origin)]), Err(PageError::Origin), "{origin}");
        }
    }

    #[test]
    fn the_default_port_of_an_origin_may_be_left_out() {
        for (origin, host) in
            [("http://a", "a:80"), ("http://a:80", "a"), ("https://a", "a:443"), ("http://a", "a")]
        {
            assert!(is_of_host(origin, host), "{origin} {host}");
        }
        assert!(!is_of_host("http://a", "a:443") && !is_of_host("http://a", "b"));
    }

    #[test]
    fn a_link_leads_to_the_first_page_and_no_further() {
        let visit = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        let outcome = |method: Method, target: &str, lines: &[(&'static str, &'static str)]| {
            check(&control("127.0.0.1:1"), &request(method, target, "localhost", lines))
        };
        assert_eq!(outcome(Method::GET, "/", &visit), Ok(()));
        assert_eq!(outcome(Method::GET, "/?a", &visit), Ok(()));
        assert_eq!(outcome(Method::GET, "/stats", &visit), Err(PageError::Site));
        assert_eq!(outcome(Method::POST, "/", &visit), Err(PageError::Site));
        assert_eq!(outcome(Method::GET, "/", &visit[..2]), Err(PageError::Site));
        let framed = [visit[0], visit[1], ("sec-fetch-dest", "iframe")];
        assert_eq!(outcome(Method::GET, "/", &framed), Err(PageError::Site));
    }
}
