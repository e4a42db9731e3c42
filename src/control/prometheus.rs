//! The page of metrics for Prometheus (text format 0.0.4): first Pushpin's metrics, by their names with a prefix, then
//! all metrics of `/stats`, by their names behind `gripwire_`.

use super::health;
use super::port::ControlPort;
use crate::clients::{Exchange, Request, answer};
use crate::observe::{Metrics, PushpinTotals};
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

/// Answers any request but a probe with the page, as Pushpin does.
pub fn answer(port: &ControlPort, exchange: &Rc<Exchange>, request: &Request) {
    if let Some(page) = health::probe(request, port.readiness.phase()) {
        return answer::send_whole(exchange, &page);
    }
    let text = page(&port.all_metrics, &port.context.settings().stats.prometheus_prefix);
    answer::send_whole(exchange, &answer::text(200, text));
}

fn page(metrics: &[Arc<Metrics>], prefix: &str) -> String {
    let sums = PushpinTotals::of(metrics);
    let pushpins = [
        ("request_received", "counter", "Number of requests received", sums.requests_total),
        ("connection_connected", "gauge", "Number of concurrent connections", sums.requests),
        ("connection_minute", "counter", "Number of minutes clients have been connected", sums.minutes_total),
        (
            "message_received",
            "counter",
            "Number of messages received by the publish API",
            sums.received_total,
        ),
        ("message_sent", "counter", "Number of messages sent to clients", sums.sent_total),
    ];
    let mut page = String::new();
    for (name, kind, help, value) in pushpins {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "# HELP {prefix}{name} {help}");
        let _ = writeln!(page, "# TYPE {prefix}{name} {kind}\n{prefix}{name} {value}");
    }
    for (name, value) in Metrics::sums(metrics) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let _ = writeln!(page, "# TYPE gripwire_{name} {kind}\ngripwire_{name} {value}");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_summed_and_only_the_names_of_pushpin_have_the_prefix() {
        let metrics: Vec<Arc<Metrics>> = (0..2).map(|_| Arc::default()).collect();
        metrics[0].client_requests_total.add(2);
        metrics[1].client_requests_total.add(3);
        metrics[1].client_requests_ms_total.add(120_000);
        metrics[1].stream_messages_total.set(9);
        let page = page(&metrics, "p_");
        let wanted = "# HELP p_request_received Number of requests received\n\
                      # TYPE p_request_received counter\np_request_received 5\n";
        assert!(page.starts_with(wanted), "{page}");
        for line in ["p_connection_minute 7", "p_message_sent 9", "gripwire_client_requests_total 5"] {
            assert!(page.lines().any(|it| it == line), "{line} in {page}");
        }
        assert!(page.contains("# TYPE gripwire_connections gauge\n"));
    }
}
