//! Looks whether the cores move. A core that lives takes a turn of its loop at least ten times a second, as its clock
//! wakes it; one that does not is stuck in a turn, or gets no time on its CPU, or sleeps though its clock has struck, and
//! cannot say so itself. A signal wakes it from such a sleep: the executor was seen in one, with a timer that was due,
//! and went on when its wait in the kernel was interrupted.

use crate::observe::Metrics;
use nix::sys::pthread::{Pthread, pthread_kill};
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the cores are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A look that comes so late says nothing: the whole process had no time.
const LATE: Duration = Duration::from_secs(2);

/// Its handler does nothing, and ends a wait in the kernel.
pub(super) const WAKING_SIGNAL: Signal = Signal::SIGURG;

pub(super) struct Watchdog {
    cores: Vec<Seen>,
    looked: Instant,
}

/// How far a core was, and when it was first seen there.
struct Seen {
    metrics: Arc<Metrics>,
    thread: Option<Pthread>,
    turns: u64,
    since: Instant,
}

impl Watchdog {
    /// Over the cores that count in `metrics`.
    pub fn new(metrics: Vec<Arc<Metrics>>, now: Instant) -> Watchdog {
        let cores =
            metrics.into_iter().map(|metrics| Seen { metrics, thread: None, turns: 0, since: now }).collect();
        Watchdog { cores, looked: now }
    }

    /// A core runs on this thread, which ends with the process.
    pub fn started(&mut self, core: u16, thread: Pthread) {
        if let Some(seen) = self.cores.get_mut(usize::from(core)) {
            seen.thread = Some(thread);
        }
    }

    /// Logs which cores have not moved for a second, and interrupts them if they sleep, unless it was called less than a
    /// second ago.
    pub fn look(&mut self, now: Instant) {
        if now.duration_since(self.looked) < LOOK_EVERY {
            return;
        }
        for (core, stuck) in self.stuck(now) {
            let seconds = stuck.as_secs();
            tracing::warn!(
                core,
                seconds,
                "this core does not move: its clients wait. Is its CPU taken by others?"
            );
            if let Some(thread) = self.cores.get(core).and_then(|seen| seen.thread) {
                // What it does when it is awake goes on.
                let _ = pthread_kill(thread, WAKING_SIGNAL);
            }
        }
    }

    /// The cores that have started and not moved for a second, and for how long.
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

#[cfg(test)]
mod tests {
    use super::*;

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
