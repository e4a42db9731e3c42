//! Which headers belong to one connection and never cross a proxy (RFC 9110 section 7.6.1). Both directions'
//! header rules ask here, so that they cannot disagree.

use http::header::{self, HeaderMap, HeaderName};
use smallvec::SmallVec;

/// The names listed in `Connection`, which make any header hop-by-hop.
pub(super) struct Named(SmallVec<[HeaderName; 4]>);

impl Named {
    /// Reads every `Connection` value. What is no header name (`close, ???`) names nothing.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::CONNECTION).iter();
        let tokens = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
        Named(tokens.filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok()).collect())
    }

    /// Whether a header of this name stays on its connection.
    pub fn stays(&self, name: &HeaderName) -> bool {
        is_hop_by_hop(name) || self.0.contains(name)
    }

    /// Takes every such header out.
    pub fn remove_from(&self, headers: &mut HeaderMap) {
        for name in HOP_BY_HOP.iter().chain(&self.0) {
            headers.remove(name);
        }
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

/// `Trailer` is here because trailers are not forwarded.
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

    fn named(values: &[&'static str]) -> Named {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONNECTION, HeaderValue::from_static(value));
        }
        Named::of(&headers)
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
