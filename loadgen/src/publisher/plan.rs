//! What is to be published, where, and how fast.

use crate::target::Target;
use crate::transport::Mix;
use std::net::SocketAddr;
use std::time::Duration;

/// What is to be published.
#[derive(Clone, Debug)]
pub struct PublishPlan {
    /// The server.
    pub target: Target,
    /// Where it takes messages.
    pub address: SocketAddr,
    /// How they reach it.
    pub via: Via,
    /// Connections, or sockets; channels are shared among them.
    pub connections: u32,
    /// Publish calls under way on one connection; the preset's choice when absent.
    pub calls_in_flight: Option<usize>,
    /// What channels' names begin with; their number follows.
    pub prefix: String,
    /// The channels, which take turns.
    pub channels: Vec<u32>,
    /// The transports that listen.
    pub mix: Mix,
    /// Bytes of a message.
    pub size_bytes: usize,
    /// Messages in a call.
    pub batch: u32,
    /// Messages a second; 0 is as fast as they are taken.
    pub rate_hz: f64,
    /// How many messages; without a number, until the time is over.
    pub messages: Option<u64>,
    /// For how long.
    pub duration: Option<Duration>,
}

/// How messages reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// POST requests on kept connections.
    Http,
    /// A publish call in each datagram.
    Udp,
}
