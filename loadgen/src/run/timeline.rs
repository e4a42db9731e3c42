//! How things stood from moment to moment: a few samples a second, thinned out when a run is long.

use crate::fleet::{Fleet, FleetError, Standing};
use crate::latency::Latencies;
use crate::server::{ServerCost, ServerWatch};
use crate::sys::now_ns;
use serde::Serialize;
use std::time::Duration;

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Subscribers connect.
    Opening,
    /// They are held, and nothing is published.
    Holding,
    /// Messages are published.
    Publishing,
    /// Messages that are late are awaited.
    Waiting,
}

/// One moment of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// Since the beginning of the run.
    pub seconds: f64,
    /// What was being done.
    pub phase: Phase,
    /// How the fleet stood.
    #[serde(flatten)]
    pub fleet: Standing,
    /// Messages published so far.
    pub published: u64,
    /// Median latency since the moment before.
    pub p50_ns: u64,
    /// 99th percentile of the latencies since the moment before.
    pub p99_ns: u64,
    /// What the server had cost.
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

    /// Listens to the fleet for a little while, and takes a sample when one is due.
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

    /// Drops every second moment; from then on half as many are taken.
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
/// Enough for a curve, little enough for a page.
const MOMENTS: usize = 1200;
