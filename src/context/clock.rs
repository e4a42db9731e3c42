//! The clock of a core. It ticks ten times a second, and all timeouts of a core are as exact as that. A timeout is judged
//! only by the tick before the last one: everything that had arrived by then has been read.

use crate::runtime;
use std::cell::Cell;
use std::time::Instant;

/// Length of a tick, ms.
pub const TICK_MS: u64 = 100;
/// Ticks of a second.
pub const SECOND: u32 = (1000 / TICK_MS) as u32;

/// The time of a core.
pub struct Clock {
    started: Instant,
    tick: Cell<u32>,
    /// Deadlines up to this tick may be judged.
    judged: Cell<u32>,
}

impl Clock {
    /// A clock that begins now, at tick 0.
    pub fn start() -> Clock {
        Clock { started: runtime::now(), tick: Cell::new(0), judged: Cell::new(0) }
    }

    /// The current tick; wraps.
    pub fn tick(&self) -> u32 {
        self.tick.get()
    }

    /// Deadlines up to this tick may be judged.
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

    /// Moves on to `now`; the tick before, if that is another one.
    pub fn move_to(&self, now: Instant) -> Option<u32> {
        let tick = (now.duration_since(self.started).as_millis() / u128::from(TICK_MS)) as u32;
        let before = self.tick.replace(tick);
        (before != tick).then_some(before)
    }

    /// Everything that had arrived by the tick `before` has been read.
    pub fn judge_until(&self, before: u32) {
        self.judged.set(before);
    }
}

/// A delay in ticks, rounded up, and at most half of what the clock can tell apart.
pub fn ticks(delay_ms: u64) -> u32 {
    delay_ms.div_ceil(TICK_MS).min(u64::from(u32::MAX / 4)) as u32
}
