//! Which kind of message for WebSockets an object in JSON is: what applications publish, and what they say about a
//! WebSocket from within it, name it alike.

use super::json::{FieldError, Fields};
use crate::proto::websocket::Opcode;

/// The kind that the member `name` says. Without it a message is binary if it has no `content` but `content-bin`, and
/// else text.
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
