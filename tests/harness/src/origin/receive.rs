//! How an application reads requests: strictly, as what the server under test sends must be well-formed.

use crate::deadline::patience;
use crate::headers::Headers;
use crate::source::{End, Source};
use std::io::Write;
use std::net::TcpStream;

/// A request as an application received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The target as it was sent.
    pub target: String,
    /// `HTTP/1.1`.
    pub version: String,
    /// The fields.
    pub headers: Headers,
    /// The body without its framing.
    pub body: Vec<u8>,
}

/// The next request of a connection.
pub(super) fn receive(source: &mut Source, socket: &mut TcpStream) -> Result<Received, End> {
    while source.await_bytes(patience()) == Err(End::Silence) {}
    let head = String::from_utf8_lossy(&source.until(b"\r\n\r\n")?).into_owned();
    let (first, rest) = head.split_once("\r\n").expect("a request line");
    let words: Vec<&str> = first.split(' ').collect();
    let [method, target, version] = words[..] else { panic!("bad request line {first:?}") };
    let headers = Headers::parse(rest);
    if headers.has("Expect") {
        let _ = socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    let body = receive_body(source, &headers)?;
    Ok(Received { method: method.into(), target: target.into(), version: version.into(), headers, body })
}

fn receive_body(source: &mut Source, headers: &Headers) -> Result<Vec<u8>, End> {
    if headers.has("Transfer-Encoding") {
        assert_eq!(headers.get("Content-Length"), None, "a chunked request has no Content-Length");
        let mut body = Vec::new();
        loop {
            let chunk = source.chunk()?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }
    let length =
        headers.get("Content-Length").map_or(0, |value| value.parse().expect("Content-Length is a number"));
    source.exactly(length)
}
