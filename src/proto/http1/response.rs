//! Response heads and chunks. Framing and persistence are decided by the caller and written here; fields of the
//! answer that would contradict them are left out.

use super::head::Version;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, header};

/// The end of a chunked body without trailers (RFC 9112 section 7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// How the client learns where the body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// By Content-Length.
    Length(u64),
    /// By the chunked coding; HTTP/1.1 only.
    Chunked,
    /// By the end of the connection.
    Close,
    /// There is no body, whatever the fields say: an answer to HEAD, 204, 304.
    None {
        /// The length the body would have had, if it is to be declared.
        content_length: Option<u64>,
    },
}

/// A response head to be written.
#[derive(Debug)]
pub struct ResponseHead<'a> {
    /// The version of the request.
    pub version: Version,
    /// Status code.
    pub status: u16,
    /// Reason phrase; the standard one if absent.
    pub reason: Option<&'a str>,
    /// Fields of the answer.
    pub headers: &'a HeaderMap,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection goes on.
    pub keep_alive: bool,
}

/// Appends `head` to `out`.
pub fn encode_head(out: &mut BytesMut, head: &ResponseHead<'_>) {
    out.put_slice(match head.version {
        Version::Http11 => b"HTTP/1.1 ",
        Version::Http10 => b"HTTP/1.0 ",
    });
    put_decimal(out, u64::from(head.status));
    out.put_u8(b' ');
    put_reason(out, head);
    out.put_slice(b"\r\n");
    for (name, value) in head.headers {
        if !is_framing(name) {
            put_name(out, name.as_str());
            out.put_slice(b": ");
            out.put_slice(value.as_bytes());
            out.put_slice(b"\r\n");
        }
    }
    put_framing(out, head);
    out.put_slice(b"\r\n");
}

/// Appends `data`, which must not be empty, as one chunk.
pub fn encode_chunk(out: &mut BytesMut, data: &[u8]) {
    debug_assert!(!data.is_empty(), "an empty chunk would end the body");
    out.put_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.put_slice(data);
    out.put_slice(b"\r\n");
}

/// `data` as one chunk.
pub fn chunk(data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 20);
    encode_chunk(&mut out, data);
    out.freeze()
}

/// A whole plain text answer to a request that could not be read, after which the connection ends.
pub fn error_answer(status: u16, message: &str) -> Bytes {
    let mut headers = HeaderMap::new();
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

fn put_framing(out: &mut BytesMut, head: &ResponseHead<'_>) {
    let length = match head.framing {
        Framing::Length(length) => Some(length),
        Framing::None { content_length } => content_length,
        Framing::Chunked => {
            out.put_slice(b"Transfer-Encoding: chunked\r\n");
            None
        }
        Framing::Close => None,
    };
    if let Some(length) = length {
        out.put_slice(b"Content-Length: ");
        put_decimal(out, length);
        out.put_slice(b"\r\n");
    }
    match (head.version, head.keep_alive) {
        (Version::Http11, false) => out.put_slice(b"Connection: close\r\n"),
        (Version::Http10, true) => out.put_slice(b"Connection: keep-alive\r\n"),
        _ => {}
    }
}

fn put_reason(out: &mut BytesMut, head: &ResponseHead<'_>) {
    let standard = || StatusCode::from_u16(head.status).ok().and_then(|status| status.canonical_reason());
    let sound = |reason: &&str| reason.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    out.put_slice(head.reason.filter(sound).or_else(standard).unwrap_or("Unknown").as_bytes());
}

/// Names come in lower case; on the wire they look as people are used to.
fn put_name(out: &mut BytesMut, name: &str) {
    let usual = match name {
        "etag" => "ETag",
        "www-authenticate" => "WWW-Authenticate",
        "te" => "TE",
        "dnt" => "DNT",
        "x-xss-protection" => "X-XSS-Protection",
        _ => "",
    };
    if !usual.is_empty() {
        return out.put_slice(usual.as_bytes());
    }
    let mut starts = true;
    for byte in name.bytes() {
        out.put_u8(if starts { byte.to_ascii_uppercase() } else { byte });
        starts = byte == b'-';
    }
}

fn put_decimal(out: &mut BytesMut, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn encoded(version: Version, framing: Framing, keep_alive: bool) -> String {
        let mut headers = HeaderMap::new();
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
    fn an_error_answer_reads_back_as_a_response() {
        let answer = error_answer(431, "too large\n");
        let mut fields = [httparse::EMPTY_HEADER; 8];
        let mut response = httparse::Response::new(&mut fields);
        assert!(response.parse(&answer).is_ok_and(|status| status.is_complete()));
        assert_eq!((response.code, response.reason), (Some(431), Some("Request Header Fields Too Large")));
        assert!(answer.ends_with(b"Connection: close\r\n\r\ntoo large\n"));
    }
}
