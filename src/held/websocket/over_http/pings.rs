//! When a client was last heard, and when it is sent a ping.

use crate::config::WebSocket;
use crate::context::ticks;
use std::cell::Cell;

/// When a client was last heard.
pub(super) struct Pings {
    /// Tick of the last bytes; once a ping was sent, the tick from which they would make it due then.
    pub heard: Cell<u32>,
    /// A ping was sent since.
    pub asked: Cell<bool>,
}

impl Pings {
    pub fn new(now: u32) -> Pings {
        Pings { heard: Cell::new(now), asked: Cell::new(false) }
    }

    /// When the next ping is due, or its pong must have come.
    pub fn due(&self, settings: &WebSocket) -> u32 {
        let patience = if self.asked.get() { ticks(settings.pong_timeout_ms) } else { 0 };
        self.heard.get().wrapping_add(ticks(settings.ping_interval_ms)).wrapping_add(patience)
    }
}
