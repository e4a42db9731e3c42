//! Writes response heads and chunks. The core decides how an answer is framed and whether the connection can be
//! reused; only this file writes both. The bytes always form one response that ends where its framing says:
//! contradicting fields are left out, and so is a reason phrase that would break the line.

use super::headers::Headers;
use super::version::Version;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderName, StatusCode, header};
use std::fmt::Write;

/// The end of a chunked body without trailers (RFC 9112 section 7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// How the client finds the end of the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// By Content-Length.
    Length(u64),
    /// By the chunked coding; HTTP/1.1 only.
    Chunked,
    /// By the end of the connection.
    Close,
    /// There is no body, whatever the fields say: the answer is to a HEAD, or is a 204 or 304.
    None {
        /// The length that the body would have had, if it should be declared.
        content_length: Option<u64>,
    },
}

/// A response head to be written.
#[derive(Debug)]
pub struct ResponseHead<'a> {
    /// The version of the request.
    pub version: Version,
    /// Status code; a status without three digits is sent as 500.
    pub status: u16,
    /// Reason phrase; the standard one if absent.
    pub reason: Option<&'a str>,
    /// Fields of the answer.
    pub headers: &'a Headers,
    /// How the client finds the end of the body.
    pub framing: Framing,
    /// Whether the connection can be reused, see `persistence`.
    pub keep_alive: bool,
}

/// Appends `head` to `out`.
pub fn encode_head(out: &mut BytesMut, head: &ResponseHead<'_>) {
    out.put_slice(match head.version {
        Version::Http11 => b"HTTP/1.1 ",
        Version::Http10 => b"HTTP/1.0 ",
    });
    let status = StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    let reason = head.reason.filter(|reason| is_reason(reason));
    out.put_slice(reason.unwrap_or_else(|| reason_phrase(status.as_u16())).as_bytes());
    out.put_slice(b"\r\n");
    head.headers.put_fields(out, |name| !is_framing(name));
    put_framing(out, head, status);
    out.put_slice(b"\r\n");
}

/// A whole 101 head; after it the connection speaks `protocol` (RFC 9110 section 15.2.2).
pub fn switch_head(protocol: &str, headers: &Headers) -> Bytes {
    let mut out = BytesMut::new();
    let framing = Framing::None { content_length: None };
    let version = Version::Http11;
    let mut headers = headers.clone();
    headers.remove(header::UPGRADE);
    encode_head(
        &mut out,
        &ResponseHead { version, status: 101, reason: None, headers: &headers, framing, keep_alive: true },
    );
    out.truncate(out.len().saturating_sub(b"\r\n".len()));
    let _ = write!(out, "Upgrade: {protocol}\r\nConnection: Upgrade\r\n\r\n");
    out.freeze()
}

/// Whether the connection can be reused after an answer with this framing (RFC 9112 section 9.3).
pub fn persistence(version: Version, request_keep_alive: bool, framing: Framing) -> bool {
    match framing {
        Framing::Close => false,
        // A client of HTTP/1.0 cannot find the end of chunks.
        Framing::Chunked => request_keep_alive && version == Version::Http11,
        Framing::Length(_) | Framing::None { .. } => request_keep_alive,
    }
}

/// The standard reason of a status (RFC 9110 section 15).
pub fn reason_phrase(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}

/// Appends `data` as one chunk. Empty `data` is skipped, because an empty chunk would end the body.
pub fn encode_chunk(out: &mut BytesMut, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let _ = write!(out, "{:x}\r\n", data.len());
    out.put_slice(data);
    out.put_slice(b"\r\n");
}

/// `data` as one chunk.
pub fn chunk(data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 20);
    encode_chunk(&mut out, data);
    out.freeze()
}

/// A whole answer of plain text to a request that could not be read; the connection ends after it.
pub fn error_answer(status: u16, message: &str) -> Bytes {
    let mut headers = Headers::new();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    let framing = Framing::Length(message.len() as u64);
    let version = Version::Http11;
    let mut out = BytesMut::new();
    encode_head(
        &mut out,
        &ResponseHead { version, status, reason: None, headers: &headers, framing, keep_alive: false },
    );
    out.put_slice(message.as_bytes());
    out.freeze()
}

fn is_framing(name: &HeaderName) -> bool {
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(name)
        || name == "keep-alive"
}

