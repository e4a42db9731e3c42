//! The payload of a close frame (RFC 6455 section 7.4).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The code and reason of a close.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Close {
    /// A code that is valid in a frame: 1000 to 1003, 1007 to 1014, 3000 to 4999.
    pub code: u16,
    /// The reason. A frame carries as much of it as fits.
    pub reason: Box<str>,
}

/// A close frame's payload that is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CloseError {
    /// The payload is one byte, and a code has two.
    #[error("a close frame with only one byte of a code")]
    HalfACode,
    /// The code is reserved or unassigned.
    #[error("a close frame with the code {0}, which is not valid in a frame")]
    Code(u16),
    /// The reason is not UTF-8.
    #[error("a close frame whose reason is not UTF-8")]
    Reason,
}

impl Close {
    /// Normal closure.
    pub const NORMAL: u16 = 1000;
    /// This side goes away, such as a server that is about to end.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// The peer did something that is not allowed here, without breaking the protocol.
    pub const POLICY: u16 = 1008;
    /// A text was not UTF-8.
    pub const NOT_UTF8: u16 = 1007;
    /// A message was too large.
    pub const TOO_LARGE: u16 = 1009;
    /// This side failed.
    pub const INTERNAL_ERROR: u16 = 1011;
    /// This server has no capacity at present.
    pub const TRY_AGAIN_LATER: u16 = 1013;

    /// Whether `code` is valid in a close frame (RFC 6455 section 7.4, and the IANA registry for 1012 to 1014).
    pub fn may_be_sent(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// A close with this code and no reason.
    pub fn with(code: u16) -> Close {
        Close { code, reason: "".into() }
    }

    /// Reads a close frame's payload; an empty payload has no code. An application's event may have a longer reason
    /// than fits into a frame; the reason is then cut to fit.
    ///
    /// # Errors
    /// The code is invalid, or the reason is not UTF-8.
    pub fn parse(payload: &[u8]) -> Result<Option<Close>, CloseError> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(CloseError::HalfACode),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        if !Close::may_be_sent(code) {
            return Err(CloseError::Code(code));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| CloseError::Reason)?;
        Ok(Some(Close { code, reason: fitting(reason).into() }))
    }

    /// The payload of this close. A reason that is too long for a frame is cut between characters.
    pub fn payload(&self) -> Bytes {
        Bytes::from([&self.code.to_be_bytes(), fitting(&self.reason).as_bytes()].concat())
    }
}

fn fitting(reason: &str) -> &str {
    reason.get(..reason.floor_char_boundary(REASON_BYTES)).unwrap_or_default()
}

/// How many bytes of a reason fit into a control frame after the code.
const REASON_BYTES: usize = 123;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        for close in [Close::with(1000), Close { code: 4999, reason: "grüße".into() }] {
            assert_eq!(Close::parse(&close.payload()), Ok(Some(close)));
        }
        assert_eq!(Close::parse(b""), Ok(None));
    }

    #[test]
    fn what_may_not_be_sent_is_refused() {
        assert_eq!(Close::parse(b"\x03"), Err(CloseError::HalfACode));
        for code in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert_eq!(Close::parse(&code.to_be_bytes()), Err(CloseError::Code(code)));
        }
        assert_eq!(Close::parse(b"\x03\xe8\xff"), Err(CloseError::Reason));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let payload = Close { code: 1000, reason: "ü".repeat(100).into() }.payload();
        assert_eq!(payload.len(), 2 + 122);
        assert!(Close::parse(&payload).is_ok());
        let longer = [&1000u16.to_be_bytes(), "ü".repeat(100).as_bytes()].concat();
        assert_eq!(Close::parse(&longer), Close::parse(&payload));
    }
}
