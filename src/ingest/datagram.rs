//! One datagram: the JSON of a publish call, or the compact form, told apart by the first byte. A datagram is taken
//! whole or not at all.

use crate::proto::grip::Publication;
use crate::proto::grip::compact::{self, CompactError};
use crate::proto::grip::publish::{self, PublishError};
use crate::wire::{Credentials, DATAGRAM_BYTES, Datagram};

/// Why a datagram is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// Only its beginning arrived.
    #[error("it is longer than {DATAGRAM_BYTES} bytes")]
    TooLong,
    /// Its JSON is no publish call.
    #[error("{}", .0.to_string().trim_end())]
    Json(#[from] PublishError),
    /// It is not what the compact form allows.
    #[error("{0}")]
    Compact(#[from] CompactError),
    /// Its sender may not publish.
    #[error("user {} may not publish here: see `unix_users` in [ingest]", .0.user)]
    Refused(Credentials),
    /// It is for a channel that datagrams may not publish to.
    #[error("datagrams by UDP may not publish to {0:?}: see `udp_scopes` in [ingest]")]
    Scope(String),
}

/// Appends what `datagram` publishes to `items`, which is left as it was on `Err`.
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
        // What it begins with could be a whole call, and would be a wrong one.
        assert_eq!(read_bytes(br#"{"items":[]}"#, false), Err("it is longer than 65536 bytes".into()));
    }
}
