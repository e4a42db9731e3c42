//! Decides by a request's fields how long its body is and whether the connection can be reused. `head` calls this
//! once all fields are known to be well formed. A request whose body two servers could measure differently (RFC 9112
//! section 11.2) is refused.

use super::body::BodyLength;
use super::grammar::{decimal, members};
use super::head_error::HeadError;
use super::version::Version;
use httparse::Header;

/// The fields that this server acts on, found in one pass over all fields.
#[derive(Default)]
pub(super) struct Deciding<'a> {
    pub(super) host: Once<'a>,
    content_length: Once<'a>,
    transfer_encoding: Once<'a>,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    expects_more: bool,
}

/// A field that may occur once.
#[derive(Clone, Copy, Default)]
pub(super) enum Once<'a> {
    #[default]
    Absent,
    Value(&'a [u8]),
    Repeated,
}

impl<'a> Deciding<'a> {
    pub(super) fn among(headers: &[Header<'a>]) -> Deciding<'a> {
        let mut found = Deciding::default();
        for field in headers {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            // Most fields are none of these, which their length tells without a comparison of names.
            match field.name.len() {
                4 if is("host") => found.host.add(field.value),
                6 if is("expect") => found.add_expectations(field.value),
                10 if is("connection") => found.add_options(field.value),
                14 if is("content-length") => found.content_length.add(field.value),
                17 if is("transfer-encoding") => found.transfer_encoding.add(field.value),
                _ => {}
            }
        }
        found
    }

    /// RFC 9112 section 6.3, but every ambiguous case is refused.
    ///
    /// # Errors
    /// The framing is malformed or ambiguous.
    pub(super) fn body_length(&self, version: Version) -> Result<BodyLength, HeadError> {
        match (self.content_length, self.transfer_encoding) {
            (Once::Absent, Once::Absent) => Ok(BodyLength::None),
            (Once::Value(length), Once::Absent) => match decimal(length) {
                Some(0) => Ok(BodyLength::None),
                Some(length) => Ok(BodyLength::Length(length)),
                None => Err(HeadError::ContentLength),
            },
            (Once::Repeated, Once::Absent) => Err(HeadError::ContentLength),
            (Once::Absent, Once::Value(coding))
                if version == Version::Http11 && coding.eq_ignore_ascii_case(b"chunked") =>
            {
                Ok(BodyLength::Chunked)
            }
            (Once::Absent, _) => Err(HeadError::TransferEncoding),
            _ => Err(HeadError::BothFramings),
        }
    }

    /// Whether the client wants to reuse the connection (RFC 9112 section 9.3).
    pub(super) fn keeps_alive(&self, version: Version) -> bool {
        !self.close && (self.keep_alive || version == Version::Http11)
    }

    /// RFC 9110 section 10.1.1, which also says to ignore expectations in HTTP/1.0.
    ///
    /// # Errors
    /// The expectation is not 100-continue.
    pub(super) fn expects_continue(&self, version: Version) -> Result<bool, HeadError> {
        match version {
            Version::Http10 => Ok(false),
            Version::Http11 if self.expects_more => Err(HeadError::Expectation),
            Version::Http11 => Ok(self.expects_continue),
        }
    }

    fn add_options(&mut self, value: &[u8]) {
        for option in members(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn add_expectations(&mut self, value: &[u8]) {
        for expectation in members(value) {
            let known = expectation.eq_ignore_ascii_case(b"100-continue");
            self.expects_continue |= known;
            self.expects_more |= !known;
        }
    }
}

impl<'a> Once<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Once::Absent => Once::Value(value),
            _ => Once::Repeated,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(lines: &[(&'a str, &'a str)]) -> Vec<Header<'a>> {
        lines.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect()
    }

    #[test]
    fn a_body_has_one_length() {
        let length = |lines: &[(&str, &str)], version| Deciding::among(&fields(lines)).body_length(version);
        let v11 = Version::Http11;
        assert_eq!(length(&[], v11), Ok(BodyLength::None));
        assert_eq!(length(&[("content-length", "0")], v11), Ok(BodyLength::None));
        assert_eq!(length(&[("CONTENT-LENGTH", "007")], v11), Ok(BodyLength::Length(7)));
        let most = u64::MAX.to_string();
        assert_eq!(length(&[("Content-Length", &most)], v11), Ok(BodyLength::Length(u64::MAX)));
        assert_eq!(length(&[("Transfer-Encoding", "Chunked")], v11), Ok(BodyLength::Chunked));
        let coding = length(&[("Transfer-Encoding", "chunked")], Version::Http10);
        assert_eq!(coding, Err(HeadError::TransferEncoding));
        for bad in ["", "-0", "+1", "1_0", "0x1", "1 ", "1,1", "1.0", "18446744073709551616"] {
            assert_eq!(length(&[("Content-Length", bad)], v11), Err(HeadError::ContentLength), "{bad:?}");
        }
    }

    #[test]
    fn connection_options_are_a_list_over_all_fields() {
        let (v10, v11) = (Version::Http10, Version::Http11);
        let cases: [(&[(&str, &str)], _, _); 7] = [
            (&[], v11, true),
            (&[("Connection", "upgrade"), ("connection", "x ,CLOSE")], v11, false),
            (&[("Connection", "closed")], v11, true),
            (&[("Connection", ",, close")], v11, false),
            (&[], v10, false),
            (&[("Connection", "Keep-Alive")], v10, true),
            (&[("Connection", "keep-alive, close")], v10, false),
        ];
        for (lines, version, expected) in cases {
            assert_eq!(Deciding::among(&fields(lines)).keeps_alive(version), expected, "{lines:?}");
        }
    }

    #[test]
    fn expectations_count_from_http_1_1_on() {
        let expects = |values: &[&str], version| {
            let lines: Vec<_> = values.iter().map(|value| ("Expect", *value)).collect();
            Deciding::among(&fields(&lines)).expects_continue(version)
        };
        assert_eq!(expects(&[], Version::Http11), Ok(false));
        assert_eq!(expects(&["100-Continue"], Version::Http11), Ok(true));
        assert_eq!(expects(&["100-continue", "magic"], Version::Http11), Err(HeadError::Expectation));
        assert_eq!(expects(&["100-continue, magic"], Version::Http11), Err(HeadError::Expectation));
        assert_eq!(expects(&["100-continue"], Version::Http10), Ok(false));
        assert_eq!(expects(&["magic"], Version::Http10), Ok(false));
    }
}
