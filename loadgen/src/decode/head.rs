//! Reads the head of an answer: the status, the framing of the body, and the validators that a long poll sends with its next
//! request.

use super::Malformed;
use super::body::Body;

/// The parts of a head that a subscriber needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The framing of the body.
    pub body: Body,
    /// Whether the connection serves further requests.
    pub keeps: bool,
    /// `Last-Modified` and `ETag`, by which a server can continue after the last answer of a long poll.
    pub validators: Option<(String, String)>,
    /// Number of bytes of the head.
    pub length: usize,
}

/// Reads a head; `None` until it is complete.
///
/// # Errors
/// The head is not HTTP/1.1, or too large.
pub fn read(input: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(input) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if input.len() > HEAD_BYTES => return Err(Malformed::Head),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed::Head),
    };
    let status = response.code.unwrap_or_default();
    let field = |name: &str| {
        response
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
            .and_then(|field| std::str::from_utf8(field.value).ok())
    };
    let body = if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        Body::chunked()
    } else if status == 204 || status == 304 || status < 200 {
        Body::counted(0)
    } else if let Some(length) = field("content-length") {
        Body::counted(length.trim().parse().map_err(|_| Malformed::Head)?)
    } else {
        Body::open()
    };
    let closes = field("connection").is_some_and(|value| value.to_ascii_lowercase().contains("close"));
    let validators = field("last-modified").zip(field("etag")).map(|(time, tag)| (time.into(), tag.into()));
    Ok(Some(Head { status, body, keeps: !closes && body != Body::open(), validators, length }))
}

/// The largest allowed head.
const HEAD_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let wire =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: 4\r\nLast-Modified: now\r\n\r\n5\r\n";
        for cut in 0..wire.len() - 3 {
            assert_eq!(read(&wire[..cut]), Ok(None), "{cut}");
        }
        let head = read(wire).unwrap().unwrap();
        assert_eq!((head.status, head.body, head.keeps), (200, Body::chunked(), true));
        assert_eq!((head.validators, head.length), (Some(("now".into(), "4".into())), wire.len() - 3));
    }

    #[test]
    fn bodies_are_framed_as_the_head_says() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", Body::counted(3), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n", Body::counted(3), false),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", Body::counted(0), true),
            ("HTTP/1.1 200 OK\r\n\r\n", Body::open(), false),
        ];
        for (wire, body, keeps) in cases {
            let head = read(wire.as_bytes()).unwrap().unwrap();
            assert_eq!((head.body, head.keeps), (body, keeps), "{wire}");
        }
        assert_eq!(read(b"nonsense\r\n\r\n"), Err(Malformed::Head));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), Err(Malformed::Head));
    }
}
