//! The messages between the parent and its workers, one JSON line each. The parent's orders come on a worker's standard
//! input; the end of the input is the order to end. The worker's reports go to its standard output.

use crate::latency::Latencies;
use crate::layout::Layout;
use crate::target::Subscription;
use crate::transport::{Mix, Transport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

/// An order from the parent to a worker.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// The first order: hold these subscribers.
    Open(Box<Assignment>),
    /// Whether to report every change of the counts at once.
    Watch(bool),
    /// Report the results. The list has the number of messages published to each channel of this worker.
    Collect(Vec<(u32, u32)>),
}

/// The subscribers of one worker.
#[derive(Serialize, Deserialize)]
pub(crate) struct Assignment {
    /// The number of the first subscriber in the whole fleet.
    pub first: u32,
    pub subscribers: u32,
    pub layout: Layout,
    /// Prefix of the channels' names; the channel's number follows.
    pub prefix: String,
    pub mix: Mix,
    pub subscriptions: BTreeMap<Transport, Subscription>,
    pub destinations: Vec<SocketAddrV4>,
    /// Source addresses of connections; if empty, the kernel chooses.
    pub sources: Vec<Ipv4Addr>,
    /// Most connections that are being opened at the same time.
    pub window: u32,
    /// Connections opened per second; 0 means no limit.
    pub rate_hz: f64,
    /// Most time for the opening.
    pub opening_ms: u64,
    /// Discard input and only count its bytes.
    pub drain: bool,
    /// Percentage of subscribers that never read after they are open.
    pub stall_percent: u32,
    /// Open subscribers that the server ends connect again.
    pub returns: bool,
    pub cpu: Option<usize>,
}

/// A report from a worker to the parent.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Report {
    /// All connections are open or have failed.
    Opened { seconds: f64 },
    /// The current counts.
    Progress(Box<Progress>),
    /// The results since the last collection.
    Collected(Box<DeliveryStats>),
    /// The worker failed.
    Broken(String),
}

/// The progress of a worker. Counts are totals since the worker's start.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub open: u32,
    pub failed: u32,
    /// Why the first subscriber failed.
    pub failure: Option<String>,
    /// Open subscribers that the server has ended.
    pub closed: u32,
    /// Subscribers that were ended and are open again.
    pub returned: u32,
    /// Bytes received since the connections were open.
    pub bytes: u64,
    pub messages: u64,
    /// Latencies since the last report that had some.
    pub recent: Option<Latencies>,
}

/// The deliveries that subscribers received and missed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryStats {
    /// Expected deliveries since the last collection, to subscribers that were open and read.
    pub expected: u64,
    /// Deliveries received for the first time, by subscribers that read.
    pub received: u64,
    /// Deliveries lost by subscribers of streams, events and WebSockets.
    pub lost: u64,
    /// Messages that were published while a long poll's client was between two requests.
    pub missed_between_polls: u64,
    /// Repeated deliveries.
    pub duplicates: u64,
    /// Deliveries received after a message that was published later.
    pub out_of_order: u64,
    /// Received data that is not a message of the subscriber's channel.
    pub foreign: u64,
    /// Times from when messages were due until they were received.
    pub latencies: Latencies,
    /// The longest time of any open subscriber without a message, from its first message on, ms.
    pub longest_silence_ms: u32,
}

impl DeliveryStats {
    /// Empty counts.
    pub fn empty() -> DeliveryStats {
        DeliveryStats {
            expected: 0,
            received: 0,
            lost: 0,
            missed_between_polls: 0,
            duplicates: 0,
            out_of_order: 0,
            foreign: 0,
            latencies: Latencies::precise(),
            longest_silence_ms: 0,
        }
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &DeliveryStats) {
        self.expected += other.expected;
        self.received += other.received;
        self.lost += other.lost;
        self.missed_between_polls += other.missed_between_polls;
        self.duplicates += other.duplicates;
        self.out_of_order += other.out_of_order;
        self.foreign += other.foreign;
        self.latencies.add(&other.latencies);
        self.longest_silence_ms = self.longest_silence_ms.max(other.longest_silence_ms);
    }
}

impl Assignment {
    /// Whether a subscriber never reads after it is open.
    pub fn stalls(&self, subscriber: u32) -> bool {
        stalls(&self.mix, self.stall_percent, subscriber)
    }
}

/// Whether a subscriber never reads. Whole rounds of the mix stall, so that every transport has its share of stalled
/// subscribers.
pub(crate) fn stalls(mix: &Mix, stall_percent: u32, subscriber: u32) -> bool {
    let round = u64::from(subscriber / mix.shares());
    let percent = u64::from(stall_percent.min(100));
    (round + 1) * percent / 100 > round * percent / 100
}
