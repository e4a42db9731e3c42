//! The stats socket, a PUB socket. It never waits for subscribers: a slow subscriber loses messages.

use crate::config::StatsFormat;
use crate::monitor::Packet;
use zmq::{DONTWAIT, Socket};

/// A PUB socket.
pub struct Publisher {
    socket: Socket,
    format: StatsFormat,
    /// The name of this process in messages.
    from: String,
}

impl Publisher {
    /// Sends messages on `socket`.
    pub fn new(socket: Socket, format: StatsFormat) -> Publisher {
        Publisher { socket, format, from: format!("gripwire_{}", std::process::id()) }
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends all of `packets` and empties it.
    pub fn say(&self, packets: &mut Vec<Packet>) {
        for packet in packets.drain(..) {
            // A PUB socket accepts every message, and drops it for subscribers whose queue is full.
            let _ = self.socket.send(packet.encode(&self.from, self.format), DONTWAIT);
        }
    }
}
