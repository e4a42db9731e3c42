//! What the parent and its workers say to each other: JSON, a line each. The parent's orders come on a worker's standard
//! input, whose end is the order to end; the worker's reports go to its standard output.

use crate::latency::Latencies;
use crate::layout::Layout;
use crate::target::Subscription;
use crate::transport::{Mix, Transport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

/// From the parent to a worker.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// The first: hold these subscribers.
    Open(Box<Assignment>),
    /// Report every change of the counts at once.
    Watch(bool),
    /// Settle the accounts; what was published to each channel of this worker.
    Collect(Vec<(u32, u32)>),
}

/// The subscribers of one worker.
#[derive(Serialize, Deserialize)]
pub(crate) struct Assignment {
    /// The number of the first in the whole fleet.
    pub first: u32,
    pub subscribers: u32,
    pub layout: Layout,
    /// What channels' names begin with; their number follows.
    pub prefix: String,
    pub mix: Mix,
    pub subscriptions: BTreeMap<Transport, Subscription>,
    pub destinations: Vec<SocketAddrV4>,
    /// Where connections come from; the kernel chooses when there are none.
    pub sources: Vec<Ipv4Addr>,
    /// Connections being opened at a time.
    pub window: u32,
    /// Connections begun in a second; 0 is no limit.
    pub rate_hz: f64,
    /// The longest the opening may take.
    pub opening_ms: u64,
    /// Throw away what arrives and count bytes only.
    pub drain: bool,
    /// How many of a hundred never read once they are open.
    pub stall_percent: u32,
    pub cpu: Option<usize>,
}

/// From a worker to the parent.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Report {
    /// All connections are open or have failed.
    Opened { seconds: f64 },
    /// How things stand.
    Progress(Box<Progress>),
    /// The accounts since the last collection.
    Collected(Box<RouteStats>),
    /// The worker cannot go on.
    Broken(String),
}

/// How a worker stands. Counts are totals since its start.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub open: u32,
    pub failed: u32,
    /// Why the first one failed.
    pub failure: Option<String>,
    /// Open ones that the server has ended.
    pub closed: u32,
    /// Since the connections were open.
    pub bytes: u64,
    pub messages: u64,
    /// Latencies since the last such report.
    pub recent: Option<Latencies>,
}

/// What subscribers received, and what they did not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteStats {
    /// Deliveries there should be since the last collection, to subscribers that were open and read.
    pub expected: u64,
    /// Deliveries that came for the first time, of subscribers that read.
    pub received: u64,
    /// Deliveries that never came to subscribers of streams, events and WebSockets.
    pub lost: u64,
    /// Messages that were published while a long poll was between two requests.
    pub missed_between_polls: u64,
    /// Deliveries that came again.
    pub duplicates: u64,
    /// Deliveries that came after a message that was published later.
    pub out_of_order: u64,
    /// Arrivals that are no message of the subscriber's channel.
    pub foreign: u64,
    /// From when messages were due until they were received.
    pub latencies: Latencies,
}

impl RouteStats {
    /// Nothing yet.
    pub fn empty() -> RouteStats {
        RouteStats {
            expected: 0,
            received: 0,
            lost: 0,
            missed_between_polls: 0,
            duplicates: 0,
            out_of_order: 0,
            foreign: 0,
            latencies: Latencies::precise(),
        }
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &RouteStats) {
        self.expected += other.expected;
        self.received += other.received;
        self.lost += other.lost;
        self.missed_between_polls += other.missed_between_polls;
        self.duplicates += other.duplicates;
        self.out_of_order += other.out_of_order;
        self.foreign += other.foreign;
        self.latencies.add(&other.latencies);
    }
}

impl Assignment {
    /// Whether a subscriber never reads.
    pub fn stalls(&self, subscriber: u32) -> bool {
        stalls(&self.mix, self.stall_percent, subscriber)
    }
}

/// Whether a subscriber never reads. Whole rounds of the mix stall, so that every transport has its share of them.
pub(crate) fn stalls(mix: &Mix, stall_percent: u32, subscriber: u32) -> bool {
    let round = u64::from(subscriber / mix.shares());
    let percent = u64::from(stall_percent.min(100));
    (round + 1) * percent / 100 > round * percent / 100
}
