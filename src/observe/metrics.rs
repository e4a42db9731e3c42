//! The counters and levels of a core. Only the core writes them, and any thread may read them. Each number is read
//! by itself: two numbers that are read together may be from different moments.

use crate::proto::grip::{Format, Publication};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One counter or level.
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

/// Measures how much a counter has grown since the last measurement.
#[derive(Default)]
pub struct Growth(Cell<u64>);

impl Growth {
    /// The growth of the counter `metric` since the last call.
    pub fn of(&self, metric: &Metric) -> u64 {
        let now = metric.get();
        now.wrapping_sub(self.0.replace(now))
    }
}

impl Metrics {
    /// Counts a published item. If `block_bytes` is not 0, also counts how many blocks of `block_bytes` the item's
    /// largest part has.
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
        // CPUs fetch 128 bytes at a time, so this alignment keeps two cores from writing to the same cached bytes.
        #[repr(align(128))]
        #[derive(Debug, Default)]
        pub struct Metrics { $($(#[doc = $doc])+ pub $name: Metric,)+ }

        impl Metrics {
            /// The sums over `metrics`, by name. For the longest waits (`_longest_ms`), the maximum in place of the
            /// sum.
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
    /// SockJS conversations that are open at an application, or that an application is being asked to open, now.
    /// They do not count as connections.
    sockjs_conversations,
    /// Requests of clients that are being answered or held, and WebSockets, now.
    client_requests,
    /// Connections of clients, and tasks that may still have something to tell an application, now. A drain waits for them.
    unfinished,
    /// Channels that this core listens to: channels with subscribers here, and channels whose last subscriber left
    /// a moment ago.
    channels,
    /// Subscriptions in force.
    subscriptions,
    /// Channels whose home is this core and in which some core is interested.
    homes,
    /// Unsent bytes of all connections.
    backlog_bytes,
    /// Memory kept for clients, applications and channels, including memory in the kernel, bytes. `memory_bytes`
    /// bounds it.
    kept_bytes,
    /// The part of `kept_bytes` that is booked for an owner: requests, long polls, WebSocket messages, waiting items.
    booked_bytes,
    /// Publications not yet written to all subscribers.
    pending_publications,
    /// Refetches and filter requests that wait for a permit.
    refetches_waiting,
    /// Requests to applications whose answer has not been read to its end.
    open_requests,
    /// Requests to applications that wait because `open_requests_per_core` are open.
    queued_requests,
    /// Messages between cores, and to homes on the same core, that wait in front of a full ring.
    lane_messages,
    /// How long the lane with waiting messages that has not moved for the longest time has not moved, ms.
    lanes_longest_ms,
    /// Rings of the mesh that are not read because there is no room for their messages.
    mesh_readers_waiting,
    /// How long the longest-waiting reader of a ring has waited for room, ms.
    mesh_readers_longest_ms,
    /// Confirmations that publishers wait for.
    confirmations_waiting,
    /// How long the oldest awaited confirmation has been the oldest, ms.
    confirmations_longest_ms,
    /// Turns of the cores' loops. A core that is not stuck takes at least ten a second.
    turns_total,
    /// Connections accepted.
    connections_total,
    /// TLS connections that failed in their handshake, or because their client broke the protocol.
    tls_failures_total,
    /// Connections closed because they came to a port with the PROXY protocol from a peer that is not in
    /// `trusted_proxies`.
    untrusted_proxies_total,
    /// Connections reset because their address had reached its limit of open connections
    /// (`connections_per_address`).
    refused_connections_total,
    /// Connections reset because their address opened too many within a second
    /// (`new_connections_per_address_per_s`).
    refused_new_connections_total,
    /// Connections reset because their address began too many TLS handshakes within a second.
    refused_handshakes_total,
    /// Requests read.
    requests_total,
    /// Requests of clients read.
    client_requests_total,
    /// Total duration of all requests of clients that have ended, ms.
    client_requests_ms_total,
    /// Requests refused because they were malformed.
    bad_requests_total,
    /// Requests to applications that were given up because they had waited longer than `queue_timeout_ms` for their
    /// turn.
    queue_timeouts_total,
    /// Requests refused because their bodies came more slowly than `min_request_bytes_per_s`.
    slow_bodies_total,
    /// Connections reset because their clients read more slowly than `min_answer_bytes_per_s`.
    slow_readers_total,
    /// WebSockets closed because a message was not complete in time, or there was no room for it.
    refused_messages_total,
    /// SockJS conversations refused because there were as many as `sockjs_conversations` allows.
    refused_conversations_total,
    /// Long polls not held because the core keeps too many bytes for long polls already (`held_bytes_per_core`).
    refused_holds_total,
    /// Requests to the control port refused because a page in a browser may have made them, or because they named
    /// another host.
    refused_pages_total,
    /// Requests to the control port with a wrong secret.
    wrong_secrets_total,
    /// Requests with a wrong secret that were refused without delay, because too many others were being delayed.
    undelayed_wrong_secrets_total,
    /// Holds opened.
    holds_total,
    /// Subscriptions refused because their client had reached its limit (`subscriptions_per_connection`).
    refused_subscriptions_total,
    /// Keep-alives sent to streams.
    keep_alives_total,
    /// Requests for the next link of a stream.
    refetches_total,
    /// Items published through this core.
    publications_total,
    /// Blocks of `message_block_bytes` in the published items, if that setting is set; only the largest part of
    /// each item counts.
    publication_blocks_total,
    /// Times a publisher had to wait because the mesh was full.
    publish_waits_total,
    /// Publish calls refused because the mesh stayed full.
    refused_publishes_total,
    /// Datagrams whose items were published.
    datagrams_total,
    /// Datagrams refused: malformed, too long, or from a user without permission to publish.
    bad_datagrams_total,
    /// Datagrams dropped here because the mesh was full.
    dropped_datagrams_total,
    /// Datagrams dropped by the kernel because they came faster than they were received.
    kernel_dropped_datagrams_total,
    /// ZeroMQ messages whose items were published.
    zeromq_messages_total,
    /// ZeroMQ messages refused because they were malformed.
    bad_zeromq_messages_total,
    /// Requests to applications that filters made.
    filter_requests_total,
    /// Messages dropped for one subscriber because its filters failed, or because too many messages waited for
    /// them.
    filter_failures_total,
    /// Messages written to subscribers; messages that were written together count once.
    deliveries_total,
    /// Long polls answered with an item.
    response_messages_total,
    /// Items sent to streams, counted once for each stream.
    stream_messages_total,
    /// Items sent to WebSockets, counted once for each WebSocket.
    socket_messages_total,
    /// Events for the stats socket that were dropped because too many waited.
    lost_stats_total,
    /// Connections whose backlog was full.
    overflows_total,
    /// Clients reset because memory was short and they kept the most.
    memory_closed_total,
    /// Clients and requests refused because memory was short.
    memory_refused_total,
}
