//! The figures of a turn, and the samples of a round of two builds. Figures that do not apply to a scenario or a server are
//! absent.

use serde::Serialize;

/// The figures of one turn.
#[derive(Clone, Default, Serialize)]
pub struct Sample {
    /// CPU time of the server per delivery.
    pub cpu_ns: Option<f64>,
    pub deliveries_hz: Option<f64>,
    pub p50_ns: Option<f64>,
    pub p99_ns: Option<f64>,
    pub max_ns: Option<f64>,
    /// User memory of the server per held connection.
    pub resident_bytes: Option<f64>,
    /// CPU time of the server per opened connection.
    pub opening_cpu_ns: Option<f64>,
    pub opened_hz: Option<f64>,
    /// Deliveries that were lost, repeated or out of order, and clients that were refused or ended.
    pub failures: u64,
}

/// The samples of both builds in one round: one sitting for each order.
pub type Round = [Sitting; 2];

/// The samples of both builds, turn by turn.
#[derive(Default)]
pub struct Sitting {
    pub this: Vec<Sample>,
    pub other: Vec<Sample>,
}
