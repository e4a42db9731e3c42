//! WebSockets that applications see as HTTP requests (WebSocket-over-HTTP). `open` asks the application with OPEN.
//! `talk` sends it the client's events (`event_batch`), one request at a time, and carries out its answers (`answer`).
//! `silence` finds clients that have fallen silent, by `pings`. `handshake` keeps the part that every request repeats,
//! `state` is the permanent state of such a WebSocket, and `receiving` takes what its client sends. There is a task
//! only while a request is under way.

mod answer;
mod event_batch;
mod handshake;
mod open;
mod packing;
mod pings;
mod receiving;
mod silence;
mod state;
mod talk;

pub(super) use event_batch::Waiting;
pub(super) use packing::PackedOverHttp;
pub(super) use state::OverHttp;
