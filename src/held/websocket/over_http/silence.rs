//! Finds clients that have fallen silent: they are sent a ping, and are reset if nothing comes back. A connection that
//! broke without a FIN or a reset cannot be noticed in any other way.

use crate::context::ticks;
use crate::held::Holds;
use crate::held::websocket::socket::{Closing, Socket};
use crate::ids::Slot;
use crate::proto::websocket::{Opcode, frame};
use std::rc::Rc;

/// The content of this server's own pings. It tells their pongs from those for the application.
const CONTENT: &[u8] = b"gripwire";

impl Holds {
    /// Notes that the client has sent something, or has taken some of its backlog.
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

    /// The tick at which the client must be sent a ping, or at which its pong must have come.
    pub(in crate::held::websocket) fn ping_due(&self, socket: &Socket) -> Option<u32> {
        let settings = &self.context.settings().websocket;
        let is_open = socket.closing.get() == Closing::No;
        let over_http = socket.over_http().filter(|_| settings.ping_interval_ms > 0 && is_open)?;
        Some(over_http.pings.due(settings))
    }

    /// Sends a silent client a ping if that is due. Returns whether the client has not answered a ping in time.
    pub(in crate::held::websocket) fn is_silent(&self, slot: Slot, socket: &Rc<Socket>) -> bool {
        let Some(due) = self.ping_due(socket) else { return false };
        let is_due = due.wrapping_sub(self.context.now()) as i32 <= 0;
        let Some(over_http) = socket.over_http().filter(|_| is_due) else { return false };
        let was_asked = over_http.pings.asked.replace(true);
        if !was_asked {
            // The time for the pong begins with the ping, even if the ping was sent late.
            let interval = ticks(self.context.settings().websocket.ping_interval_ms);
            over_http.pings.heard.set(self.context.now().wrapping_sub(interval));
            self.send_if_taken(slot, frame(Opcode::Ping, CONTENT));
        }
        was_asked
    }
}
