//! Counts the messages of a WebSocket for its route.

use super::socket::Socket;
use crate::held::Holds;
use crate::ids::Slot;
use crate::proto::websocket::{Relayed, Seen};

impl Holds {
    /// Counts messages from the client in `slot` to its application.
    pub(super) fn count_heard(&self, slot: Slot, socket: &Socket, heard: Seen) {
        self.clients.count_for(slot, |route_stats| {
            route_stats.client.received.saw(heard);
            route_stats.server.sent.saw(heard);
            route_stats.activity += u64::from(socket.is_active(self.context.now()));
        });
    }

    /// Counts messages from the application, and those of them that go to the client in `slot`.
    pub(super) fn count_relayed(&self, slot: Slot, socket: &Socket, relayed: Relayed) {
        self.clients.count_for(slot, |route_stats| {
            route_stats.server.received.saw(relayed.said);
            route_stats.client.sent.saw(relayed.passed);
            route_stats.activity += u64::from(socket.is_active(self.context.now()));
        });
    }
}
