//! SockJS: browsers without WebSockets, or with the SockJS library, talk to an application that speaks WebSocket. A
//! conversation is a `session`. To the application it is a WebSocket like any other, whose client is this server
//! itself: a task (`bridge`) at the other end of a virtual slot of the wire (`line`). So channels, filters and pings
//! work as for WebSockets, and this folder has only SockJS's protocol towards clients. `serve` answers the client's
//! requests, `socket` speaks SockJS by a WebSocket, `sessions` finds conversations by name, and `conversation_limit`
//! limits their number.
//!
//! Each conversation takes a row, a task and some memory. It has no descriptor other than the client's own connection,
//! and does not count in `limits.connections_per_core`.

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
