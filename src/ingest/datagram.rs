//! Reads one datagram. A datagram is either the JSON of a publish call or the compact form; its first byte tells
//! which. A datagram is published whole or not at all.

use crate::proto::grip::Publication;
use crate::proto::grip::compact::{self, CompactError};
use crate::proto::grip::publish::{self, PublishError};
use crate::wire::{Credentials, DATAGRAM_BYTES, Datagram};

/// Why a datagram is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// Only the beginning of the datagram arrived.
    #[error("it is longer than {DATAGRAM_BYTES} bytes")]
    TooLong,
    /// The JSON is not a valid publish call.
    #[error("{}", .0.to_string().trim_end())]
    Json(#[from] PublishError),
    /// The datagram breaks the rules of the compact form.
    #[error("{0}")]
    Compact(#[from] CompactError),
    /// The sender of the datagram may not publish.
    #[error("user {} may not publish here: see `unix_users` in [ingest]", .0.user)]
    Refused(Credentials),
    /// An item is for a channel that datagrams may not publish to.
    #[error("datagrams by UDP may not publish to {0:?}: see `udp_scopes` in [ingest]")]
    Scope(String),
}

/// Appends the items of `datagram` to `items`.
///
/// # Errors
/// Why the datagram is not published; `items` is then unchanged.
pub fn read(datagram: &Datagram<'_>, items: &mut Vec<Publication>) -> Result<(), DatagramError> {
    if !datagram.is_whole {
        return Err(DatagramError::TooLong);
    }
    match datagram.bytes.first() {
        Some(&compact::MAGIC) => compact::decode(datagram.bytes, items)?,
        _ => items.append(&mut publish::parse(datagram.bytes)?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8], is_whole: bool) -> Result<usize, String> {
        let mut items = Vec::new();
        let outcome = read(&Datagram { bytes, is_whole, sender: None }, &mut items);
        outcome.map(|()| items.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn both_forms_are_told_apart() {
        let json = br#"{"items":[{"channel":"c","http-stream":{"content":"x"}}]}"#;
        assert_eq!(read_bytes(json, true), Ok(1));
        let compact = compact::encode(&publish::parse(json).unwrap());
        assert_eq!(read_bytes(&compact, true), Ok(1));
    }

    #[test]
    fn what_is_neither_or_cut_is_refused() {
        assert_eq!(read_bytes(b"", true), Err("Body is not valid JSON.".into()));
        assert_eq!(read_bytes(b"{}", true).unwrap_err(), "Invalid format: object does not contain 'items'");
        assert_eq!(read_bytes(&[compact::MAGIC], true), Err("it is not in the compact form".into()));
        // The beginning of the datagram is a whole publish call, but not the one that was sent.
        assert_eq!(read_bytes(br#"{"items":[]}"#, false), Err("it is longer than 65536 bytes".into()));
    }
}
