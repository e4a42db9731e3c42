//! Grip-Link: the link that continues a stream (`rel=next`) and the link that is requested after the stream's end
//! (`rel=gone`). Called by the instruct reader. A link is kept as the application wrote it, absolute or relative to
//! the request; it contains no byte that could break a request line.

use super::instruct_error::InstructError;
use super::list_header::{Element, link_elements};
use super::seconds::seconds;
use http::HeaderMap;
use percent_encoding::{AsciiSet, percent_encode};

/// A link that is requested on behalf of a held stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Absolute, or relative to the URI of the request that was answered.
    pub uri: String,
    /// The link is requested after this many seconds without a message.
    pub timeout_s: u64,
}

/// The links of one response.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub next: Option<Link>,
    pub gone: Option<String>,
}

impl Links {
    /// Reads Grip-Link. The last link of each relation counts; unknown relations are ignored.
    ///
    /// # Errors
    /// A link is invalid.
    pub fn from_headers(headers: &HeaderMap) -> Result<Links, InstructError> {
        let mut links = Links::default();
        for element in link_elements(headers, "grip-link").iter().filter(|e| e.has_parameters()) {
            let uri = bracketed_uri(element)?;
            match element.parameter("rel") {
                Some(b"next") => links.next = Some(Link { uri, timeout_s: timeout_s(element)? }),
                Some(b"gone") => links.gone = Some(uri),
                _ => {}
            }
        }
        Ok(links)
    }
}

fn bracketed_uri(element: &Element) -> Result<String, InstructError> {
    let inner = element.value.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
    let inner = inner.filter(|uri| !uri.is_empty()).ok_or(InstructError::Unreadable("Grip-Link value"))?;
    let sendable = |b: &u8| (b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"')) || !b.is_ascii();
    if !inner.iter().all(sendable) {
        return Err(InstructError::Link);
    }
    // Bytes beyond ASCII are encoded, as in a request's target.
    Ok(percent_encode(inner, &AsciiSet::EMPTY).to_string())
}

fn timeout_s(element: &Element) -> Result<u64, InstructError> {
    match element.parameter("timeout") {
        None => Ok(DEFAULT_S),
        Some(digits) => seconds(digits, "Grip-Link timeout value", "Grip-Link timeout"),
    }
}

const DEFAULT_S: u64 = 120;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn links(line: &'static str) -> Result<Links, String> {
        let mut headers = HeaderMap::new();
        headers.append("grip-link", HeaderValue::from_static(line));
        Links::from_headers(&headers).map_err(|e| e.to_string())
    }

    #[test]
    fn the_last_link_of_a_relation_counts() {
        let all =
            links("</a>; rel=next, <?b=1,2>; rel=next; timeout=0, <http://x/>; rel=gone, </c>; rel=prev");
        let all = all.unwrap();
        assert_eq!(all.next, Some(Link { uri: "?b=1,2".into(), timeout_s: 0 }));
        assert_eq!(all.gone, Some("http://x/".into()));
        let default = links("</a>; rel=next").unwrap().next;
        assert_eq!(default, Some(Link { uri: "/a".into(), timeout_s: 120 }));
        assert_eq!(links("</a>").unwrap().next, None);
        let mut headers = HeaderMap::new();
        let raw = HeaderValue::from_bytes("</\u{e9}>; rel=gone".as_bytes()).unwrap();
        headers.append("grip-link", raw);
        assert_eq!(Links::from_headers(&headers).unwrap().gone.as_deref(), Some("/%C3%A9"));
    }

    #[test]
    fn errors() {
        let table = [
            ("/a; rel=next", "failed to parse Grip-Link value"),
            ("<>; rel=next", "failed to parse Grip-Link value"),
            ("</a b>; rel=next", "Grip-Link contains invalid link"),
            ("</a>; rel=next; timeout=x", "failed to parse Grip-Link timeout value"),
            ("</a>; rel=next; timeout=-5", "Grip-Link timeout has invalid value"),
        ];
        for (line, error) in table {
            assert_eq!(links(line).unwrap_err(), error, "{line}");
        }
    }
}
