//! What the client of a WebSocket that passes through sends, on its way to the application.

use super::Through;
use crate::held::Holds;
use crate::held::websocket::socket::{Closing, Socket};
use crate::ids::Slot;
use crate::proto::websocket::{ProtocolError, Seen};
use std::rc::Rc;

impl Holds {
    /// Bytes of a client whose application takes part.
    ///
    /// Every message of such a client passes here, frame by frame. A hook on messages that is to see whole ones takes them
    /// from `Socket::decode` in this place, as WebSockets over HTTP do, and frames them again for the application.
    pub(in crate::held::websocket) fn received_through(
        self: &Rc<Self>,
        slot: Slot,
        socket: &Rc<Socket>,
        through: &Through,
        bytes: &[u8],
    ) -> Result<(), ProtocolError> {
        let mut heard = Seen::default();
        let passed = through.pass(bytes, &mut heard);
        self.count_heard(slot, socket, heard);
        let full = passed?;
        if socket.closing.get() == Closing::ByDrain && through.has_client_close() {
            self.close_socket(slot, socket, false);
        } else if full {
            self.clients.pause(slot);
        }
        Ok(())
    }
}
