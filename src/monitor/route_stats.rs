//! Statistics of one route on one core, for the reports of the stats socket. A core hands over the statistics since its
//! last batch.

use crate::proto::websocket::Seen;

/// The statistics of a route.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RouteStats {
    /// Current number of connections: requests that are being answered or held, and WebSockets.
    pub connections: u64,
    /// Most connections at the same time.
    pub most: u64,
    /// Connections that began.
    pub begun: u64,
    /// Requests, keep-alives of streams, and WebSockets with traffic, each at most once a minute.
    pub activity: u64,
    /// Items sent, counted once for each receiver.
    pub sent: u64,
    /// Items sent as answers of long polls.
    pub responses_sent: u64,
    /// Blocks of all items sent, if blocks are counted.
    pub blocks_sent: u64,
    /// Traffic between this server and clients.
    pub client: Traffic,
    /// Traffic between this server and the origin.
    pub server: Traffic,
}

/// Traffic in both directions, as seen by this server.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// Traffic from the other side.
    pub received: Volume,
    /// Traffic to the other side.
    pub sent: Volume,
}

/// The amount of traffic in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Volume {
    /// Methods, targets, codes, reasons, names and values of header fields, without separators.
    pub header_bytes: u64,
    /// Bodies and message contents, without framing.
    pub content_bytes: u64,
    /// WebSocket messages.
    pub messages: u64,
}

impl RouteStats {
    /// Adds later statistics.
    pub fn add(&mut self, later: &RouteStats) {
        self.connections = later.connections;
        self.most = self.most.max(later.most);
        self.begun += later.begun;
        self.activity += later.activity;
        self.sent += later.sent;
        self.responses_sent += later.responses_sent;
        self.blocks_sent += later.blocks_sent;
        self.client.add(&later.client);
        self.server.add(&later.server);
    }

    /// Takes the statistics. Only the current number of connections stays.
    pub fn take(&mut self) -> RouteStats {
        let now =
            RouteStats { connections: self.connections, most: self.connections, ..RouteStats::default() };
        std::mem::replace(self, now)
    }
}

impl Traffic {
    fn add(&mut self, later: &Traffic) {
        self.received.add(&later.received);
        self.sent.add(&later.sent);
    }
}

impl Volume {
    /// Counts messages of a WebSocket.
    pub fn saw(&mut self, seen: Seen) {
        self.messages += seen.messages;
        self.content_bytes += seen.bytes;
    }

    fn add(&mut self, later: &Volume) {
        self.header_bytes += later.header_bytes;
        self.content_bytes += later.content_bytes;
        self.messages += later.messages;
    }
}
