//! Removes response headers that describe the origin's connection. The pool applies this to every answer, so no
//! caller ever sees such a header.

use crate::proto::http1::HopByHop;
use http::header::{self, HeaderMap};

/// Removes the hop-by-hop headers (RFC 9110 section 7.6.1) and nothing else: `Date`, `Server`, `Content-Encoding` and
/// `Grip-*` stay as the origin sent them. A Content-Length beside a Transfer-Encoding is removed too, because it
/// describes nothing (RFC 9112 section 6.3).
pub fn response_headers(headers: &mut HeaderMap) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    HopByHop::of(headers).remove_from(headers);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn only_what_belongs_to_the_connection_is_taken_out() {
        type Given = &'static [(&'static str, &'static str)];
        let cases: [(Given, &[&str]); 4] = [
            (
                &[("date", "d"), ("server", "s"), ("content-encoding", "gzip"), ("grip-hold", "stream")],
                &["date", "server", "content-encoding", "grip-hold"],
            ),
            (&[("connection", "close, x-hop"), ("x-hop", "1"), ("x-end", "1")], &["x-end"]),
            (&[("keep-alive", "5"), ("upgrade", "h2c"), ("content-length", "3")], &["content-length"]),
            (&[("transfer-encoding", "chunked"), ("content-length", "3"), ("trailer", "x")], &[]),
        ];
        for (given, kept) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            response_headers(&mut headers);
            assert_eq!(headers.keys().map(|name| name.as_str()).collect::<Vec<_>>(), kept);
        }
    }
}
