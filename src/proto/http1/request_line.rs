//! Request lines that httparse refuses although they are valid (the target has bytes beyond ASCII that are not UTF-8)
//! or whose error should be more specific. `head` calls this after httparse.

use super::head_error::HeadError;
use super::version::Version;
use memchr::memchr;

/// The first line of a head, without its line end.
pub(super) fn request_line(raw: &[u8]) -> &[u8] {
    memchr(b'\r', raw).and_then(|end| raw.get(..end)).unwrap_or_default()
}

/// The method, the target and the version of a head whose method is a token.
///
/// # Errors
/// The request line is malformed, or the version is unknown.
pub(super) fn split_request_line(raw: &[u8]) -> Result<(&str, &[u8], Version), HeadError> {
    let mut words = request_line(raw).split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HeadError::RequestLine);
    };
    let method = std::str::from_utf8(method).map_err(|_| HeadError::RequestLine)?;
    match version {
        b"HTTP/1.0" => Ok((method, target, Version::Http10)),
        b"HTTP/1.1" => Ok((method, target, Version::Http11)),
        _ if names_other_version(raw) => Err(HeadError::Version),
        _ => Err(HeadError::RequestLine),
    }
}

/// Whether only the version of a request line is wrong. White space in the target looks like a wrong version, too.
pub(super) fn names_other_version(raw: &[u8]) -> bool {
    let mut words = request_line(raw).split(|byte| *byte == b' ').skip(2);
    let version = words.next().and_then(|word| word.strip_prefix(b"HTTP/"));
    let sound =
        matches!(version, Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit());
    sound && words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http1::{Head, HeadLimits, Target, parse_head};

    const LIMITS: HeadLimits = HeadLimits { head_bytes: 65536 };

    #[test]
    fn targets_may_have_any_bytes_beyond_ascii() {
        for (target, sent) in [("/\u{e9}".as_bytes(), "/%C3%A9"), (b"/\xe9?\xff", "/%E9?%FF")] {
            let input = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n"].concat();
            let Ok(Head::Complete { request, used }) = parse_head(&input, &LIMITS) else {
                panic!("{sent} is not read")
            };
            assert_eq!((request.target, used), (Target::Origin(sent.into()), input.len()));
            assert_eq!((request.host, request.headers.len()), ("a", 2));
        }
        let cases = [
            ("/\u{e9} b HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("/\u{e9} HTTP/1.2\r\nHost: a\r\n\r\n", HeadError::Version),
            ("/\u{e9} HTTP/1.1\r\nHost : a\r\n\r\n", HeadError::Field),
            ("/\u{e9} HTTP/1.1\r\n\r\n", HeadError::Host),
            ("http://\u{e9}/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
        ];
        for (rest, expected) in cases {
            assert_eq!(
                parse_head(format!("GET {rest}").as_bytes(), &LIMITS).err(),
                Some(expected),
                "{rest:?}"
            );
            let latin: Vec<u8> =
                [b"GET ", rest.as_bytes()].concat().into_iter().filter(|byte| *byte != 0xc3).collect();
            assert_eq!(parse_head(&latin, &LIMITS).err(), Some(expected), "{rest:?} in Latin-1");
        }
    }
}
