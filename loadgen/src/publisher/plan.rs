//! The plan of a publisher: messages, address and rate.

use crate::target::Target;
use crate::transport::Mix;
use std::net::SocketAddr;
use std::time::Duration;

/// The plan of a publisher.
#[derive(Clone, Debug)]
pub struct PublishPlan {
    /// The server.
    pub target: Target,
    /// The address for publishing.
    pub address: SocketAddr,
    /// The transport of messages to the server.
    pub via: Via,
    /// Number of connections or UDP sockets; channels are divided among them.
    pub connections: u32,
    /// Most publish calls in flight on one connection; `None` means the preset's number.
    pub calls_in_flight: Option<usize>,
    /// Prefix of the channels' names; the channel's number follows.
    pub prefix: String,
    /// The channels, used in turn.
    pub channels: Vec<u32>,
    /// The transports of the subscribers.
    pub mix: Mix,
    /// Bytes of a message.
    pub size_bytes: usize,
    /// Messages in a call.
    pub batch: u32,
    /// Messages per second; 0 means as fast as the server takes them.
    pub rate_hz: f64,
    /// Number of messages; `None` means until the time is over.
    pub messages: Option<u64>,
    /// Whether a datagram that nobody receives is no failure, as while the server is restarted.
    pub outlives_server: bool,
    /// Time of publishing.
    pub duration: Option<Duration>,
}

/// The transport of messages to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// POST requests on kept connections.
    Http,
    /// A publish call in each datagram.
    Udp,
}
