//! What the proxy task puts to the pool and what it gets back, and how a request becomes hyper's. The framing
//! headers of a request are always made here, from its body: what a client wrote in them never reaches an
//! origin, so the two sides cannot disagree about where a request ends.

use super::body::ResponseBody;
use super::error::OriginError;
use crate::channel::Publication;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{self, PathAndQuery};
use http::{Method, Uri};
use http_body::{Body, Frame, SizeHint};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A request as the proxy task wants it made.
pub struct Request {
    /// Any but CONNECT.
    pub method: Method,
    /// `host[:port]` of the URI; sent as `Host` unless the route or target overrides it.
    pub host: String,
    /// The request target, path edits already made.
    pub path_and_query: Bytes,
    /// As [`super::request_headers`] made them.
    pub headers: HeaderMap,
    /// What is sent after them.
    pub body: RequestBody,
}

/// A request's body.
pub enum RequestBody {
    /// None.
    Empty,
    /// Known in full, so that it can be sent again.
    Whole(Bytes),
    /// Arriving. It can be sent once.
    Stream {
        /// Its data; trailers are dropped.
        body: Pin<Box<dyn Body<Data = Bytes, Error = io::Error>>>,
        /// Sent as Content-Length; without it the body is chunked.
        length: Option<u64>,
    },
}

/// An answer, from an origin or from a built-in application. `headers` is without what is hop-by-hop and
/// otherwise as the origin sent it, `Content-Length` included (which for HEAD is all that tells the length).
#[derive(Debug)]
pub struct Response {
    /// 200 to 999; never 1xx.
    pub status: u16,
    /// The reason phrase, where it is not the standard one.
    pub reason: Option<Bytes>,
    /// Names in lower case, in the origin's order.
    pub headers: HeaderMap,
    /// Read it to the end to keep the origin's connection; drop it to close that.
    pub body: ResponseBody,
    /// Which of the route's targets answered.
    pub target: usize,
    /// What a built-in application publishes with it; nothing from any other.
    pub publish: Vec<Publication>,
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestBody::Empty => f.write_str("Empty"),
            RequestBody::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            RequestBody::Stream { length, .. } => write!(f, "Stream({length:?} bytes)"),
        }
    }
}

/// The same request in hyper's terms, without `Host`, which depends on the target.
pub(super) type Outbound = http::Request<Outgoing>;

/// A request body that hyper pulls.
pub(super) struct Outgoing(RequestBody);

impl Request {
    /// Turns it into what hyper sends.
    pub(super) fn into_outbound(self) -> Result<Outbound, OriginError> {
        let path = match self.method {
            Method::CONNECT => None,
            _ => sendable(&self.path_and_query),
        };
        let path = path.ok_or_else(|| {
            // Without its query, which may hold secrets, because it comes into the log.
            let path = self.path_and_query.split(|byte| *byte == b'?').next().unwrap_or_default();
            OriginError::RequestTarget {
                target: format!("{} {}", self.method, String::from_utf8_lossy(path)),
            }
        })?;
        let mut parts = uri::Parts::default();
        parts.path_and_query = Some(path);
        let mut headers = self.headers;
        frame(&mut headers, &self.method, &self.body);
        let mut outbound = http::Request::new(Outgoing(self.body));
        *outbound.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        *outbound.method_mut() = self.method;
        *outbound.headers_mut() = headers;
        Ok(outbound)
    }
}

/// The request target as hyper can send it. Bytes that have no place in a URI but that clients send
/// nonetheless are percent-encoded, which is what they mean; what could end the target early is refused.
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

/// Sets the headers that say where the body ends. hyper would drop a GET's chunked body unless told.
fn frame(headers: &mut HeaderMap, method: &Method, body: &RequestBody) {
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    // Only what is between this server and the origin may stay on the connection.
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

/// A copy that may be sent if this one is lost without an answer: only of a request that may be made twice
/// (RFC 9110 section 9.2.2) and whose body is at hand.
pub(super) fn spare(outbound: &Outbound) -> Option<Outbound> {
    if !outbound.method().is_idempotent() {
        return None;
    }
    let body = match &outbound.body().0 {
        RequestBody::Empty => RequestBody::Empty,
        RequestBody::Whole(bytes) => RequestBody::Whole(bytes.clone()),
        RequestBody::Stream { .. } => return None,
    };
    let mut copy = http::Request::new(Outgoing(body));
    *copy.uri_mut() = outbound.uri().clone();
    *copy.method_mut() = outbound.method().clone();
    *copy.headers_mut() = outbound.headers().clone();
    Some(copy)
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let body = &mut self.get_mut().0;
        match body {
            RequestBody::Stream { body, .. } => body.as_mut().poll_frame(cx),
            whole => match std::mem::replace(whole, RequestBody::Empty) {
                RequestBody::Whole(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                _ => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            RequestBody::Empty => true,
            RequestBody::Whole(bytes) => bytes.is_empty(),
            RequestBody::Stream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            RequestBody::Stream { length: Some(length), .. } => SizeHint::with_exact(*length),
            RequestBody::Stream { length: None, .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(length: Option<u64>) -> RequestBody {
        RequestBody::Stream { body: Box::pin(Outgoing(RequestBody::Whole("abc".into()))), length }
    }

    fn request(method: Method, target: &'static str, body: RequestBody) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("77"));
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("gzip"));
        Request { method, host: "a".into(), path_and_query: target.into(), headers, body }
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
            let value = |name| outbound.headers().get(name).and_then(|value| value.to_str().ok());
            assert_eq!(value(header::CONTENT_LENGTH), length, "{said}");
            assert_eq!(value(header::TRANSFER_ENCODING), coding, "{said}");
        }
    }

    #[test]
    fn a_target_is_sent_as_it_came_or_encoded_or_refused() {
        for target in ["/", "/a%20b?c=%zz", "//x//y", "*", "/{a}", "/ä"] {
            let outbound = request(Method::GET, target, RequestBody::Empty).into_outbound().unwrap();
            assert_eq!(outbound.uri().to_string(), target);
        }
        let outbound = request(Method::GET, "/a?q=<\"b\">", RequestBody::Empty).into_outbound().unwrap();
        assert_eq!(outbound.uri().to_string(), "/a?q=%3C%22b%22%3E");
        for target in ["/a b", "/a\u{7f}", "nothing", "/a\r\nX: y", "/a#b"] {
            let refused = request(Method::GET, target, RequestBody::Empty).into_outbound();
            assert!(matches!(refused, Err(OriginError::RequestTarget { .. })), "{target}");
        }
        let connect = request(Method::CONNECT, "/", RequestBody::Empty).into_outbound();
        assert!(matches!(connect, Err(OriginError::RequestTarget { .. })));
    }

    #[test]
    fn only_what_may_be_made_twice_has_a_spare() {
        let cases = [
            (Method::GET, RequestBody::Empty, true),
            (Method::PUT, RequestBody::Whole("abc".into()), true),
            (Method::PUT, stream(Some(3)), false),
            (Method::POST, RequestBody::Whole("abc".into()), false),
            (Method::POST, RequestBody::Empty, false),
        ];
        for (method, body, expected) in cases {
            let said = format!("{method} {body:?}");
            let outbound = request(method, "/x", body).into_outbound().unwrap();
            let copy = spare(&outbound);
            assert_eq!(copy.is_some(), expected, "{said}");
            if let Some(copy) = copy {
                assert_eq!((copy.uri(), copy.headers()), (outbound.uri(), outbound.headers()));
            }
        }
    }
}
