//! The steps of a hand-over, which the main thread of an old process has its cores take.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One step of handing clients over.
pub enum HandOver {
    /// Begin no new requests of clients. Answered when the requests in flight are done, or after half a second.
    Settle,
    /// Receive, accept and send nothing. Answered when the wire is quiet.
    Quiet,
    /// Report whether anything is left to do.
    LookIdle(Arc<IdleReport>),
    /// Send the state to the new process.
    Export {
        /// The channels to the cores of the new process.
        channels: Vec<OwnedFd>,
        /// Whether clients are sent too. If not, they stay with this process.
        exports_clients: bool,
    },
    /// Go on serving, because the hand-over was aborted.
    Resume,
    /// Forget the clients that were sent: they belong to the new process now.
    LetGo,
}

/// Whether each core has anything left to do.
pub struct IdleReport(Box<[AtomicU64]>);

impl IdleReport {
    /// An empty report of `cores` cores.
    pub fn new(cores: usize) -> IdleReport {
        IdleReport((0..cores).map(|_| AtomicU64::default()).collect())
    }

    /// Records that core number `core` has done `activity` pieces of work so far, and whether it has nothing left to do.
    pub fn set(&self, core: usize, is_idle: bool, activity: u64) {
        if let Some(of_core) = self.0.get(core) {
            of_core.store(activity << 1 | u64::from(is_idle), Ordering::Relaxed);
        }
    }

    /// The activity of each core; `None` if a core has something left to do or has not reported.
    pub fn idle_activity(&self) -> Option<Vec<u64>> {
        let of_core = |of_core: &AtomicU64| {
            let report = of_core.load(Ordering::Relaxed);
            (report & 1 == 1).then_some(report >> 1)
        };
        self.0.iter().map(of_core).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_idle_when_every_core_is() {
        let report = IdleReport::new(2);
        assert_eq!(report.idle_activity(), None);
        report.set(0, true, 7);
        report.set(1, false, 9);
        assert_eq!(report.idle_activity(), None);
        report.set(1, true, 9);
        assert_eq!(report.idle_activity(), Some(vec![7, 9]));
    }
}
