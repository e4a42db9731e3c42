//! Keeps a WebSocket's handshake in one piece of memory. A map of headers for each WebSocket would be most of the
//! memory of an idle WebSocket.

use crate::clients::Request;
use crate::clients::{Port, Service};
use crate::proto::http1::{BodyLength, Headers};
use bytes::BytesMut;
use http::{HeaderName, HeaderValue, Method, header};
use std::net::{IpAddr, SocketAddr};

/// A handshake, kept for the requests that repeat it.
pub(super) struct Handshake {
    /// The client's address, if it has one (after `TRUSTED` if it is another proxy, and `TLS` or `UNIX` if it came so),
    /// the target, the host, and a line for each header, which hold no line feed. A header's line begins with its name
    /// and a colon, or with one byte that is none of a name and stands for both.
    text: Box<[u8]>,
}

impl Handshake {
    /// Keeps the parts of the handshake that later requests repeat. Headers that describe the client's connection, and
    /// headers that this server sets itself, are left out.
    pub fn keep(request: &Request) -> Handshake {
        let mut text = Vec::new();
        if request.is_trusted {
            text.push(TRUSTED);
        }
        match request.service {
            Service::Clients(Port::Tls) => text.push(TLS),
            Service::Clients(Port::Unix) => text.push(UNIX),
            _ => {}
        }
        let peer = request.peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
        for line in [&peer, &request.target, &request.host] {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        for (name, value) in request.headers.iter().filter(|(name, _)| !is_ours(name)) {
            let spelled = request.headers.spelled(name);
            match COMMON.iter().position(|common| common == name).filter(|_| spelled.is_none()) {
                Some(place) => text.push(FIRST_COMMON + place as u8),
                None => {
                    let mut written = BytesMut::new();
                    request.headers.put_name(&mut written, name);
                    text.extend_from_slice(&written);
                    text.push(b':');
                }
            }
            text.extend_from_slice(value.as_bytes());
            text.push(b'\n');
        }
        Handshake { text: text.into() }
    }

    /// The kept text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The handshake whose kept text is `text`.
    pub fn of_text(text: &[u8]) -> Handshake {
        Handshake { text: text.into() }
    }

    /// The kept request. The client's port was not kept.
    pub fn request(&self) -> Request {
        let mut text = &*self.text;
        let is_trusted = take_mark(&mut text, TRUSTED);
        let port = match (take_mark(&mut text, TLS), take_mark(&mut text, UNIX)) {
            (true, _) => Port::Tls,
            (_, true) => Port::Unix,
            _ => Port::Plain,
        };
        let mut lines = text.split(|byte| *byte == b'\n');
        let mut text = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let (peer, target, host) = (text(), text(), text());
        let peer = peer.parse().ok().map(|address: IpAddr| SocketAddr::new(address, 0));
        let mut headers = Headers::new();
        for line in lines {
            add_line(&mut headers, line);
        }
        let (method, body, service) = (Method::POST, BodyLength::None, Service::Clients(port));
        Request { method, target, host, headers, body, peer, service, is_trusted }
    }
}

/// Takes `mark` off the front of `text`. Returns whether it was there.
fn take_mark(text: &mut &[u8], mark: u8) -> bool {
    let rest = text.strip_prefix(&[mark]);
    *text = rest.unwrap_or(text);
    rest.is_some()
}

/// Adds the header in a line. The empty line at the end has none.
fn add_line(headers: &mut Headers, line: &[u8]) -> Option<()> {
    let (first, value) = line.split_first()?;
    if let Some(place) = first.checked_sub(FIRST_COMMON) {
        headers.append(COMMON.get(usize::from(place))?, HeaderValue::from_bytes(value).ok()?);
        return Some(());
    }
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = HeaderValue::from_bytes(line.get(colon + 1..)?).ok()?;
    headers.append_as(line.get(..colon)?, value).ok()
}

fn is_ours(name: &HeaderName) -> bool {
    OURS.contains(name) || name.as_str().starts_with("meta-") || name.as_str() == "connection-id"
}

static OURS: [HeaderName; 6] = [
    header::UPGRADE,
    header::CONNECTION,
    header::ACCEPT,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

/// Headers that most handshakes have.
static COMMON: [HeaderName; 13] = [
    header::HOST,
    header::ORIGIN,
    header::COOKIE,
    header::USER_AGENT,
    header::AUTHORIZATION,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::PRAGMA,
    header::FORWARDED,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_PROTOCOL,
];
/// These marks stand in front of an address, and no address begins with them.
const TRUSTED: u8 = b'+';
const TLS: u8 = b'!';
const UNIX: u8 = b'/';
/// The first byte that stands for a common header. Names of headers are ASCII, so none begins with it.
const FIRST_COMMON: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_without_what_is_of_the_connection() {
        let lines = [
            ("host", "a:1"),
            ("cookie", "x=y: z"),
            ("x-own", "é: 1"),
            ("upgrade", "websocket"),
            ("meta-user", ""),
        ];
        let headers: http::HeaderMap = lines
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .into_iter()
            .collect();
        let mut headers = Headers::from(headers);
        headers.append_as(b"cookie", HeaderValue::from_static("second")).unwrap();
        headers.append_as(b"ORIGIN", HeaderValue::from_static("a")).unwrap();
        headers.append_as(b"x-LOUD", HeaderValue::from_static("b")).unwrap();
        let peer = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let (target, host) = ("/a?b".to_owned(), "a:1".to_owned());
        let (method, body, service) = (Method::GET, BodyLength::None, Service::Clients(Port::Tls));
        let is_trusted = true;
        let request = Request { method, target, host, headers, body, peer, service, is_trusted };
        let kept = Handshake::keep(&request).request();
        assert!(kept.is_trusted && kept.service == service);
        assert_eq!((kept.target.as_str(), kept.host.as_str(), kept.peer), ("/a?b", "a:1", peer));
        let cookies: Vec<_> = kept.headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["x=y: z", "second"]);
        for port in [Port::Unix, Port::Plain, Port::Tls] {
            let (service, peer) = (Service::Clients(port), peer.filter(|_| port != Port::Unix));
            let request = Request {
                service,
                peer,
                is_trusted: port == Port::Plain,
                ..Handshake::keep(&request).request()
            };
            let kept = Handshake::keep(&request).request();
            let of = |request: &Request| {
                (request.service, request.peer, request.is_trusted, request.target.clone())
            };
            assert_eq!(of(&kept), of(&request));
        }
        assert_eq!((kept.headers.len(), kept.headers["x-own"].as_bytes()), (6, "é: 1".as_bytes()));
        let spelled = ["origin", "x-loud", "cookie", "x-own"]
            .map(|name| kept.headers.spelled(&HeaderName::from_static(name)).unwrap_or_default());
        assert_eq!(spelled, ["ORIGIN", "x-LOUD", "", ""]);
    }
}
