//! What a core counts. Written by the core, read by anyone: each number by itself, without order between them.

use crate::proto::grip::{Format, Publication};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One number.
#[derive(Debug, Default)]
pub struct Metric(AtomicU64);

impl Metric {
    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        // The core is the only writer, so no atomic addition is needed.
        self.0.store(self.get().wrapping_add(amount), Ordering::Relaxed);
    }

    /// Sets the value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How much a counter has grown since it was last asked.
#[derive(Default)]
pub struct Growth(Cell<u64>);

impl Growth {
    /// The growth of `gauge` since the last call.
    pub fn of(&self, gauge: &Metric) -> u64 {
        let now = gauge.get();
        now.wrapping_sub(self.0.replace(now))
    }
}

impl Metrics {
    /// Counts an item that is published, and the blocks of its largest part, of so many bytes each, unless that is 0.
    pub fn count_published(&self, publication: &Publication, block_bytes: u32) {
        let formats = [Format::Response, Format::Stream, Format::Socket];
        let blocks = formats.iter().map(|format| publication.blocks(*format, block_bytes));
        self.publications_total.add(1);
        self.publication_blocks_total.add(blocks.max().unwrap_or_default());
    }
}

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A core's counters (`_total`, since start) and levels (now).
        // Aligned as what CPUs fetch at a time, so that no two cores write to what the other has in its cache.
        #[repr(align(128))]
        #[derive(Debug, Default)]
        pub struct Metrics { $($(#[doc = $doc])+ pub $name: Metric,)+ }

        impl Metrics {
            /// The sums over `metrics`, by name; of times that something has waited (`_longest_ms`) the longest.
            pub fn sums(metrics: &[Arc<Metrics>]) -> Vec<(&'static str, u64)> {
                vec![$({
                    let (name, of_cores) = (stringify!($name), metrics.iter().map(|metrics| metrics.$name.get()));
                    let all = match name.ends_with("_longest_ms") {
                        true => of_cores.max().unwrap_or_default(),
                        false => of_cores.sum(),
                    };
                    (name, all)
                },)+]
            }
        }
    };
}

metrics! {
    /// Client connections open now.
    connections,
    /// Conversations of SockJS that an application has, or is asked for, now. They are no connections.
    sockjs_conversations,
    /// Requests of clients that are being answered or held, and WebSockets, now.
    client_requests,
    /// Channels this core has subscribers of, or had until a moment ago.
    channels,
    /// Subscriptions in force.
    subscriptions,
    /// Channels at home on this core that some core is interested in.
    homes,
    /// Unsent bytes of all connections.
    backlog_bytes,
    /// Memory that is kept for clients, applications and channels, in the kernel too, bytes: what `memory_bytes` bounds.
    kept_bytes,
    /// Publications not yet written to all subscribers.
    pending_publications,
    /// Requests to applications that wait for their turn: for clients that may have missed something, and of filters.
    refetches_waiting,
    /// Requests to applications whose answer is not read to its end.
    open_requests,
    /// Requests to applications that wait because too many are open.
    queued_requests,
    /// Messages between cores, and to homes on the same core, that wait in front of a full ring.
    lane_messages,
    /// How long the queue of such messages that has stood still for longest has not moved, ms.
    lanes_longest_ms,
    /// Rings of the mesh that are not read because there is no room for what they bring.
    mesh_readers_waiting,
    /// For how long the one of them that has waited longest, ms.
    mesh_readers_longest_ms,
    /// Confirmations that publishers wait for.
    confirmations_waiting,
    /// For how long the oldest of them has been the oldest, ms.
    confirmations_longest_ms,
    /// Turns of the cores' loops. A core that lives takes ten a second at least.
    turns_total,
    /// Connections accepted.
    connections_total,
    /// Connections by TLS that ended in their handshake, or because their client broke the rules.
    tls_failures_total,
    /// Connections closed because they came to a port with the PROXY protocol from no proxy of `trusted_proxies`.
    untrusted_proxies_total,
    /// Connections reset because their address had as many as it may (`connections_per_address`).
    refused_connections_total,
    /// Connections reset because their address began too many within a second (`new_connections_per_address_per_s`).
    refused_new_connections_total,
    /// Connections reset because their address began too many handshakes of TLS within a second.
    refused_handshakes_total,
    /// Requests read.
    requests_total,
    /// Requests of clients read.
    client_requests_total,
    /// Time of all of them together, ms.
    client_requests_ms_total,
    /// Requests refused because they were malformed.
    bad_requests_total,
    /// Requests that were not made because they had waited for too long while too many others were open.
    queue_timeouts_total,
    /// Requests refused because their bodies came more slowly than `min_request_bytes_per_s`.
    slow_bodies_total,
    /// Connections reset because their clients took what they were sent more slowly than `min_answer_bytes_per_s`.
    slow_readers_total,
    /// WebSockets that were closed because a message was late, or there was no room for it.
    refused_messages_total,
    /// Conversations of SockJS that were refused because there were as many as there may be.
    refused_conversations_total,
    /// Long polls that were not held because too much is kept for others.
    refused_holds_total,
    /// Requests to the control port that a page in a browser may have made, or that were for another host: refused.
    refused_pages_total,
    /// Requests to the control port with a wrong secret.
    wrong_secrets_total,
    /// Those of them that were refused without delay, because too many others were being delayed.
    undelayed_wrong_secrets_total,
    /// Holds opened.
    holds_total,
    /// Subscriptions refused because their client had as many as a client may have.
    refused_subscriptions_total,
    /// Signs of life sent to streams.
    keep_alives_total,
    /// Next links asked for.
    refetches_total,
    /// Items published through this core.
    publications_total,
    /// Their blocks of `message_block_bytes`, where these are set; of each its largest part counts.
    publication_blocks_total,
    /// Times a publisher had to wait because the mesh was full.
    publish_waits_total,
    /// Publish calls refused because the mesh stayed full.
    refused_publishes_total,
    /// Datagrams whose items were published.
    datagrams_total,
    /// Datagrams refused: malformed, too long, or of a user who may not publish.
    bad_datagrams_total,
    /// Datagrams dropped here because the mesh was full.
    dropped_datagrams_total,
    /// Datagrams dropped by the kernel because they came faster than they were received.
    kernel_dropped_datagrams_total,
    /// Messages of ZeroMQ whose items were published.
    zeromq_messages_total,
    /// Messages of ZeroMQ refused because they were malformed.
    bad_zeromq_messages_total,
    /// Requests that filters made to applications.
    filter_requests_total,
    /// Messages that a subscriber did not get because its filters failed, or too many waited for them.
    filter_failures_total,
    /// Messages written to subscribers, gathered ones counted once.
    deliveries_total,
    /// Answers to long polls by items, one for each.
    response_messages_total,
    /// Items for streams, one for each stream.
    stream_messages_total,
    /// Items for WebSockets, one for each WebSocket.
    socket_messages_total,
    /// StatsBatch of the stats socket that were lost because there were too many.
    lost_stats_total,
    /// Connections whose backlog was full.
    overflows_total,
    /// Clients that were reset because memory was short and they kept most.
    memory_closed_total,
    /// Clients and requests that were refused because memory was short.
    memory_refused_total,
}
