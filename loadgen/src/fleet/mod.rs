//! The parent's side: a fleet of workers that hold subscribers. `plan.rs` describes a fleet and divides it among workers,
//! `link.rs` is the link to one worker. The fleet waits for the workers' reports and adds them up.

mod error;
mod link;
mod plan;

use crate::layout::Layout;
use crate::orders::{DeliveryStats, Order, Progress, Report};
use crate::{Latencies, now_ns};
use link::{Heard, Link};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

pub use error::FleetError;
pub use plan::{FleetPlan, Workers};

/// Subscribers in workers. Dropping the fleet ends them.
pub struct Fleet {
    workers: Vec<Worker>,
    reports: Receiver<(usize, Heard)>,
    layout: Layout,
    recent: Latencies,
}

struct Worker {
    link: Link,
    first: u32,
    subscribers: u32,
    progress: Progress,
    opened_seconds: Option<f64>,
    deliveries: Option<DeliveryStats>,
}

/// The result of an opening.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Opening {
    /// Time from the first connection until all were open or had failed.
    pub seconds: f64,
    /// Subscribers that were opened.
    pub open: u32,
    /// Subscribers that were not opened.
    pub failed: u32,
    /// Why the first subscriber failed.
    pub failure: Option<String>,
}

/// The counts of a fleet: totals since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Subscribers that were opened.
    pub open: u32,
    /// Subscribers that could not be opened.
    pub failed: u32,
    /// Open subscribers that the server ended.
    pub closed: u32,
    /// Subscribers that were ended and are open again.
    pub returned: u32,
    /// Bytes received since the subscribers were open.
    pub bytes: u64,
    /// Messages received; not counted when draining.
    pub messages: u64,
}

impl Fleet {
    /// Starts the workers, which begin to open their subscribers at once.
    ///
    /// # Errors
    ///
    /// If the plan is impossible or a worker cannot be started.
    pub fn start(plan: &FleetPlan) -> Result<Fleet, FleetError> {
        let (sender, reports) = channel();
        let mut workers = Vec::new();
        for (index, assignment) in plan.assignments()?.into_iter().enumerate() {
            let (first, subscribers) = (assignment.first, assignment.subscribers);
            let mut link = Link::start(&plan.workers, index, sender.clone())?;
            link.order(&Order::Open(Box::new(assignment)))?;
            let progress = Progress::default();
            workers.push(Worker {
                link,
                first,
                subscribers,
                progress,
                opened_seconds: None,
                deliveries: None,
            });
        }
        Ok(Fleet { workers, reports, layout: plan.layout, recent: Latencies::coarse() })
    }

    /// Starts the workers and waits until all subscribers are open or have failed.
    ///
    /// # Errors
    ///
    /// As [`Fleet::start`], and if a worker fails.
    pub fn open(plan: &FleetPlan) -> Result<(Fleet, Opening), FleetError> {
        let mut fleet = Fleet::start(plan)?;
        loop {
            fleet.listen(Duration::from_secs(1))?;
            if let Some(opening) = fleet.opened() {
                return Ok((fleet, opening));
            }
        }
    }

    /// The result of the opening, once it is over.
    pub fn opened(&self) -> Option<Opening> {
        let seconds =
            self.workers.iter().map(|worker| worker.opened_seconds).collect::<Option<Vec<f64>>>()?;
        let Standing { open, failed, .. } = self.standing();
        let failure = self.workers.iter().find_map(|worker| worker.progress.failure.clone());
        Some(Opening { seconds: seconds.into_iter().fold(0.0, f64::max), open, failed, failure })
    }

    /// The counts of the fleet by the last reports of its workers.
    pub fn standing(&self) -> Standing {
        let mut sum = Standing::default();
        for Worker { progress, .. } in &self.workers {
            sum.open += progress.open;
            sum.failed += progress.failed;
            sum.closed += progress.closed;
            sum.returned += progress.returned;
            sum.bytes += progress.bytes;
            sum.messages += progress.messages;
        }
        sum
    }

    /// Why the first subscriber failed or was ended.
    pub fn failure(&self) -> Option<&str> {
        self.workers.iter().find_map(|worker| worker.progress.failure.as_deref())
    }

    /// Takes the latencies since the last call, with one significant digit.
    pub fn take_recent(&mut self) -> Latencies {
        std::mem::replace(&mut self.recent, Latencies::coarse())
    }

