//! The totals that Pushpin reports for a server, computed from the counters of the cores.

use super::metrics::Metrics;
use std::sync::Arc;

/// Totals over all cores.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PushpinTotals {
    /// Requests of clients that are open now.
    pub requests: u64,
    /// Requests of clients since the start.
    pub requests_total: u64,
    /// Minutes that all requests of clients have lasted together; a minute that has begun counts.
    pub minutes_total: u64,
    /// Items that were published.
    pub received_total: u64,
    /// Blocks of the published items, if blocks are counted.
    pub received_blocks_total: u64,
    /// Items that were sent, counted once for each receiver.
    pub sent_total: u64,
}

impl PushpinTotals {
    /// The totals of the cores with these `metrics`.
    pub fn of(metrics: &[Arc<Metrics>]) -> PushpinTotals {
        let mut sums = PushpinTotals::default();
        let mut connected_ms = 0;
        for metrics in metrics {
            sums.requests += metrics.client_requests.get();
            sums.requests_total += metrics.client_requests_total.get();
            connected_ms += metrics.client_requests_ms_total.get();
            sums.received_total += metrics.publications_total.get();
            sums.received_blocks_total += metrics.publication_blocks_total.get();
            sums.sent_total += metrics.response_messages_total.get()
                + metrics.stream_messages_total.get()
                + metrics.socket_messages_total.get();
        }
        sums.minutes_total = sums.requests_total + connected_ms / 60_000;
        sums
    }
}
