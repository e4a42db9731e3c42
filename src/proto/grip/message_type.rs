//! Reads the type of a WebSocket message from a JSON object. Published items and control messages name the type
//! alike.

use super::json::{FieldError, Fields};
use crate::proto::websocket::Opcode;

/// The type in the member `name`. Without that member, a message with `content-bin` and without `content` is binary,
/// and any other message is text.
///
/// # Errors
/// The member has the wrong type or an unknown value.
pub(super) fn opcode(fields: &Fields, name: &'static str) -> Result<Opcode, FieldError> {
    Ok(match fields.text(name)? {
        None if fields.get("content").is_none() => Opcode::Binary,
        None | Some("text") => Opcode::Text,
        Some("binary") => Opcode::Binary,
        Some("ping") => Opcode::Ping,
        Some("pong") => Opcode::Pong,
        Some(_) => return Err(fields.unknown(name)),
    })
}
