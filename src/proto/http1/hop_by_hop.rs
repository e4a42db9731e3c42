//! Hop-by-hop headers, which belong to one connection and never cross a proxy (RFC 9110 section 7.6.1). The header
//! rules of both directions and those of published responses use this file, so they cannot disagree.

use http::header::{self, HeaderMap, HeaderName};
use smallvec::SmallVec;

/// The hop-by-hop headers of a message: some are always hop-by-hop, others are listed in `Connection`.
pub struct HopByHop(SmallVec<[HeaderName; 4]>);

impl HopByHop {
    /// Reads every `Connection` value. Members that are not header names (`close, ???`) are ignored.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::CONNECTION).iter();
        let tokens = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
        HopByHop(tokens.filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok()).collect())
    }

    /// Whether a header of this name is hop-by-hop.
    pub fn stays(&self, name: &HeaderName) -> bool {
        HOP_BY_HOP.contains(name) || self.0.contains(name)
    }

    /// Removes the hop-by-hop headers.
    pub fn remove_from(&self, headers: &mut HeaderMap) {
        for name in HOP_BY_HOP.iter().chain(&self.0) {
            headers.remove(name);
        }
    }
}

/// `Trailer` is included because trailers are not forwarded.
static HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn named(values: &[&'static str]) -> HopByHop {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONNECTION, HeaderValue::from_static(value));
        }
        HopByHop::of(&headers)
    }

    #[test]
    fn connection_makes_any_header_hop_by_hop() {
        let cases: [(&[&'static str], &'static str, bool); 7] = [
            (&[], "keep-alive", true),
            (&[], "upgrade", true),
            (&[], "x-a", false),
            (&["close"], "x-a", false),
            (&["keep-alive, X-A"], "x-a", true),
            (&["close", " x-b ,X-A "], "x-a", true),
            (&["a b, x\"y, ,"], "x-a", false),
        ];
        for (values, name, stays) in cases {
            assert_eq!(named(values).stays(&HeaderName::from_static(name)), stays, "{values:?} {name}");
        }
    }
}
