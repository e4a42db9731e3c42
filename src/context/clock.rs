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
    tick: Cell<u32>,
    /// The last tick whose deadlines may be judged.
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

    /// Moves the clock to `now`. Returns the previous tick if the tick has changed, else `None`.
    pub fn move_to(&self, now: Instant) -> Option<u32> {
        let tick = (now.duration_since(self.started).as_millis() / u128::from(TICK_MS)) as u32;
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
