//! WebSockets that applications see as HTTP requests (WebSocket-over-HTTP). `open` asks the application with OPEN, `talk`
//! brings it what the client sends (`event_batch`), one request at a time, and does what its answers say (`answer`); `pings` is about
//! clients that fall silent (`silence`), `handshake` keeps what every request repeats. `state` is what such a
//! WebSocket has always, and `receiving` takes what its client sends. There is a task only while a request
//! is on its way.

mod answer;
mod event_batch;
mod handshake;
mod open;
mod pings;
mod receiving;
mod silence;
mod state;
mod talk;

pub(super) use event_batch::Waiting;
pub(super) use state::OverHttp;
