//! Counts the activity of a WebSocket, for the statistics: bytes that pass through it count as activity once in a
//! while.

use crate::context::ticks;
use std::cell::Cell;

/// The shortest time between two counted activities, ms, as in Pushpin.
const ACTIVE_MS: u64 = 60_000;

/// The tick at which activity was last counted.
#[derive(Default)]
pub(super) struct Activity(Cell<u32>);

impl Activity {
    /// Notes that activity was counted elsewhere, such as at the opening.
    pub fn was_counted(&self, now: u32) {
        self.0.set(now);
    }

    /// The tick at which activity was last counted.
    pub fn tick(&self) -> u32 {
        self.0.get()
    }

    /// Whether bytes that pass through the WebSocket now count as activity.
    pub fn counts(&self, now: u32) -> bool {
        let is_due = now.wrapping_sub(self.0.get()) >= ticks(ACTIVE_MS);
        if is_due {
            self.0.set(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_counts_once() {
        let activity = Activity::default();
        activity.was_counted(u32::MAX - 9);
        let minute = ticks(ACTIVE_MS);
        let counts = |after: u32| activity.counts((u32::MAX - 9).wrapping_add(after));
        assert_eq!([minute - 1, minute, minute + 1, 2 * minute].map(counts), [false, true, false, true]);
    }
}
