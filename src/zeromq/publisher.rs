//! The stats socket. Nobody is waited for: who does not listen fast enough loses some of it.

use crate::config::StatsFormat;
use crate::monitor::Packet;
use zmq::{DONTWAIT, Socket};

/// A PUB socket.
pub struct Publisher {
    socket: Socket,
    format: StatsFormat,
    /// What this process calls itself.
    from: String,
}

impl Publisher {
    /// Says things on `socket`.
    pub fn new(socket: Socket, format: StatsFormat) -> Publisher {
        Publisher { socket, format, from: format!("gripwire_{}", std::process::id()) }
    }

    /// Says everything in `packets`, and leaves none.
    pub fn say(&self, packets: &mut Vec<Packet>) {
        for packet in packets.drain(..) {
            // A PUB socket always takes a message, and drops it for whom there is no room.
            let _ = self.socket.send(packet.encode(&self.from, self.format), DONTWAIT);
        }
    }
}
