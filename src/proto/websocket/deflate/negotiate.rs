//! Negotiates compression: a client's offers and the answer (RFC 7692 section 7.1).

use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

/// How messages of a connection are compressed, without context takeover on either side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Compression {
    /// Logarithm of the window that this side may use, 9 to 15.
    pub(super) window_bits: u8,
    /// Whether the client asked for the window.
    has_window: bool,
}

/// The largest window of the format.
const WIDEST: u8 = 15;
/// The smallest window that deflaters support; the format also allows 8.
const NARROWEST: u8 = 9;

impl Compression {
    /// The compression that every client accepts, unless it asked for a smaller window.
    pub const SHARED: Compression = Compression { window_bits: WIDEST, has_window: false };

    /// Whether the client accepts messages that are compressed once for many clients.
    pub fn takes_shared(self) -> bool {
        self.window_bits == WIDEST
    }

    /// The first acceptable offer in a client's extensions.
    pub fn negotiate(headers: &HeaderMap) -> Option<Compression> {
        let values = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
        let offers = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        offers.filter_map(accept).next()
    }

    /// The value of Sec-WebSocket-Extensions that accepts the offer.
    pub fn answer(&self) -> String {
        let mut answer =
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover".to_owned();
        if self.has_window {
            answer += &format!("; server_max_window_bits={}", self.window_bits);
        }
        answer
    }
}

/// Accepts an offer, unless a parameter is unknown, repeated, has an invalid value, or is not supported.
fn accept(offer: &str) -> Option<Compression> {
    let mut parts = offer.split(';').map(str::trim);
    if parts.next()? != "permessage-deflate" {
        return None;
    }
    let mut compression = Compression::SHARED;
    let mut seen = Vec::new();
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (part, None),
        };
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        match (name, value) {
            (
                "server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits",
                None,
            ) => {}
            ("client_max_window_bits", Some(value)) => {
                window_bits(value)?;
            }
            ("server_max_window_bits", Some(value)) => {
                let window_bits = window_bits(value).filter(|bits| *bits >= NARROWEST)?;
                compression = Compression { window_bits, has_window: true };
            }
            _ => return None,
        }
    }
    Some(compression)
}

/// A number from 8 to 15 without leading zeros.
fn window_bits(value: &str) -> Option<u8> {
    let bits: u8 = value.parse().ok()?;
    ((8..=WIDEST).contains(&bits) && bits.to_string() == value).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn answer(values: &[&'static str]) -> Option<String> {
        let name = header::SEC_WEBSOCKET_EXTENSIONS;
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_static(value));
        }
        Compression::negotiate(&headers).map(|compression| compression.answer())
    }

    #[test]
    fn the_first_offer_that_can_be_served_is_accepted() {
        let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let narrow = format!("{plain}; server_max_window_bits=10");
        let cases: [(&[&str], Option<&str>); 15] = [
            (&[], None),
            (&["x-other"], None),
            (&["permessage-deflate"], Some(plain)),
            (&["x-other, permessage-deflate ;client_max_window_bits"], Some(plain)),
            (&["x-other", "permessage-deflate; client_max_window_bits=8"], Some(plain)),
            (&["permessage-deflate; server_max_window_bits=10"], Some(&narrow)),
            (&["permessage-deflate; server_max_window_bits=\"10\""], Some(&narrow)),
            (&["permessage-deflate; server_no_context_takeover; client_no_context_takeover"], Some(plain)),
            (&["permessage-deflate; server_max_window_bits=8"], None),
            (&["permessage-deflate; server_max_window_bits=8, permessage-deflate"], Some(plain)),
            (&["permessage-deflate; server_max_window_bits"], None),
            (&["permessage-deflate; server_max_window_bits=016"], None),
            (&["permessage-deflate; client_max_window_bits=16"], None),
            (&["permessage-deflate; server_no_context_takeover=1"], None),
            (&["permessage-deflate; client_max_window_bits; client_max_window_bits"], None),
        ];
        for (offers, accepted) in cases {
            assert_eq!(answer(offers).as_deref(), accepted, "{offers:?}");
        }
    }
}
