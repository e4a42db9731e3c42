//! Reports to operators: the counters and levels of a core, the events for the stats socket, and the log lines that
//! come once a second.

use super::Core;
use crate::wire::PortUse;

impl Core {
    /// Housekeeping and log lines, once a second.
    pub(super) fn each_second(&self) {
        self.requests.pool().purge(crate::runtime::now());
        self.report_state.report(self.context.id, &self.context.metrics);
        if let Some(error) = self.clients.take_refusal() {
            tracing::warn!(core = self.context.id.0, %error, "clients wait to be accepted: raise RLIMIT_NOFILE (LimitNOFILE in a systemd unit), or free memory");
        }
        self.tell_of_queue_timeouts();
        self.tell_of_short_memory();
        self.delivery.log_refused_subscriptions();
        self.publishing.tell_of_datagrams();
        self.publishing.tell_of_waits();
    }

    fn tell_of_queue_timeouts(&self) {
        let requests = self.reported_queue_timeouts.of(&self.context.metrics.queue_timeouts_total);
        if requests == 0 {
            return;
        }
        let last = self.requests.pool().take_overdue();
        tracing::warn!(
            core = self.context.id.0,
            requests,
            last,
            "requests were refused because they had waited too long for their turn (proxy.queue_timeout_ms): see whether \
             an application hangs or is overloaded, else raise proxy.open_requests_per_core"
        );
    }

    /// Hands the events since the last tick to the stats socket.
    pub(super) fn tell_what_happened(&self) {
        self.clients.repeat_connections();
        if let Some(reporter) = &self.context.stats_reporter {
            reporter.hand_over(self.context.id, self.delivery.take_changed());
        }
    }

    /// Updates the counters and levels that other rooms keep.
    pub(super) fn publish_metrics(&self) {
        self.publishing.count_kernel_drops();
        self.publishing.look_at_waits(self.queries.loads());
        self.delivery.publish_metrics();
        let (metrics, levels) = (&self.context.metrics, self.clients.levels());
        metrics.connections.set(u64::from(levels.open));
        metrics.sockjs_conversations.set(levels.virtual_slots as u64);
        metrics.backlog_bytes.set(levels.backlog_bytes as u64);
        metrics.booked_bytes.set(self.context.accounts.bytes() as u64);
        metrics.tls_failures_total.set(levels.tls_failures);
        metrics.refused_connections_total.set(levels.refused.connections);
        metrics.refused_new_connections_total.set(levels.refused.new_connections);
        metrics.refused_handshakes_total.set(levels.refused.handshakes);
        metrics.client_requests.set(self.clients.engaged());
        metrics.unfinished.set(self.holds.left(PortUse::Clients) as u64);
        metrics.refetches_waiting.set(self.requests.waiting() as u64);
        metrics.homes.set(self.publishing.homes() as u64);
        let requests = self.requests.pool().counts();
        metrics.open_requests.set(requests.open);
        metrics.queued_requests.set(requests.waiting);
        metrics.queue_timeouts_total.set(requests.queue_timeouts_total);
    }
}
