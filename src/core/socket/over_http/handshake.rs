//! What a WebSocket keeps of its handshake, in one piece of memory: with a map of headers for each, headers would be most of
//! what an idle WebSocket costs.

use crate::core::Service;
use crate::core::connection::Request;
use crate::proto::http1::BodyLength;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A handshake, for the requests that repeat it.
pub(super) struct Handshake {
    /// The client's address, the target, the host, and a line for each header, which hold no line feed.
    text: Box<[u8]>,
}

impl Handshake {
    /// Keeps what later requests repeat. What describes the client's connection, and what this server says itself, is
    /// not among it.
    pub fn keep(request: &Request) -> Handshake {
        let mut text = Vec::new();
        for line in [&request.peer.ip().to_string(), &request.target, &request.host] {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        for (name, value) in request.headers.iter().filter(|(name, _)| !is_ours(name)) {
            text.extend_from_slice(name.as_str().as_bytes());
            text.push(b':');
            text.extend_from_slice(value.as_bytes());
            text.push(b'\n');
        }
        Handshake { text: text.into() }
    }

    /// The request that was kept; the client's port is not.
    pub fn request(&self) -> Request {
        let mut lines = self.text.split(|byte| *byte == b'\n');
        let mut text = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let (peer, target, host) = (text(), text(), text());
        let peer = SocketAddr::new(peer.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), 0);
        let mut headers = HeaderMap::new();
        for line in lines {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = (line.get(..colon), line.get(colon + 1..));
            let name = name.and_then(|name| HeaderName::from_bytes(name).ok());
            let value = value.and_then(|value| HeaderValue::from_bytes(value).ok());
            if let (Some(name), Some(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        let (method, body, service) = (Method::POST, BodyLength::None, Service::Clients);
        Request { method, target, host, headers, body, peer, service }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_without_what_is_of_the_connection() {
        let lines =
            [("host", "a:1"), ("cookie", "x=y: z"), ("upgrade", "websocket"), ("meta-user", "forged")];
        let mut headers: HeaderMap = lines
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        headers.append("cookie", HeaderValue::from_static("second"));
        let peer = SocketAddr::from(([127, 0, 0, 1], 0));
        let (target, host) = ("/a?b".to_owned(), "a:1".to_owned());
        let (method, body, service) = (Method::GET, BodyLength::None, Service::Clients);
        let kept = Handshake::keep(&Request { method, target, host, headers, body, peer, service }).request();
        assert_eq!((kept.target.as_str(), kept.host.as_str(), kept.peer), ("/a?b", "a:1", peer));
        let cookies: Vec<_> = kept.headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["x=y: z", "second"]);
        assert_eq!(kept.headers.len(), 3);
    }
}
