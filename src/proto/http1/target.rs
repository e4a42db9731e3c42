//! The target of a request (RFC 9112 section 3.2) and its host. `head` calls this once the request line and the
//! fields are known to be well formed. A returned host is a host and perhaps a port, so routing never sees userinfo,
//! a path, a second port or white space.

use super::fields::Once;
use super::head_error::HeadError;
use super::version::Version;
use percent_encoding::{AsciiSet, percent_encode};
use std::borrow::Cow;
use std::net::Ipv6Addr;

/// The requested target (RFC 9112 section 3.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// A path and query; for the absolute form, the part after the authority. Many clients send bytes beyond ASCII
    /// unencoded; these bytes are percent-encoded here (RFC 3986 section 2.5), so that no later code has to handle
    /// them.
    Origin(Cow<'a, str>),
    /// `*`, the server as a whole.
    Asterisk,
}

/// Splits `target` into the authority, if it is in absolute form, and the requested target.
pub(super) fn split_target<'a>(
    method: &str,
    target: &'a [u8],
) -> Result<(Option<&'a str>, Target<'a>), HeadError> {
    let visible = |byte: &u8| (byte.is_ascii_graphic() && *byte != b'#') || !byte.is_ascii();
    if !target.iter().all(visible) {
        return Err(HeadError::RequestLine);
    }
    if target.starts_with(b"/") {
        return Ok((None, Target::Origin(encoded(target))));
    }
    if target == b"*" {
        return if method == "OPTIONS" { Ok((None, Target::Asterisk)) } else { Err(HeadError::RequestLine) };
    }
    let rest = strip_scheme(target).ok_or(HeadError::RequestLine)?;
    let authority_end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(authority_end).ok_or(HeadError::RequestLine)?;
    let authority = std::str::from_utf8(authority).map_err(|_| HeadError::RequestLine)?;
    // Userinfo is refused here, too: RFC 9110 section 4.2.4 calls it an error from an untrusted source.
    if !is_host_and_port(authority) {
        return Err(HeadError::RequestLine);
    }
    match path {
        b"" if method == "OPTIONS" => Ok((Some(authority), Target::Asterisk)),
        b"" => Ok((Some(authority), Target::Origin("/".into()))),
        path if path.starts_with(b"/") => Ok((Some(authority), Target::Origin(encoded(path)))),
        // An empty path means the same as `/` (RFC 9110 section 4.2.3).
        query => Ok((Some(authority), Target::Origin(format!("/{}", encoded(query)).into()))),
    }
}

/// `path`, percent-encoded to ASCII.
fn encoded(path: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(path) {
        Ok(path) if path.is_ascii() => path.into(),
        // Encodes no ASCII characters, but all bytes beyond ASCII.
        _ => percent_encode(path, &AsciiSet::EMPTY).to_string().into(),
    }
}

/// The host of a request: `authority` if the target has one, else the value of the Host field.
///
/// There must be exactly one valid Host field, even if the target's authority overrides it (RFC 9112 section 3.2).
/// Only HTTP/1.0 requests may lack it; their host is then `localhost`. An empty Host names no host of an `http` URI
/// (RFC 9110 section 4.2.1).
pub(super) fn host_of<'a>(
    field: Once<'a>,
    version: Version,
    authority: Option<&'a str>,
) -> Result<&'a str, HeadError> {
    let host = match field {
        Once::Value(host) => std::str::from_utf8(host).map_err(|_| HeadError::Host)?,
        Once::Absent if version == Version::Http10 => "localhost",
        Once::Absent | Once::Repeated => return Err(HeadError::Host),
    };
    if !is_host_and_port(host) {
        return Err(HeadError::Host);
    }
    Ok(authority.unwrap_or(host))
}

fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// `uri-host [ ":" port ]` of RFC 9110 section 7.2; the host must not be empty (section 4.2.1).
fn is_host_and_port(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok()
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    !name.is_empty() && name.bytes().all(is_name_byte) && is_port(port)
}

