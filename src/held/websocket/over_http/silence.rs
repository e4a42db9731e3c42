//! Clients that fall silent: they are sent a ping, and cut if nothing comes back. A connection that is gone without a
//! word is not noticed in any other way.

use crate::context::ticks;
use crate::held::Holds;
use crate::held::websocket::socket::{Closing, Socket};
use crate::ids::Slot;
use crate::proto::websocket::{Opcode, frame};
use std::rc::Rc;

/// What this server's own pings hold, so that their pongs are told from those for the application.
const CONTENT: &[u8] = b"gripwire";

impl Holds {
    /// The client has sent something, or taken some of what it was sent.
    pub(in crate::held::websocket) fn heard(&self, socket: &Socket) {
        if let Some(over_http) = socket.over_http() {
            over_http.pings.heard.set(self.context.now());
            over_http.pings.asked.set(false);
        }
    }

    /// Whether a pong answers a ping of this server.
    pub(super) fn is_own_ping(&self, content: &[u8]) -> bool {
        self.context.settings().websocket.ping_interval_ms > 0 && content == CONTENT
    }

    /// When a WebSocket's client is next asked for a sign of life, or must have given one.
    pub(in crate::held::websocket) fn ping_due(&self, socket: &Socket) -> Option<u32> {
        let settings = &self.context.settings().websocket;
        let is_open = socket.closing.get() == Closing::No;
        let over_http = socket.over_http().filter(|_| settings.ping_interval_ms > 0 && is_open)?;
        Some(over_http.pings.due(settings))
    }

    /// Asks a silent client for a sign of life when that is due; whether it has not given one in time.
    pub(in crate::held::websocket) fn is_silent(&self, slot: Slot, socket: &Rc<Socket>) -> bool {
        let Some(due) = self.ping_due(socket) else { return false };
        let is_due = due.wrapping_sub(self.context.now()) as i32 <= 0;
        let Some(over_http) = socket.over_http().filter(|_| is_due) else { return false };
        let was_asked = over_http.pings.asked.replace(true);
        if !was_asked {
            // Its pong is due a while after the ping, however late that is.
            let interval = ticks(self.context.settings().websocket.ping_interval_ms);
            over_http.pings.heard.set(self.context.now().wrapping_sub(interval));
            self.send_if_taken(slot, frame(Opcode::Ping, CONTENT));
        }
        was_asked
    }
}
