//! What is counted for one route on one core, for the reports of the stats socket. A core hands over what has come since it
//! last did.

use crate::proto::websocket::Seen;

/// Figures of a route.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RouteStats {
    /// Requests that are being answered or held, and WebSockets, now.
    pub connections: u64,
    /// The most of them at a time.
    pub most: u64,
    /// Those that began.
    pub begun: u64,
    /// Requests, signs of life, and WebSockets that something went through, each once a minute at most.
    pub activity: u64,
    /// Items sent, one for each receiver.
    pub sent: u64,
    /// Those of them that answered long polls.
    pub responses_sent: u64,
    /// Blocks of all items sent, where they are counted in blocks.
    pub blocks_sent: u64,
    /// What went to and fro between this server and clients.
    pub client: Traffic,
    /// The same with the application.
    pub server: Traffic,
}

/// Both directions, as this server sees them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// From the other side.
    pub received: Volume,
    /// To the other side.
    pub sent: Volume,
}

/// How much there was of each.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Volume {
    /// Methods, targets, codes, reasons, names and values of header fields, without what stands between them.
    pub header_bytes: u64,
    /// Bodies, and contents of messages, without their framing.
    pub content_bytes: u64,
    /// Messages of WebSockets.
    pub messages: u64,
}

impl RouteStats {
    /// Counts what came later too.
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

    /// Takes everything out but what there is now.
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
    /// Messages of a WebSocket.
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
