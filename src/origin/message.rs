//! Requests to the pool and answers from the pool, and how a request is written. The framing headers of a request are
//! always made here, from its body. A client's framing headers never reach an origin, so the two sides cannot
//! disagree about where a request ends.

use super::body::ResponseBody;
use super::error::OriginError;
use super::upload::{RequestBody, Upload};
use crate::proto::client_network::ClientNetwork;
use crate::proto::http1::{Headers, encode_request};
use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;

/// A request that the proxy task wants to make.
pub struct Request {
    /// Any but CONNECT.
    pub method: Method,
    /// `host[:port]` of the URI; sent as `Host` unless the route or target overrides it.
    pub host: String,
    /// The request target, after the route's changes to the path.
    pub path_and_query: Bytes,
    /// The headers that [`super::request_headers()`] made.
    pub headers: Headers,
    /// The body that follows the headers.
    pub body: RequestBody,
    /// The client for whom the request is made; the request counts as one of this client's.
    pub client: ClientNetwork,
}

/// An answer of an origin or of a built-in application. `headers` has no hop-by-hop headers and is otherwise
/// unchanged. `Content-Length` is included; for HEAD nothing else tells the length.
#[derive(Debug)]
pub struct Response {
    /// 200 to 999; never 1xx.
    pub status: u16,
    /// The reason phrase, if it is not the standard one.
    pub reason: Option<Bytes>,
    /// In the origin's order and spelling.
    pub headers: Headers,
    /// The body. Reading it to its end keeps the origin's connection; dropping it closes the connection.
    pub body: ResponseBody,
    /// Which of the route's targets answered.
    pub target: usize,
}

/// A request that is ready to be sent, except for `Host`, which depends on the target.
pub(super) struct Outbound {
    pub method: Method,
    pub target: PathAndQuery,
    pub headers: Headers,
    pub body: RequestBody,
    pub client: ClientNetwork,
}

impl Request {
    /// Checks the request and adds its framing headers.
    ///
    /// # Errors
    /// [`OriginError::RequestTarget`] when the request target cannot be sent.
    pub(super) fn into_outbound(self) -> Result<Outbound, OriginError> {
        let target = match self.method {
            Method::CONNECT => None,
            _ => sendable(&self.path_and_query),
        };
        let target = target.ok_or_else(|| {
            // The query may contain secrets and this comes into the log, so the query is left out.
            let path = self.path_and_query.split(|byte| *byte == b'?').next().unwrap_or_default();
            OriginError::RequestTarget {
                target: format!("{} {}", self.method, String::from_utf8_lossy(path)),
            }
        })?;
        let mut headers = self.headers;
        frame(&mut headers, &self.method, &self.body);
        Ok(Outbound { method: self.method, target, headers, body: self.body, client: self.client })
    }
}

impl Outbound {
    /// Sets the `Host` header.
    ///
    /// # Errors
    /// [`OriginError::RequestTarget`] when `host` is not valid in a header.
    pub fn set_host(&mut self, host: &str) -> Result<(), OriginError> {
        let value = HeaderValue::from_str(host);
        let value = value.map_err(|_| OriginError::RequestTarget { target: host.to_owned() })?;
        self.headers.insert(header::HOST, value);
        Ok(())
    }

    /// The bytes that a connection writes. Takes the body out; a caller that does not send the upload puts the body
    /// back.
    pub fn upload(&mut self) -> Upload {
        let body = std::mem::replace(&mut self.body, RequestBody::Empty);
        Upload::new(encode_request(&self.method, &self.target, &self.headers), body)
    }
}

