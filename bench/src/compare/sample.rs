//! What a turn found, and what a round of two builds did. What does not apply to a scenario or a server is absent.

use serde::Serialize;

/// What a turn found.
#[derive(Clone, Default, Serialize)]
pub struct Sample {
    /// CPU of the server for a delivery.
    pub cpu_ns: Option<f64>,
    pub deliveries_hz: Option<f64>,
    pub p50_ns: Option<f64>,
    pub p99_ns: Option<f64>,
    pub max_ns: Option<f64>,
    /// User memory of the server for a held connection.
    pub resident_bytes: Option<f64>,
    /// CPU of the server to open a connection.
    pub opening_cpu_ns: Option<f64>,
    pub opened_hz: Option<f64>,
    /// Deliveries that were lost, doubled or out of order, and clients that were refused or ended.
    pub failures: u64,
}

/// What both builds did in one round: a sitting for each order.
pub type Round = [Sitting; 2];

/// The samples of both builds, turn by turn.
#[derive(Default)]
pub struct Sitting {
    pub this: Vec<Sample>,
    pub other: Vec<Sample>,
}