    /// Waits up to `wait` for reports of workers, and returns when one has arrived.
    ///
    /// # Errors
    ///
    /// If a worker fails or ends.
    pub fn listen(&mut self, wait: Duration) -> Result<(), FleetError> {
        let mut next = match self.reports.recv_timeout(wait) {
            Ok(heard) => Some(heard),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(FleetError::Gone),
        };
        while let Some((index, heard)) = next {
            self.take(index, heard)?;
            next = self.reports.try_recv().ok();
        }
        Ok(())
    }

    fn take(&mut self, index: usize, heard: Heard) -> Result<(), FleetError> {
        let worker = &mut self.workers[index];
        match heard {
            Heard::Report(Report::Opened { seconds }) => worker.opened_seconds = Some(seconds),
            Heard::Report(Report::Progress(progress)) => {
                worker.progress = *progress;
                if let Some(recent) = worker.progress.recent.take() {
                    self.recent.add(&recent);
                }
            }
            Heard::Report(Report::Collected(deliveries)) => worker.deliveries = Some(*deliveries),
            Heard::Report(Report::Broken(why)) => return Err(FleetError::Broken(why)),
            Heard::Garbage(line) => return Err(FleetError::Broken(format!("it said `{line}`"))),
            Heard::End => return Err(FleetError::Gone),
        }
        Ok(())
    }

    /// Waits until subscribers have received `total` bytes since they were open.
    ///
    /// # Errors
    ///
    /// If fewer bytes arrive within `patience`, or a worker fails.
    pub fn wait_bytes(&mut self, total: u64, patience: Duration) -> Result<(), FleetError> {
        self.wait("bytes", total, patience, |standing| standing.bytes)
    }

    /// Waits until subscribers have received `total` messages. A draining fleet counts no messages.
    ///
    /// # Errors
    ///
    /// If fewer messages arrive within `patience`, or a worker fails.
    pub fn wait_messages(&mut self, total: u64, patience: Duration) -> Result<(), FleetError> {
        self.wait("messages", total, patience, |standing| standing.messages)
    }

    fn wait(
        &mut self,
        what: &'static str,
        awaited: u64,
        patience: Duration,
        count: impl Fn(&Standing) -> u64,
    ) -> Result<(), FleetError> {
        self.order(&Order::Watch(true))?;
        let deadline_ns = now_ns() + patience.as_nanos() as u64;
        loop {
            let came = count(&self.standing());
            let left_ns = deadline_ns.saturating_sub(now_ns());
            if came >= awaited || left_ns == 0 {
                self.order(&Order::Watch(false))?;
                let late = FleetError::Late { what, came, awaited, patience };
                return if came >= awaited { Ok(()) } else { Err(late) };
            }
            self.listen(Duration::from_nanos(left_ns))?;
        }
    }

    /// Collects the deliveries since the last collection. `published` has the number of messages published to each channel
    /// since the start. Messages that have not arrived by now count as lost.
    ///
    /// # Errors
    ///
    /// If a worker fails.
    pub fn collect(&mut self, published: &HashMap<u32, u32>) -> Result<DeliveryStats, FleetError> {
        for worker in &mut self.workers {
            let range = worker.first..worker.first + worker.subscribers;
            let channels: HashSet<u32> = range.map(|subscriber| self.layout.channel(subscriber)).collect();
            let own = channels.into_iter().filter_map(|one| published.get(&one).map(|&count| (one, count)));
            worker.link.order(&Order::Collect(own.collect()))?;
        }
        while self.workers.iter().any(|worker| worker.deliveries.is_none()) {
            self.listen(Duration::from_secs(1))?;
        }
        let mut sum = DeliveryStats::empty();
        self.workers
            .iter_mut()
            .filter_map(|worker| worker.deliveries.take())
            .for_each(|deliveries| sum.add(&deliveries));
        Ok(sum)
    }

    fn order(&mut self, order: &Order) -> Result<(), FleetError> {
        self.workers.iter_mut().try_for_each(|worker| worker.link.order(order))
    }

    /// The process ids of the workers.
    pub fn processes(&self) -> Vec<u32> {
        self.workers.iter().filter_map(|worker| worker.link.process()).collect()
    }
}
