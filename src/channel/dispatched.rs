//! How many messages each home has sent to each core: the only counters that homes and other cores share. A core that
//! compares such a counter with the number of messages it has taken knows whether anything is under way to it, and
//! which message is the last that was sent before now.

use crate::ids::CoreId;
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of two cache lines, which CPUs fetch together, so that no two homes write to the same ones.
const LINE: usize = 16;

/// Messages sent, by home and core.
pub struct Dispatched {
    lines: Box<[CachePadded<[AtomicU64; LINE]>]>,
    lines_of_home: usize,
}

impl Dispatched {
    /// No home of `cores` cores has sent anything.
    pub fn new(cores: usize) -> Dispatched {
        let lines_of_home = cores.div_ceil(LINE);
        let lines = (0..cores * lines_of_home).map(|_| CachePadded::default()).collect();
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
        self.lines.get(line)?.get(core.index() % LINE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_a_counter_of_its_own() {
        let cores = 19;
        let dispatched = Dispatched::new(cores);
        let pairs = || (0..cores as u16).flat_map(|home| (0..cores as u16).map(move |core| (home, core)));
        for (home, core) in pairs() {
            (0..home * 40 + core).for_each(|_| dispatched.count(CoreId(home), CoreId(core)));
        }
        for (home, core) in pairs() {
            assert_eq!(dispatched.sent(CoreId(home), CoreId(core)), u64::from(home * 40 + core));
        }
    }
}
