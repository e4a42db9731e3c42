//! Samples of the counts during a run: a few per second, fewer in a long run.

use crate::fleet::{Fleet, FleetError, Standing};
use crate::latency::Latencies;
use crate::server::{ServerCost, ServerWatch};
use crate::sys::now_ns;
use serde::Serialize;
use std::time::Duration;

/// The phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Subscribers connect.
    Opening,
    /// Subscribers are held, and nothing is published.
    Holding,
    /// Messages are published.
    Publishing,
    /// The run waits for late messages.
    Waiting,
}

/// A sample at one moment of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// Time since the start of the run.
    pub seconds: f64,
    /// The phase of the run.
    pub phase: Phase,
    /// The counts of the fleet.
    #[serde(flatten)]
    pub fleet: Standing,
    /// Messages published so far.
    pub published: u64,
    /// Median latency since the previous sample.
    pub p50_ns: u64,
    /// 99th percentile of the latencies since the previous sample.
    pub p99_ns: u64,
    /// The server's total cost.
    pub server: ServerCost,
}

pub(super) struct Recorder<'a> {
    server: &'a ServerWatch,
    watch: &'a mut dyn FnMut(Phase, &Moment),
    started_ns: u64,
    interval_ns: u64,
    next_ns: u64,
    moments: Vec<Moment>,
    recent: Latencies,
}

impl<'a> Recorder<'a> {
    pub fn new(server: &'a ServerWatch, watch: &'a mut dyn FnMut(Phase, &Moment)) -> Recorder<'a> {
        let started_ns = now_ns();
        let recent = Latencies::coarse();
        Recorder {
            server,
            watch,
            started_ns,
            interval_ns: INTERVAL_NS,
            next_ns: started_ns,
            moments: Vec::new(),
            recent,
        }
    }

    /// Waits shortly for reports of the fleet, and takes a sample if one is due.
    ///
    /// # Errors
    /// A worker has ended or reported a failure.
    pub fn step(&mut self, fleet: &mut Fleet, phase: Phase, published: u64) -> Result<(), FleetError> {
        fleet.listen(LISTEN)?;
        self.recent.add(&fleet.take_recent());
        let now_ns = now_ns();
        let changed = self.moments.last().is_none_or(|moment| moment.phase != phase);
        if now_ns < self.next_ns && !changed {
            return Ok(());
        }
        self.next_ns = now_ns + self.interval_ns;
        let moment = Moment {
            seconds: (now_ns - self.started_ns) as f64 / 1e9,
            phase,
            fleet: fleet.standing(),
            published,
            p50_ns: self.recent.percentile_ns(50.0),
            p99_ns: self.recent.percentile_ns(99.0),
            server: self.server.cost(),
        };
        self.recent.clear();
        (self.watch)(phase, &moment);
        self.moments.push(moment);
        if self.moments.len() > MOMENTS {
            self.thin_out();
        }
        Ok(())
    }

    /// Drops every second sample, and doubles the interval.
    fn thin_out(&mut self) {
        let mut keep = false;
        self.moments.retain(|_| {
            keep = !keep;
            keep
        });
        self.interval_ns *= 2;
    }

    pub fn finish(self) -> Vec<Moment> {
        self.moments
    }
}

const INTERVAL_NS: u64 = 250_000_000;
const LISTEN: Duration = Duration::from_millis(20);
/// Most samples: enough for a curve, but not too many for a page.
const MOMENTS: usize = 1200;
