//! Writes request heads for applications. The framing fields are among `headers`; the caller makes them from the body
//! itself.

use super::headers::Headers;
use bytes::{BufMut, Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{Method, header};

/// A whole head, `Host` first.
pub fn encode_request(method: &Method, target: &PathAndQuery, headers: &Headers) -> Bytes {
    let mut out = BytesMut::with_capacity(64 + target.as_str().len() + headers.len() * 48);
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(target.as_str().as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    headers.put_fields(&mut out, |name| *name == header::HOST);
    headers.put_fields(&mut out, |name| *name != header::HOST);
    out.put_slice(b"\r\n");
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_head_has_the_host_first_and_names_as_they_were_written() {
        let mut headers = Headers::new();
        for (name, value) in [("X-lower-MIXED", "1"), ("accept", "*/*"), ("Host", "a")] {
            headers.append_as(name.as_bytes(), HeaderValue::from_static(value)).unwrap();
        }
        headers.insert(header::CONTENT_LENGTH, 0.into());
        let head = encode_request(&Method::POST, &PathAndQuery::from_static("/a?b"), &headers);
        let expected =
            "POST /a?b HTTP/1.1\r\nHost: a\r\nX-lower-MIXED: 1\r\naccept: */*\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(head, expected);
    }
}
