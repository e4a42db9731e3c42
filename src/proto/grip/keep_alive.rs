//! Keep-alives of stream holds: the bytes that a quiet stream is sent, and how often. They are read from the
//! Grip-Keep-Alive header or from `keep-alive` of a JSON instruct, by the readers of those two. The bytes are never
//! empty, because an empty chunk would end a chunked body (RFC 9112 section 7.1).

use super::instruct_error::InstructError;
use super::json::{FieldError, Fields, from_base64};
use super::list_header::{Element, text};
use super::seconds::seconds;
use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// The bytes that keep a stream hold open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// The bytes to send; never empty.
    pub data: Bytes,
    /// Seconds between keep-alives, at least 1.
    pub timeout_s: u64,
    /// What the seconds count from.
    pub mode: KeepAliveMode,
}

/// What the time of a keep-alive counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeepAliveMode {
    /// The last bytes sent.
    Idle,
    /// The last keep-alive, even if other bytes were sent since.
    Interval,
}

impl KeepAlive {
    /// Reads Grip-Keep-Alive. Its data may contain commas: the header is one element, and only the first header
    /// counts.
    ///
    /// # Errors
    /// The header is invalid.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Option<KeepAlive>, InstructError> {
        let Some(line) = headers.get("grip-keep-alive") else { return Ok(None) };
        if line.is_empty() {
            return Ok(None);
        }
        let Some(element) = Element::parse(line.as_bytes()) else { return Ok(None) };
        let data = match element.parameter("format").unwrap_or_default() {
            b"" | b"raw" => Bytes::copy_from_slice(element.value),
            b"cstring" => from_cstring(element.value)
                .ok_or(InstructError::Unreadable("Grip-Keep-Alive cstring format"))?,
            b"base64" => from_base64(element.value)
                .ok_or(InstructError::Unreadable("Grip-Keep-Alive base64 format"))?,
            other => return Err(InstructError::UnknownKeepAlive { what: "format", value: text(other) }),
        };
        if data.is_empty() {
            return Err(InstructError::EmptyKeepAlive);
        }
        let mode = match element.parameter("mode").unwrap_or_default() {
            b"" | b"idle" => KeepAliveMode::Idle,
            b"interval" => KeepAliveMode::Interval,
            other => return Err(InstructError::UnknownKeepAlive { what: "mode", value: text(other) }),
        };
        let timeout_s = match element.parameter("timeout") {
            None => DEFAULT_S,
            Some(digits) => seconds(digits, "Grip-Keep-Alive timeout value", "Grip-Keep-Alive timeout")?,
        };
        Ok(Some(KeepAlive { data, timeout_s: timeout_s.max(MINIMUM_S), mode }))
    }

    /// Reads `keep-alive` of a JSON hold; `None` if it has no content. `mode` is an extension of Gripwire; as in the
    /// header, it is `idle` by default.
    ///
    /// # Errors
    /// A member is invalid.
    pub(super) fn from_json(fields: &Fields) -> Result<Option<KeepAlive>, FieldError> {
        let data = fields.bytes("content", "content-bin")?;
        let timeout_s = fields.integer("timeout", 0..=i32::MAX.into())?.map_or(DEFAULT_S, i64::unsigned_abs);
        let mode = match fields.text("mode")? {
            None | Some("idle") => KeepAliveMode::Idle,
            Some("interval") => KeepAliveMode::Interval,
            Some(_) => return Err(fields.unknown("mode")),
        };
        let data = data.filter(|data| !data.is_empty());
        Ok(data.map(|data| KeepAlive { data, timeout_s: timeout_s.max(MINIMUM_S), mode }))
    }
}

/// Decodes the escapes `\\`, `\r`, `\n` and `\xHH`. An unknown escape is dropped, an incomplete one is an error
/// (`None`).
fn from_cstring(mut rest: &[u8]) -> Option<Bytes> {
    let mut out = Vec::with_capacity(rest.len());
    loop {
        rest = match rest {
            [] => return Some(out.into()),
            [b'\\', b'x', high, low, tail @ ..] => {
                out.push((hex_digit(*high)? << 4) | hex_digit(*low)?);
                tail
            }
            [b'\\'] | [b'\\', b'x', ..] => return None,
            [b'\\', escaped, tail @ ..] => {
                match escaped {
                    b'\\' => out.push(b'\\'),
                    b'r' => out.push(b'\r'),
                    b'n' => out.push(b'\n'),
                    _ => {}
                }
                tail
            }
            [plain, tail @ ..] => {
                out.push(*plain);
                tail
            }
        }
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

const DEFAULT_S: u64 = 55;
const MINIMUM_S: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn keep_alive(line: &str) -> Result<Option<KeepAlive>, String> {
        let mut headers = HeaderMap::new();
        headers.append("grip-keep-alive", HeaderValue::from_str(line).unwrap());
        KeepAlive::from_headers(&headers).map_err(|e| e.to_string())
    }

    #[test]
    fn formats_and_modes() {
        let table: [(&str, &[u8], u64, KeepAliveMode); 6] = [
            (r":\n\n; format=cstring; timeout=20", b":\n\n", 20, KeepAliveMode::Idle),
            ("a, b", b"a, b", 55, KeepAliveMode::Idle),
            ("x; mode=interval; timeout=0", b"x", 1, KeepAliveMode::Interval),
            ("aGkK; format=base64; mode=idle", b"hi\n", 55, KeepAliveMode::Idle),
            (r"\x41\\\q\r; format=cstring", b"A\\\r", 55, KeepAliveMode::Idle),
            (r"\n; format=raw", b"\\n", 55, KeepAliveMode::Idle),
        ];
        for (line, data, timeout_s, mode) in table {
            let want = KeepAlive { data: Bytes::from_static(data), timeout_s, mode };
            assert_eq!(keep_alive(line), Ok(Some(want)), "{line}");
        }
        assert_eq!(keep_alive(""), Ok(None));
        assert_eq!(keep_alive("x; mode=\"open"), Ok(None));
    }

    #[test]
    fn errors() {
        let table = [
            ("; format=raw", "Grip-Keep-Alive cannot be empty"),
            (r"\q; format=cstring", "Grip-Keep-Alive cannot be empty"),
            ("x; mode=never", "no such Grip-Keep-Alive mode 'never'"),
            ("x; format=rot13", "no such Grip-Keep-Alive format 'rot13'"),
            ("x; timeout=soon", "failed to parse Grip-Keep-Alive timeout value"),
            ("x; timeout=-1", "Grip-Keep-Alive timeout has invalid value"),
            (r"a\; format=cstring", "failed to parse Grip-Keep-Alive cstring format"),
            (r"\x4; format=cstring", "failed to parse Grip-Keep-Alive cstring format"),
            (r"\xzz; format=cstring", "failed to parse Grip-Keep-Alive cstring format"),
            ("*; format=base64", "failed to parse Grip-Keep-Alive base64 format"),
        ];
        for (line, error) in table {
            assert_eq!(keep_alive(line), Err(error.to_string()), "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_cstring_reads_back(data in proptest::collection::vec(any::<u8>(), 0..40)) {
            let escaped: String = data.iter().map(|b| format!("\\x{b:02x}")).collect();
            prop_assert_eq!(from_cstring(escaped.as_bytes()), Some(Bytes::from(data)));
        }

        #[test]
        fn any_cstring_is_read_without_panic(data in "[\\\\xrn0a]{0,20}") {
            from_cstring(data.as_bytes());
        }
    }
}
