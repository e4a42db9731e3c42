//! The upgrade of an HTTP request to a WebSocket (RFC 6455 section 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, Method, header};
use sha1::{Digest, Sha1};

/// A valid request for a WebSocket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// The value of Sec-WebSocket-Accept in the answer.
    pub accept: String,
}

/// Why a request for a WebSocket is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The method is not GET.
    #[error("A WebSocket request must use GET.")]
    Method,
    /// The version is not 13.
    #[error("Only version 13 of the WebSocket protocol is supported.")]
    Version,
    /// The key is missing or malformed.
    #[error("Sec-WebSocket-Key must be 16 bytes in base64.")]
    Key,
}

impl HandshakeError {
    /// The status of the answer (RFC 6455 section 4.4 for 426).
    pub fn status(&self) -> u16 {
        match self {
            HandshakeError::Version => 426,
            HandshakeError::Method | HandshakeError::Key => 400,
        }
    }
}

/// Whether a request asks for a WebSocket.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket") && has_token(headers, header::CONNECTION, "upgrade")
}

impl Handshake {
    /// Reads a request that [`is_upgrade`].
    ///
    /// # Errors
    /// The request's method, version or key is invalid.
    pub fn read(method: &Method, headers: &HeaderMap) -> Result<Handshake, HandshakeError> {
        if method != Method::GET {
            return Err(HandshakeError::Method);
        }
        let value = |name| headers.get(name).map(|value| value.as_bytes().trim_ascii());
        if value(header::SEC_WEBSOCKET_VERSION) != Some(b"13") {
            return Err(HandshakeError::Version);
        }
        let key = value(header::SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
        if STANDARD.decode(key).map_or(0, |key| key.len()) != KEY_BYTES {
            return Err(HandshakeError::Key);
        }
        Ok(Handshake { accept: accept_key(key) })
    }
}

/// The value of Sec-WebSocket-Accept for a key.
fn accept_key(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|given| given.trim().eq_ignore_ascii_case(token))
}

const KEY_BYTES: usize = 16;
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    type Lines = [(&'static str, &'static str)];

    fn headers(lines: &Lines) -> HeaderMap {
        let pairs = lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
        pairs.collect()
    }

    const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    const VERSION: (&str, &str) = ("sec-websocket-version", "13");

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let accepted = Handshake::read(&Method::GET, &headers(&[KEY, VERSION])).unwrap();
        assert_eq!(accepted.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_status() {
        let cases: [(Method, &Lines, u16); 5] = [
            (Method::POST, &[KEY, VERSION], 400),
            (Method::GET, &[KEY], 426),
            (Method::GET, &[KEY, ("sec-websocket-version", "8")], 426),
            (Method::GET, &[VERSION], 400),
            (Method::GET, &[VERSION, ("sec-websocket-key", "c2hvcnQ=")], 400),
        ];
        for (method, lines, status) in cases {
            let error = Handshake::read(&method, &headers(lines)).unwrap_err();
            assert_eq!(error.status(), status, "{method} {lines:?}");
        }
    }

    #[test]
    fn only_both_headers_make_an_upgrade() {
        let both = [("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade")];
        assert!(is_upgrade(&headers(&both)));
        assert!(!is_upgrade(&headers(&both[..1])) && !is_upgrade(&headers(&both[1..])));
        assert!(!is_upgrade(&headers(&[("upgrade", "h2c"), ("connection", "upgrade")])));
    }
}
