//! SockJS: browsers without WebSockets, or with the library of that name, speak with an application that knows
//! WebSockets. A conversation is a `session`; for the application it is a WebSocket like any other, whose client is
//! this server itself: a task (`bridge`) at the other end of a virtual slot of the wire (`line`). So channels, filters,
//! pings and all else are those of WebSockets, and here is only the form. `serve` answers the client's requests,
//! `socket` speaks by a WebSocket, `sessions` finds conversations by name, and `conversation_limit`
//! bounds how many there are.
//!
//! What it costs: a row, a task and some memory for each conversation. It has no descriptor but that of the client's own
//! connection, and is none of `limits.connections_per_core`.

mod bridge;
mod conversation_limit;
mod line;
mod serve;
mod session;
mod sessions;
mod socket;

pub use sessions::Sessions;

pub(super) use serve::next;
pub(super) use session::{Attached, Session, ToClient};
