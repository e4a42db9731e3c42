//! Checks that the cores' loops run. The clock wakes each core ten times a second, so a running core takes at least ten
//! turns a second. A core without turns is stuck in a turn, gets no CPU time, or sleeps past its timer. In the last case
//! a signal wakes it: the executor was seen asleep with a timer that was due, and while it waited for the other cores
//! at its start, and it continued when a signal interrupted its wait in the kernel.

use crate::observe::Metrics;
use nix::sys::pthread::{Pthread, pthread_kill};
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Interval of the checks.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A check that is later than this is ignored, because the whole process got no CPU time.
const LATE: Duration = Duration::from_secs(2);

/// The signal that interrupts a wait in the kernel. Its handler does nothing.
pub(super) const WAKING_SIGNAL: Signal = Signal::SIGURG;

pub(super) struct Watchdog {
    cores: Vec<Seen>,
    looked: Instant,
    /// Whether the last check found a stuck core.
    is_any_stuck: bool,
}

/// The number of turns that a core had taken, and when this number was first seen.
struct Seen {
    metrics: Arc<Metrics>,
    thread: Option<Pthread>,
    turns: u64,
    since: Instant,
}

impl Watchdog {
    /// Watches the cores that these metrics belong to.
    pub fn new(metrics: Vec<Arc<Metrics>>, now: Instant) -> Watchdog {
        let cores =
            metrics.into_iter().map(|metrics| Seen { metrics, thread: None, turns: 0, since: now }).collect();
        Watchdog { cores, looked: now, is_any_stuck: false }
    }

    /// Records the thread of a core. The thread runs until the process ends.
    pub fn started(&mut self, core: u16, thread: Pthread) {
        if let Some(seen) = self.cores.get_mut(usize::from(core)) {
            seen.thread = Some(thread);
        }
    }

    /// Logs the cores that took no turn for a second, and interrupts their waits. Does nothing within a second of the last
    /// check.
    pub fn look(&mut self, now: Instant) {
        if now.duration_since(self.looked) < LOOK_EVERY {
            return;
        }
        let stuck = self.stuck(now);
        self.is_any_stuck = !stuck.is_empty();
        for (core, stuck) in stuck {
            let seconds = stuck.as_secs();
            tracing::warn!(
                core,
                seconds,
                "this core is stuck, and its clients wait: check whether other processes use its CPU"
            );
            if let Some(thread) = self.cores.get(core).and_then(|seen| seen.thread) {
                interrupt(thread);
            }
        }
        self.beginning(now).for_each(interrupt);
    }

    /// The threads that started more than a second ago and whose cores have taken no turn yet. They wait for each other,
    /// and they have reason to be slow, so they are not reported.
    fn beginning(&self, now: Instant) -> impl Iterator<Item = Pthread> {
        let is_slow = move |seen: &&Seen| seen.turns == 0 && now.duration_since(seen.since) >= LOOK_EVERY;
        self.cores.iter().filter(is_slow).filter_map(|seen| seen.thread)
    }

    /// Whether no core was stuck at the last check.
    pub fn sees_progress(&self) -> bool {
        !self.is_any_stuck
    }

    /// The started cores that took no turn for a second, and for how long.
    fn stuck(&mut self, now: Instant) -> Vec<(usize, Duration)> {
        let is_late = now.duration_since(self.looked) > LATE;
        self.looked = now;
        for seen in &mut self.cores {
            let turns = seen.metrics.turns_total.get();
            if turns != seen.turns || is_late {
                (seen.turns, seen.since) = (turns, now);
            }
        }
        let started = self.cores.iter().enumerate().filter(|(_, seen)| seen.turns > 0);
        let stood = started.map(|(core, seen)| (core, now.duration_since(seen.since)));
        stood.filter(|(_, stood)| *stood >= LOOK_EVERY).collect()
    }
}

/// Interrupts the wait of `thread` in the kernel. A thread that is not asleep is not disturbed.
fn interrupt(thread: Pthread) {
    let _ = pthread_kill(thread, WAKING_SIGNAL);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::pthread::pthread_self;

    #[test]
    fn a_core_that_has_not_begun_a_second_after_its_thread_is_woken() {
        let (metrics, start) = (Arc::<Metrics>::default(), Instant::now());
        let later = start + LOOK_EVERY;
        let mut watchdog = Watchdog::new(vec![metrics.clone(), Arc::default()], start);
        assert_eq!(watchdog.beginning(later).count(), 0, "there is no thread yet");
        watchdog.started(0, pthread_self());
        assert_eq!((watchdog.beginning(start).count(), watchdog.beginning(later).count()), (0, 1));
        metrics.turns_total.add(1);
        assert_eq!(watchdog.stuck(later), []);
        assert_eq!(watchdog.beginning(later + LOOK_EVERY).count(), 0, "it has begun");
    }

    #[test]
    fn a_core_that_has_started_and_takes_no_turn_for_a_second_is_stuck() {
        let (metrics, start) = (vec![Arc::<Metrics>::default(), Arc::default()], Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut watchdog = Watchdog::new(metrics.clone(), start);
        assert_eq!(watchdog.stuck(after(1)), [], "none has started");
        metrics.iter().for_each(|metrics| metrics.turns_total.add(1));
        assert_eq!(watchdog.stuck(after(2)), []);
        metrics[0].turns_total.add(1);
        assert_eq!(watchdog.stuck(after(3)), [(1, Duration::from_secs(1))]);
        assert_eq!(watchdog.stuck(after(4)).len(), 2);
        assert_eq!(watchdog.stuck(after(60)), [], "the whole process was stopped");
        assert_eq!(watchdog.stuck(after(61)).len(), 2);
    }
}
