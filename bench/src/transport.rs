//! How the clients of a run subscribe, and what they are then sent.

/// A client's transport.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// An HTTP stream
    Stream,
    /// A WebSocket that the application sees as HTTP requests
    Websocket,
}

impl Transport {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Stream => "stream",
            Transport::Websocket => "websocket",
        }
    }

    /// The request that subscribes to `channel` of the built-in application.
    pub fn request(self, channel: &str) -> String {
        match self {
            Transport::Stream => format!("GET /hold?channel={channel} HTTP/1.1\r\nHost: bench\r\n\r\n"),
            Transport::Websocket => format!(
                "GET /socket?channel={channel} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ),
        }
    }

    /// What ends the answer to it.
    pub fn opened(self) -> &'static [u8] {
        match self {
            Transport::Stream => b"held\n\r\n",
            Transport::Websocket => b"\x81\x04held",
        }
    }

    /// The format that publishes `content` to such clients.
    pub fn format(self, content: &str) -> String {
        let format = match self {
            Transport::Stream => "http-stream",
            Transport::Websocket => "ws-message",
        };
        format!("\"{format}\":{{\"content\":\"{content}\"}}")
    }

    /// Bytes that a client is sent for a message of `bytes`.
    pub fn wire_bytes(self, bytes: usize) -> usize {
        let around = match (self, bytes) {
            (Transport::Stream, _) => format!("{bytes:x}\r\n\r\n").len(),
            (Transport::Websocket, 0..=125) => 2,
            (Transport::Websocket, 126..=65_535) => 4,
            (Transport::Websocket, _) => 10,
        };
        around + bytes
    }
}
