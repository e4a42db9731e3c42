//! When a client was last heard, and when it must be sent a ping.

use crate::config::WebSocket;
use crate::context::ticks;
use std::cell::Cell;

/// When a client was last heard.
pub(super) struct Pings {
    /// The tick of the last bytes from the client. Once a ping was sent, one ping interval before the ping.
    pub heard: Cell<u32>,
    /// A ping was sent since the last bytes from the client.
    pub asked: Cell<bool>,
}

impl Pings {
    pub fn new(now: u32) -> Pings {
        Pings { heard: Cell::new(now), asked: Cell::new(false) }
    }

    /// The tick at which the next ping is due; if one was sent, the tick at which its pong must have come.
    pub fn due(&self, settings: &WebSocket) -> u32 {
        let patience = if self.asked.get() { ticks(settings.pong_timeout_ms) } else { 0 };
        self.heard.get().wrapping_add(ticks(settings.ping_interval_ms)).wrapping_add(patience)
    }
}