/// The request target in a form that can be sent. Bytes that clients send although a URI must not contain them are
/// percent-encoded, which keeps their meaning. Bytes that could end the target early are refused (`None`).
fn sendable(target: &Bytes) -> Option<PathAndQuery> {
    if target.contains(&b'#') {
        return None;
    }
    if let Ok(path) = PathAndQuery::from_maybe_shared(target.clone()) {
        return Some(path);
    }
    let mut encoded = String::with_capacity(target.len() + 16);
    for &byte in target {
        match byte {
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{'..=b'}' | 0x80.. => {
                encoded.push_str(&format!("%{byte:02X}"))
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    PathAndQuery::from_maybe_shared(Bytes::from(encoded)).ok()
}

/// Sets the headers that tell where the body ends.
fn frame(headers: &mut HeaderMap, method: &Method, body: &RequestBody) {
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    // The fields of `Connection` describe the client's connection, so only those for the origin's connection may
    // stay.
    if !headers.contains_key(header::UPGRADE) {
        headers.remove(header::CONNECTION);
    }
    let expects_body = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    let length = match body {
        RequestBody::Empty if !expects_body => return,
        RequestBody::Empty => Some(0),
        RequestBody::Whole(bytes) => Some(bytes.len() as u64),
        RequestBody::Stream { length, .. } => *length,
    };
    match length {
        Some(length) => headers.insert(header::CONTENT_LENGTH, length.into()),
        None => headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(length: Option<u64>) -> RequestBody {
        RequestBody::Stream { body: Box::pin(futures_lite::stream::once(Ok("abc".into()))), length }
    }

    fn request(method: Method, target: &'static str, body: RequestBody) -> Request {
        let mut headers = Headers::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("77"));
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("gzip"));
        let client = ClientNetwork::NOBODY;
        Request { method, host: "a".into(), path_and_query: target.into(), headers, body, client }
    }

    #[test]
    fn framing_headers_come_from_the_body_alone() {
        let cases = [
            (Method::GET, RequestBody::Empty, None, None),
            (Method::POST, RequestBody::Empty, Some("0"), None),
            (Method::GET, RequestBody::Whole("abc".into()), Some("3"), None),
            (Method::POST, stream(Some(3)), Some("3"), None),
            (Method::GET, stream(None), None, Some("chunked")),
        ];
        for (method, body, length, coding) in cases {
            let said = format!("{method} {body:?}");
            let outbound = request(method, "/", body).into_outbound().unwrap();
            let value = |name| outbound.headers.get(name).and_then(|value| value.to_str().ok());
            assert_eq!(value(header::CONTENT_LENGTH), length, "{said}");
            assert_eq!(value(header::TRANSFER_ENCODING), coding, "{said}");
        }
    }

    #[test]
    fn a_target_is_sent_as_it_came_or_encoded_or_refused() {
        for target in ["/", "/a%20b?c=%zz", "//x//y", "*", "/{a}", "/ä"] {
            let outbound = request(Method::GET, target, RequestBody::Empty).into_outbound().unwrap();
            assert_eq!(outbound.target.to_string(), target);
        }
        let outbound = request(Method::GET, "/a?q=<\"b\">", RequestBody::Empty).into_outbound().unwrap();
        assert_eq!(outbound.target.to_string(), "/a?q=%3C%22b%22%3E");
        for target in ["/a b", "/a\u{7f}", "nothing", "/a\r\nX: y", "/a#b"] {
            let refused = request(Method::GET, target, RequestBody::Empty).into_outbound();
            assert!(matches!(refused, Err(OriginError::RequestTarget { .. })), "{target}");
        }
        let connect = request(Method::CONNECT, "/", RequestBody::Empty).into_outbound();
        assert!(matches!(connect, Err(OriginError::RequestTarget { .. })));
    }

    #[test]
    fn only_a_body_at_hand_can_be_sent_again() {
        let cases = [
            (RequestBody::Empty, true),
            (RequestBody::Whole("abc".into()), true),
            (stream(Some(3)), false),
            (stream(None), false),
        ];
        for (body, expected) in cases {
            let said = format!("{body:?}");
            let mut outbound = request(Method::PUT, "/x", body).into_outbound().unwrap();
            assert_eq!(outbound.upload().spare().is_some(), expected, "{said}");
        }
    }
}
