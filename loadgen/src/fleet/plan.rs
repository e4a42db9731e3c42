//! The plan of a fleet, and its division among workers. Each process has a limited number of sockets. Each worker has its
//! own source addresses, so that no pair of addresses uses half of the port range, from which on connect() becomes slow.

use super::error::FleetError;
use crate::layout::Layout;
use crate::orders::{Assignment, stalls};
use crate::target::Target;
use crate::transport::Mix;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

/// The plan of a fleet.
#[derive(Clone, Debug)]
pub struct FleetPlan {
    /// The server.
    pub target: Target,
    /// The transports of subscribers.
    pub mix: Mix,
    /// Number of subscribers.
    pub subscribers: u32,
    /// The channels of subscribers.
    pub layout: Layout,
    /// Prefix of the channels' names; the channel's number follows.
    pub prefix: String,
    /// Addresses of the server, used in turn.
    pub destinations: Vec<SocketAddrV4>,
    /// Whether workers are processes or threads.
    pub workers: Workers,
    /// Most subscribers of one worker.
    pub worker_subscribers: u32,
    /// Least number of workers.
    pub worker_count: u32,
    /// Most connections that are being opened at the same time, over all workers.
    pub window: u32,
    /// Connections opened per second, over all workers; 0 means no limit.
    pub opening_rate_hz: f64,
    /// Most time for the opening.
    pub opening: Duration,
    /// Discard input and only count its bytes.
    pub drain: bool,
    /// Percentage of subscribers that never read after they are open.
    pub stall_percent: u32,
    /// Whether subscribers that the server ends connect again, every 100 ms until they are open.
    pub returns: bool,
    /// CPUs for workers, used in turn; if empty, the scheduler chooses.
    pub cpus: Vec<usize>,
}

/// The kind of workers.
#[derive(Clone, Debug)]
pub enum Workers {
    /// Processes of this program, which must be `gripwire-loadgen`. Each process has its own limit of open files.
    Processes(PathBuf),
    /// Threads of this process.
    Threads,
}

impl FleetPlan {
    /// A plan with defaults: one channel, one transport, workers as threads.
    pub fn new(
        target: Target,
        mix: impl Into<Mix>,
        subscribers: u32,
        destination: SocketAddrV4,
    ) -> FleetPlan {
        FleetPlan {
            target,
            mix: mix.into(),
            subscribers,
            layout: Layout::One,
            prefix: "load-".into(),
            destinations: vec![destination],
            workers: Workers::Threads,
            worker_subscribers: WORKER_SUBSCRIBERS,
            worker_count: 1,
            window: 256,
            opening_rate_hz: 0.0,
            opening: Duration::from_secs(60),
            drain: false,
            stall_percent: 0,
            returns: false,
            cpus: Vec::new(),
        }
    }

    /// The name of a channel.
    pub fn channel_name(&self, channel: u32) -> String {
        format!("{}{channel}", self.prefix)
    }

    /// Whether a subscriber never reads after it is open.
    pub fn stalls(&self, subscriber: u32) -> bool {
        stalls(&self.mix, self.stall_percent, subscriber)
    }

    /// Divides the subscribers evenly among as few workers as possible.
    pub(super) fn assignments(&self) -> Result<Vec<Assignment>, FleetError> {
        if self.destinations.is_empty() {
            return Err(FleetError::Plan("no address to connect to: give one with --connect".into()));
        }
        let count = self.subscribers.div_ceil(self.worker_subscribers.max(1)).max(self.worker_count).max(1);
        let count = count.min(self.subscribers.max(1));
        let share = |worker: u32| (u64::from(self.subscribers) * u64::from(worker) / u64::from(count)) as u32;
        let assignment = |worker: u32| Assignment {
            first: share(worker),
            subscribers: share(worker + 1) - share(worker),
            layout: self.layout,
            prefix: self.prefix.clone(),
            mix: self.mix.clone(),
            subscriptions: self.mix.transports().map(|one| (one, self.target.subscription(one))).collect(),
            destinations: self.destinations.clone(),
            sources: self.sources(worker),
            window: (self.window / count).max(1),
            rate_hz: self.opening_rate_hz / f64::from(count),
            opening_ms: u64::try_from(self.opening.as_millis()).unwrap_or(u64::MAX),
            drain: self.drain,
            stall_percent: self.stall_percent.min(100),
            returns: self.returns,
            cpu: self.cpus.get(worker as usize % self.cpus.len().max(1)).copied(),
        };
        Ok((0..count).map(assignment).collect())
    }

    /// The worker's own source addresses, all in 127.64.0.0/10. They are only possible for a server on this machine.
    fn sources(&self, worker: u32) -> Vec<Ipv4Addr> {
        if self.destinations.iter().any(|destination| !destination.ip().is_loopback()) {
            return Vec::new();
        }
        let address = |number: u32| {
            let [_, _, third, fourth] = number.to_be_bytes();
            Ipv4Addr::new(127, 64 + (number >> 16) as u8 % 64, third, fourth)
        };
        // 127.64.0.0 itself is not used.
        (0..WORKER_SOURCES).map(|source| address(1 + worker * WORKER_SOURCES + source)).collect()
    }
}

/// Below the limit of 20,000 open files that containers often have.
const WORKER_SUBSCRIBERS: u32 = 18_000;
/// With this number, a pair of addresses has at most about 1,200 connections; the default port range has 28,000 ports.
const WORKER_SOURCES: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn plan(subscribers: u32) -> FleetPlan {
        let destination = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7999);
        FleetPlan::new(Target::Gripwire, crate::Transport::Stream, subscribers, destination)
    }

    #[test]
    fn a_million_subscribers_are_divided_without_gaps_and_ports_suffice() {
        let assignments = plan(1_000_000).assignments().unwrap();
        assert_eq!(assignments.len(), 56);
        let mut next = 0;
        let mut sources = HashSet::new();
        for assignment in &assignments {
            assert_eq!(assignment.first, next);
            assert!(assignment.subscribers <= 18_000);
            next += assignment.subscribers;
            for source in &assignment.sources {
                assert!(sources.insert(*source) && source.is_loopback(), "{source}");
            }
            assert!(assignment.subscribers / (assignment.sources.len() as u32) < 14_000);
        }
        assert_eq!(next, 1_000_000);
    }

    #[test]
    fn few_subscribers_need_no_idle_workers() {
        let mut small = plan(3);
        small.worker_count = 8;
        assert_eq!(small.assignments().unwrap().len(), 3);
        small.destinations.clear();
        assert!(matches!(small.assignments(), Err(FleetError::Plan(_))));
    }
}
