//! The scenarios: the subscribers, their transport, and the messages. The sizes show differences between servers of this
//! kind on a machine with two CPUs and 20,000 open files.

use crate::servers::{CONNECTIONS_PER_PROCESS, Server};
use gripwire_loadgen::{Layout, Target, Transport};
use std::time::Duration;

/// A load that every server gets.
pub struct Scenario {
    pub name: &'static str,
    /// A description in words.
    pub what: &'static str,
    pub transport: Transport,
    pub subscribers: u32,
    pub layout: Layout,
    /// Size of a message.
    pub bytes: usize,
    /// Percentage of subscribers that never read.
    pub stall_percent: u32,
    pub load: Load,
    /// Whether two builds are compared by this scenario by default.
    pub tells_builds_apart: bool,
}

/// The load in a round.
pub enum Load {
    /// `messages` messages in calls of `batch`, as fast as the server takes them.
    Messages { messages: u64, batch: u32 },
    /// Messages for a time, as fast as the server takes them. Clients discard input, so that they keep up.
    Continuous(Duration),
    /// `messages` messages on a schedule.
    Paced { messages: u64, rate_hz: f64 },
    /// All subscribers connect at once, to a server that was just started.
    Storm,
}

impl Scenario {
    /// Whether `server` can run the scenario. Some servers have one process, which the limit of open files bounds, and the
    /// floor cannot keep a schedule.
    pub fn is_for(&self, server: &Server) -> bool {
        match (server, &self.load) {
            (Server::Floor, Load::Storm | Load::Paced { .. }) => false,
            (Server::Floor | Server::Gripwire | Server::Other(_), _) => true,
            (Server::Nchan | Server::Pushpin, _) => self.subscribers <= CONNECTIONS_PER_PROCESS,
        }
    }

    /// Whether clients discard input. With many messages in short time, they would be slower than the server otherwise.
    pub fn drains(&self) -> bool {
        matches!(self.load, Load::Continuous(_) | Load::Messages { messages: 2.., batch: 1 })
    }

    /// Number of messages in the floor's round.
    pub fn floor_messages(&self) -> u64 {
        match self.load {
            Load::Messages { messages, .. } if self.layout == Layout::One => messages,
            Load::Continuous(_) => 20,
            _ => 1,
        }
    }

    /// Number of turns that each of two builds has before both are started again. It is even, because the builds alternate
    /// in being first. Shorter scenarios have more turns.
    pub fn turns(&self) -> u32 {
        match self.load {
            Load::Messages { .. } => 12,
            Load::Continuous(_) | Load::Paced { .. } | Load::Storm => 2,
        }
    }

    /// Bytes that a subscriber of `target` receives for a message, as far as they are known beforehand.
    pub fn wire_bytes(&self, target: &Target) -> usize {
        // nchan sends the posted body, which ends with a line feed.
        let content = self.bytes + usize::from(*target == Target::Nchan);
        match (self.transport, content) {
            (Transport::Websocket, 0..=125) => 2 + content,
            (Transport::Websocket, 126..=65_535) => 4 + content,
            (Transport::Websocket, _) => 10 + content,
            _ => {
                let event = "data: \n\n".len() + content;
                format!("{event:x}\r\n\r\n").len() + event
            }
        }
    }
}

/// The names, for the command line.
pub fn names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).collect()
}

const BASE: Scenario = Scenario {
    name: "",
    what: "",
    transport: Transport::Sse,
    subscribers: 15_000,
    layout: Layout::One,
    bytes: 100,
    stall_percent: 0,
    load: Load::Messages { messages: 1, batch: 1 },
    tells_builds_apart: false,
};
const SOCKETS: Scenario = Scenario { transport: Transport::Websocket, ..BASE };
const PACED: Load = Load::Paced { messages: 100, rate_hz: 25.0 };

/// All scenarios, in the order in which they are run.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "sse-1k", what: "one message to 1,000 SSE subscribers", subscribers: 1000, ..BASE },
    Scenario {
        name: "sse-15k",
        what: "one message to 15,000 SSE subscribers",
        tells_builds_apart: true,
        ..BASE
    },
    Scenario { name: "ws-1k", what: "one message to 1,000 WebSockets", subscribers: 1000, ..SOCKETS },
    Scenario {
        name: "ws-15k",
        what: "one message to 15,000 WebSockets",
        tells_builds_apart: true,
        ..SOCKETS
    },
    Scenario {
        name: "ws-1KiB",
        what: "one message of 1 KiB to 5,000 WebSockets",
        subscribers: 5000,
        bytes: 1024,
        ..SOCKETS
    },
    Scenario {
        name: "ws-16KiB",
        what: "one message of 16 KiB to 1,000 WebSockets",
        subscribers: 1000,
        bytes: 16 * 1024,
        ..SOCKETS
    },
    Scenario {
        name: "burst",
        what: "20 messages back to back to 5,000 WebSockets",
        subscribers: 5000,
        load: Load::Messages { messages: 20, batch: 1 },
        tells_builds_apart: true,
        ..SOCKETS
    },
    Scenario {
        name: "flood-1k",
        what: "messages as fast as they are taken, for 2 s, to 1,000 WebSockets",
        subscribers: 1000,
        load: Load::Continuous(Duration::from_secs(2)),
        ..SOCKETS
    },
    Scenario {
        name: "flood-15k",
        what: "messages as fast as they are taken, for 2 s, to 15,000 WebSockets",
        load: Load::Continuous(Duration::from_secs(2)),
        ..SOCKETS
    },
    Scenario {
        name: "channels",
        what: "a message to each of 10,000 channels with one WebSocket",
        subscribers: 10_000,
        layout: Layout::Each,
        load: Load::Messages { messages: 10_000, batch: 100 },
        tells_builds_apart: true,
        ..SOCKETS
    },
    Scenario {
        name: "storm",
        what: "15,000 SSE subscribers connect at once, through their application",
        load: Load::Storm,
        tells_builds_apart: true,
        ..BASE
    },
    Scenario {
        name: "paced",
        what: "25 messages of 16 KiB a second to 500 WebSockets",
        subscribers: 500,
        bytes: 16 * 1024,
        load: PACED,
        ..SOCKETS
    },
    Scenario {
        name: "slow",
        what: "the same, and 1 of 100 never reads; latencies are the others'",
        subscribers: 500,
        bytes: 16 * 1024,
        stall_percent: 1,
        load: PACED,
        ..SOCKETS
    },
    Scenario {
        name: "sse-100k",
        what: "one message to 100,000 SSE subscribers",
        subscribers: 100_000,
        ..BASE
    },
];
