//! How many messages each home has sent to each core: the only counters that homes and other cores share. A core that
//! compares such a counter with the number of messages it has taken knows whether anything is under way to it, and
//! which message is the last that was sent before now.

use crate::ids::CoreId;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one cache line, so that no two homes write to the same line.
const LINE: usize = 8;

#[repr(align(64))]
#[derive(Default)]
struct Line([AtomicU64; LINE]);

/// Messages sent, by home and core.
pub struct Dispatched {
    lines: Box<[Line]>,
    lines_of_home: usize,
}

impl Dispatched {
    /// No home of `cores` cores has sent anything.
    pub fn new(cores: usize) -> Dispatched {
        let lines_of_home = cores.div_ceil(LINE);
        let lines = (0..cores * lines_of_home).map(|_| Line::default()).collect();
        Dispatched { lines, lines_of_home }
    }

    /// `home` is about to send one more message to `core`. Only the thread of `home` may say so, and before anybody can
    /// hear that the message has its place.
    pub fn count(&self, home: CoreId, core: CoreId) {
        if let Some(counter) = self.counter(home, core) {
            // One writer, so nothing is lost between the load and the store.
            counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
    }

    /// How many messages `home` has sent to `core`.
    pub fn sent(&self, home: CoreId, core: CoreId) -> u64 {
        self.counter(home, core).map_or(0, |counter| counter.load(Ordering::Acquire))
    }

    fn counter(&self, home: CoreId, core: CoreId) -> Option<&AtomicU64> {
        let line = home.index() * self.lines_of_home + core.index() / LINE;
        self.lines.get(line)?.0.get(core.index() % LINE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_a_counter_of_its_own() {
        let cores = 11;
        let dispatched = Dispatched::new(cores);
        let pairs = || (0..cores as u16).flat_map(|home| (0..cores as u16).map(move |core| (home, core)));
        for (home, core) in pairs() {
            (0..home * 20 + core).for_each(|_| dispatched.count(CoreId(home), CoreId(core)));
        }
        for (home, core) in pairs() {
            assert_eq!(dispatched.sent(CoreId(home), CoreId(core)), u64::from(home * 20 + core));
        }
    }
}
