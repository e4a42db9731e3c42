//! The results of a run, and the figures computed from them.

use super::Moment;
use crate::fleet::Opening;
use crate::orders::DeliveryStats;
use crate::server::ServerCost;
use serde_json::{Value, json};

/// The results of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The result of the opening.
    pub opening: Opening,
    /// The deliveries. Empty when draining.
    pub deliveries: DeliveryStats,
    /// Open subscribers that the server ended.
    pub closed: u32,
    /// Why the first subscriber failed or was ended.
    pub failure: Option<String>,
    /// Bytes received since the subscribers were open.
    pub bytes: u64,
    /// Number of messages published.
    pub published_messages: u64,
    /// Time from the first publish call until the last was answered.
    pub published_seconds: f64,
    /// Number of publish calls.
    pub publish_calls: u64,
    /// The longest delay of a publish call behind its schedule.
    pub latest_call_ns: u64,
    /// Time from the first publish call until the last message had arrived or was given up.
    pub seconds: f64,
    /// Whether input was discarded and only its bytes counted.
    pub drained: bool,
    /// Whether processes of the server were watched.
    pub watched: bool,
    /// The server's total cost before the opening.
    pub cost_idle: ServerCost,
    /// The server's total cost when the subscribers were held.
    pub cost_held: ServerCost,
    /// The server's total cost at the end.
    pub cost_end: ServerCost,
    /// Samples during the run.
    pub moments: Vec<Moment>,
}

impl Outcome {
    /// Subscribers opened per second.
    pub fn opened_hz(&self) -> f64 {
        ratio(f64::from(self.opening.open), self.opening.seconds)
    }

    /// Deliveries per second, over the time from the first publish call to the last delivery.
    pub fn delivered_hz(&self) -> f64 {
        ratio(self.deliveries.received as f64, self.seconds)
    }

    /// CPU time of the server per delivery, publish calls included. When draining, the expected deliveries count.
    pub fn cpu_ns_a_delivery(&self) -> Option<f64> {
        let spent_ns = self.cost_end.cpu_ns.saturating_sub(self.cost_held.cpu_ns);
        let deliveries = if self.drained { self.deliveries.expected } else { self.deliveries.received };
        (self.watched && deliveries > 0).then(|| spent_ns as f64 / deliveries as f64)
    }

    /// CPU time of the server per opened subscriber.
    pub fn cpu_ns_an_opening(&self) -> Option<f64> {
        let spent_ns = self.cost_held.cpu_ns.saturating_sub(self.cost_idle.cpu_ns);
        (self.watched && self.opening.open > 0).then(|| spent_ns as f64 / f64::from(self.opening.open))
    }

    /// Resident memory of the server per held subscriber.
    pub fn resident_bytes_a_subscriber(&self) -> Option<f64> {
        let added = self.cost_held.resident_bytes as f64 - self.cost_idle.resident_bytes as f64;
        (self.watched && self.opening.open > 0).then(|| added / f64::from(self.opening.open))
    }

    /// Kernel memory per held subscriber, for both ends of its connection.
    pub fn kernel_bytes_a_subscriber(&self) -> Option<f64> {
        let added = self.cost_held.kernel_bytes as f64 - self.cost_idle.kernel_bytes as f64;
        (self.opening.open > 0).then(|| added / f64::from(self.opening.open))
    }

    /// Whether every message was delivered once and in order to every subscriber.
    pub fn is_clean(&self) -> bool {
        let DeliveryStats { lost, duplicates, out_of_order, foreign, .. } = self.deliveries;
        let trouble = lost + duplicates + out_of_order + foreign;
        trouble == 0 && self.opening.failed == 0 && self.closed == 0
    }

    /// All results as JSON.
    pub fn json(&self) -> Value {
        let DeliveryStats {
            expected,
            received,
            lost,
            missed_between_polls,
            duplicates,
            out_of_order,
            foreign,
            latencies,
            longest_silence_ms,
        } = &self.deliveries;
        let percentiles: serde_json::Map<String, Value> = PERCENTILES
            .iter()
            .map(|&percent| (format!("p{percent}_ns"), latencies.percentile_ns(percent).into()))
            .collect();
        let mut latency = json!({
            "count": latencies.count(), "mean_ns": latencies.mean_ns(), "max_ns": latencies.max_ns(),
        });
        if let Value::Object(fields) = &mut latency {
            fields.extend(percentiles);
        }
        json!({
            "opening": self.opening,
            "opened_per_second": self.opened_hz(),
            "published": {
                "messages": self.published_messages, "calls": self.publish_calls,
                "seconds": self.published_seconds, "latest_call_ns": self.latest_call_ns,
            },
            "deliveries": {
                "expected": expected, "received": received, "per_second": self.delivered_hz(),
                "lost": lost, "missed_between_polls": missed_between_polls, "duplicates": duplicates,
                "out_of_order": out_of_order, "foreign": foreign, "longest_silence_ms": longest_silence_ms, "bytes": self.bytes, "seconds": self.seconds,
            },
            "closed": self.closed,
            "failure": self.failure,
            "latency": latency,
            "server": {
                "watched": self.watched, "idle": self.cost_idle, "held": self.cost_held, "end": self.cost_end,
                "cpu_ns_per_delivery": self.cpu_ns_a_delivery(), "cpu_ns_per_opening": self.cpu_ns_an_opening(),
                "resident_bytes_per_subscriber": self.resident_bytes_a_subscriber(),
                "kernel_bytes_per_subscriber": self.kernel_bytes_a_subscriber(),
            },
            "moments": self.moments,
        })
    }
}

fn ratio(count: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { count / seconds } else { 0.0 }
}

/// The percentiles of the JSON.
const PERCENTILES: [f64; 6] = [50.0, 90.0, 95.0, 99.0, 99.9, 99.99];
