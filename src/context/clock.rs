//! The clock of a core. It ticks ten times a second, so every timeout of a core is exact to a tenth of a second.
//! When the clock moves on, the core first reads all bytes that have arrived, and only then judges the deadlines up to
//! the tick before. So no client times out while bytes that it sent in time are unread.

use crate::runtime;
use std::cell::Cell;
use std::time::Instant;

/// Length of a tick, ms.
pub const TICK_MS: u64 = 100;
/// Ticks of a second.
pub const SECOND: u32 = (1000 / TICK_MS) as u32;

/// The clock of one core.
pub struct Clock {
    started: Instant,
    /// The tick at the start.
    first: Cell<u32>,
    tick: Cell<u32>,
    /// The last tick whose deadlines may be judged.
    judged: Cell<u32>,
}

impl Clock {
    /// A clock that begins now, at tick 0.
    pub fn start() -> Clock {
        let [first, tick, judged] = <[Cell<u32>; 3]>::default();
        Clock { started: runtime::now(), first, tick, judged }
    }

    /// Goes on from `tick`, which the clock of another process shows at `now`. So ticks of clients that come from there
    /// stay as they are.
    pub fn go_on_from(&self, tick: u32, now: Instant) {
        self.first.set(self.first.get().wrapping_add(tick.wrapping_sub(self.at(now))));
        self.tick.set(tick);
        self.judged.set(tick);
    }

    /// The current tick; wraps.
    pub fn tick(&self) -> u32 {
        self.tick.get()
    }

    /// The last tick whose deadlines may be judged.
    pub fn judged(&self) -> u32 {
        self.judged.get()
    }

    /// Milliseconds since the start.
    pub fn now_ms(&self) -> u64 {
        runtime::now().duration_since(self.started).as_millis() as u64
    }

    /// Microseconds since the start.
    pub fn now_us(&self) -> u64 {
        runtime::now().duration_since(self.started).as_micros() as u64
    }

    /// The tick at `now`, which the clock shows once it has been moved.
    pub fn at(&self, now: Instant) -> u32 {
        let passed = (now.duration_since(self.started).as_millis() / u128::from(TICK_MS)) as u32;
        self.first.get().wrapping_add(passed)
    }

    /// Moves the clock to `now`. Returns the previous tick if the tick has changed, else `None`.
    pub fn move_to(&self, now: Instant) -> Option<u32> {
        let tick = self.at(now);
        let before = self.tick.replace(tick);
        (before != tick).then_some(before)
    }

    /// Allows judging deadlines up to the tick `before`: all bytes that had arrived by then have been read.
    pub fn judge_until(&self, before: u32) {
        self.judged.set(before);
    }
}

/// A delay in ticks, rounded up. At most a quarter of the range of a tick number, because ticks wrap.
pub fn ticks(delay_ms: u64) -> u32 {
    delay_ms.div_ceil(TICK_MS).min(u64::from(u32::MAX / 4)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_goes_on_from_the_tick_of_another_process_however_long_it_has_run_itself() {
        let clock = Clock::start();
        let now = clock.started + Duration::from_secs(3);
        for tick in [5, 1_000, u32::MAX] {
            clock.go_on_from(tick, now);
            assert_eq!((clock.tick(), clock.judged(), clock.at(now)), (tick, tick, tick));
        }
        assert_eq!(clock.move_to(now + Duration::from_millis(TICK_MS)), Some(u32::MAX));
        assert_eq!(clock.tick(), 0);
    }
}