/// The grammar of RFC 3986 section 3.2.3 allows an empty port.
fn is_port(port: &str) -> bool {
    port.is_empty() || (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

/// The bytes of a `reg-name` (RFC 3986 section 3.2.2).
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host<'a>(
        field: Option<&'a str>,
        version: Version,
        authority: Option<&'a str>,
    ) -> Result<&'a str, HeadError> {
        let field = field.map_or(Once::Absent, |field| Once::Value(field.as_bytes()));
        host_of(field, version, authority)
    }

    #[test]
    fn the_forms_of_a_target_are_told_apart() {
        let cases = [
            ("GET", "/a?b=%20c", None, Some("/a?b=%20c")),
            ("GET", "//a/b", None, Some("//a/b")),
            ("OPTIONS", "*", None, None),
            ("GET", "http://Other:81/x?y", Some("Other:81"), Some("/x?y")),
            ("GET", "HTTPS://o", Some("o"), Some("/")),
            ("GET", "http://o?q=/", Some("o"), Some("/?q=/")),
            ("OPTIONS", "http://o", Some("o"), None),
            ("GET", "http://[::1]:80/", Some("[::1]:80"), Some("/")),
            ("GET", "/\u{e9}?\u{20ac}", None, Some("/%C3%A9?%E2%82%AC")),
            ("GET", "http://o?\u{e9}%41", Some("o"), Some("/?%C3%A9%41")),
        ];
        for (method, target, authority, path) in cases {
            let expected = path.map_or(Target::Asterisk, |path| Target::Origin(path.into()));
            let split = split_target(method, target.as_bytes());
            assert_eq!(split, Ok((authority, expected)), "{method} {target}");
        }
        assert_eq!(split_target("GET", b"/\xe9"), Ok((None, Target::Origin("/%E9".into()))));
    }

    #[test]
    fn targets_without_one_meaning_are_refused() {
        let cases = [
            "",
            "*",
            "a",
            "a:1",
            "/#f",
            "ftp://a/",
            "http:///",
            "http://:80/",
            "http://u@a/",
            "http://\u{e9}/",
            "\u{e9}",
            "http://a\"b/",
            "http://a:b/",
            "http://a:1:2/",
            "http://[::1/",
            "http://a\\b/",
        ];
        for target in cases {
            assert_eq!(split_target("GET", target.as_bytes()), Err(HeadError::RequestLine), "{target:?}");
        }
    }

    #[test]
    fn a_host_is_one_host_and_perhaps_a_port() {
        for valid in ["a", "a:", "a:80", "A-1.b_c:65535", "127.0.0.1", "[::1]", "[::1]:", "[2001:db8::1]:80"]
        {
            assert_eq!(host(Some(valid), Version::Http11, None), Ok(valid));
        }
        let invalid = [
            ":80", "a:65536", "a:+1", "a:80:90", "::1", "[::1", "[::1]80", "[]", "[a]", "u@a", "a/b", "a b",
            "a?b", "a#b", "a\\b", "\u{e9}",
        ];
        for text in invalid {
            assert_eq!(host(Some(text), Version::Http11, None), Err(HeadError::Host), "{text:?}");
        }
        assert_eq!(host_of(Once::Value(b"\xff"), Version::Http11, None), Err(HeadError::Host));
    }

    #[test]
    fn the_host_comes_once_and_the_target_overrides_it() {
        assert_eq!(host(None, Version::Http11, None), Err(HeadError::Host));
        assert_eq!(host(None, Version::Http11, Some("o")), Err(HeadError::Host));
        assert_eq!(host_of(Once::Repeated, Version::Http11, None), Err(HeadError::Host));
        assert_eq!(host_of(Once::Repeated, Version::Http10, None), Err(HeadError::Host));
        assert_eq!(host(None, Version::Http10, None), Ok("localhost"));
        assert_eq!(host(None, Version::Http10, Some("o")), Ok("o"));
        for empty in ["", ":", ":80"] {
            assert_eq!(host(Some(empty), Version::Http11, None), Err(HeadError::Host), "{empty:?}");
            assert_eq!(host(Some(empty), Version::Http10, Some("o")), Err(HeadError::Host), "{empty:?}");
        }
        assert_eq!(host(Some("a"), Version::Http11, Some("o:81")), Ok("o:81"));
        assert_eq!(host(Some("a b"), Version::Http11, Some("o")), Err(HeadError::Host));
    }
}
