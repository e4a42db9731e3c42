//! Grip-Subscriptions-Refused tells an application that it named more channels for a client than one client may have.
//! The value has the number of channels refused since the last such header, the limit, and the first refused channel:
//! `3; limit=100; first="news"`. The header is Gripwire's own.

use http::{HeaderName, HeaderValue};

/// The name of the header.
pub const GRIP_SUBSCRIPTIONS_REFUSED: HeaderName = HeaderName::from_static("grip-subscriptions-refused");

/// The header's value; `first` is left out if a header cannot contain it.
pub fn grip_subscriptions_refused(count: u64, limit: usize, first: &str) -> HeaderValue {
    let quoted = first.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::try_from(format!("{count}; limit={limit}; first=\"{quoted}\""))
        .or_else(|_| HeaderValue::try_from(format!("{count}; limit={limit}")))
        .unwrap_or_else(|_| count.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_channel_is_quoted_or_left_out() {
        let said = |first| {
            String::from_utf8_lossy(grip_subscriptions_refused(3, 100, first).as_bytes()).into_owned()
        };
        assert_eq!(said("news"), r#"3; limit=100; first="news""#);
        assert_eq!(said("ä\"\\"), r#"3; limit=100; first="ä\"\\""#);
        assert_eq!(said("a\nb"), "3; limit=100");
    }
}