fn put_framing(out: &mut BytesMut, head: &ResponseHead<'_>, status: StatusCode) {
    debug_assert!(head.framing != Framing::Chunked || head.version == Version::Http11);
    // RFC 9110 section 8.6 and RFC 9112 section 6.1: neither field in 1xx and 204.
    let framed = !status.is_informational() && status != StatusCode::NO_CONTENT;
    match head.framing {
        Framing::Length(length) | Framing::None { content_length: Some(length) } if framed => {
            let _ = write!(out, "Content-Length: {length}\r\n");
        }
        Framing::Chunked if framed => out.put_slice(b"Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    match (head.version, head.keep_alive && head.framing != Framing::Close) {
        (Version::Http11, false) => out.put_slice(b"Connection: close\r\n"),
        (Version::Http10, true) => out.put_slice(b"Connection: keep-alive\r\n"),
        _ => {}
    }
}

fn is_reason(reason: &str) -> bool {
    reason.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn encoded(version: Version, framing: Framing, keep_alive: bool) -> String {
        let mut headers = Headers::new();
        headers.insert("etag", HeaderValue::from_static("\"x\""));
        headers.insert("x-a-b", HeaderValue::from_static("1"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("999"));
        let mut out = BytesMut::new();
        let reason = Some("Bad\r\nInjected: yes");
        encode_head(
            &mut out,
            &ResponseHead { version, status: 200, reason, headers: &headers, framing, keep_alive },
        );
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_head_says_how_its_body_is_framed_and_nothing_else() {
        let common = "200 OK\r\nETag: \"x\"\r\nX-A-B: 1\r\n";
        let cases = [
            (Version::Http11, Framing::Length(10), true, "Content-Length: 10\r\n"),
            (Version::Http11, Framing::Chunked, true, "Transfer-Encoding: chunked\r\n"),
            (Version::Http11, Framing::Length(0), false, "Content-Length: 0\r\nConnection: close\r\n"),
            (Version::Http10, Framing::Close, false, ""),
            (Version::Http10, Framing::Length(1), true, "Content-Length: 1\r\nConnection: keep-alive\r\n"),
            (Version::Http11, Framing::None { content_length: None }, true, ""),
        ];
        for (version, framing, keep_alive, fields) in cases {
            let number = if version == Version::Http11 { "1.1" } else { "1.0" };
            assert_eq!(encoded(version, framing, keep_alive), format!("HTTP/{number} {common}{fields}\r\n"));
        }
    }

    #[test]
    fn statuses_without_a_body_declare_none() {
        let headers = Headers::new();
        let (version, reason, keep_alive) = (Version::Http11, None, true);
        let cases = [
            (204, "204 No Content\r\n"),
            (103, "103 Early Hints\r\n"),
            (99, "500 Internal Server Error\r\nContent-Length: 3\r\n"),
        ];
        for (status, expected) in cases {
            let mut out = BytesMut::new();
            let framing = Framing::None { content_length: Some(3) };
            encode_head(
                &mut out,
                &ResponseHead { version, status, reason, headers: &headers, framing, keep_alive },
            );
            assert_eq!(String::from_utf8_lossy(&out), format!("HTTP/1.1 {expected}\r\n"));
        }
        assert_eq!(reason_phrase(599), "Unknown");
    }

    #[test]
    fn a_connection_goes_on_if_the_client_sees_the_end_and_wants_to() {
        let cases = [
            (Version::Http11, true, Framing::Chunked, true),
            (Version::Http10, true, Framing::Chunked, false),
            (Version::Http10, true, Framing::Length(1), true),
            (Version::Http11, false, Framing::Length(1), false),
            (Version::Http11, true, Framing::None { content_length: None }, true),
            (Version::Http11, true, Framing::Close, false),
        ];
        for (version, wanted, framing, expected) in cases {
            assert_eq!(persistence(version, wanted, framing), expected, "{version:?} {framing:?}");
        }
        // A caller's mistake must not promise the client a connection that ends with the body.
        assert!(encoded(Version::Http11, Framing::Close, true).contains("Connection: close\r\n"));
    }

    #[test]
    fn an_empty_chunk_does_not_end_the_body() {
        assert_eq!(chunk(b""), Bytes::new());
        assert_eq!(chunk(&[b'a'; 26]), [b"1a\r\n", &[b'a'; 26][..], b"\r\n"].concat());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            status in any::<u16>(),
            reason in prop::option::of(".{0,20}"),
            fields in prop::collection::vec(("[a-z][a-z0-9-]{0,12}", "[!-~]([ -~]{0,20}[!-~])?"), 0..8),
            length in prop::option::of(any::<u64>()),
            keep_alive in any::<bool>(),
        ) {
            let mut headers = Headers::new();
            for (name, value) in &fields {
                let name = HeaderName::from_bytes(name.as_bytes()).expect("a token");
                headers.append(name, HeaderValue::from_str(value).expect("visible"));
            }
            let framing = length.map_or(Framing::Chunked, Framing::Length);
            let head = ResponseHead { version: Version::Http11, status, reason: reason.as_deref(), headers: &headers, framing, keep_alive };
            let mut out = BytesMut::new();
            encode_head(&mut out, &head);
            let mut slots = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut slots);
            prop_assert_eq!(response.parse(&out), Ok(httparse::Status::Complete(out.len())));
            for (name, value) in &headers {
                let found = response.headers.iter().any(|field| {
                    field.name.eq_ignore_ascii_case(name.as_str()) && field.value == value.as_bytes()
                });
                prop_assert!(found || is_framing(name), "{} is missing", name);
            }
        }
    }

    #[test]
    fn an_error_answer_reads_back_as_a_response() {
        let answer = error_answer(431, "too large\n");
        let mut fields = [httparse::EMPTY_HEADER; 8];
        let mut response = httparse::Response::new(&mut fields);
        assert!(response.parse(&answer).is_ok_and(|status| status.is_complete()));
        assert_eq!((response.code, response.reason), (Some(431), Some("Request Header Fields Too Large")));
        assert!(answer.ends_with(b"Connection: close\r\n\r\ntoo large\n"));
    }
}
