//! The figures that Pushpin has of a server, out of what the cores count.

use super::metrics::Metrics;
use std::sync::Arc;

/// What cores count, over all of them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PushpinTotals {
    /// Requests of clients now.
    pub requests: u64,
    /// Those that began.
    pub requests_total: u64,
    /// Minutes of all of them, each begun one counted.
    pub minutes_total: u64,
    /// Items that were published.
    pub received_total: u64,
    /// Their blocks, where they are counted.
    pub received_blocks_total: u64,
    /// Items that were sent, one for each receiver.
    pub sent_total: u64,
}

impl PushpinTotals {
    /// Of all `metrics`.
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
