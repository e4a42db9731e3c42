//! Counts the messages that each home has sent to each core. These are the only counters that homes and other cores
//! share. A core compares the counter with the number of messages it has taken, and so knows whether messages are in
//! transit to it, and which message is the last that was sent before now.

use crate::ids::CoreId;
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters in two cache lines, which CPUs fetch together, so that no two homes write to the same cache lines.
const LINE: usize = 16;

/// The number of messages sent, by home and core.
pub struct Dispatched {
    lines: Box<[CachePadded<[AtomicU64; LINE]>]>,
    lines_of_home: usize,
}

impl Dispatched {
    /// The counters of `cores` cores, all 0.
    pub fn new(cores: usize) -> Dispatched {
        let lines_of_home = cores.div_ceil(LINE);
        let lines = (0..cores * lines_of_home).map(|_| CachePadded::default()).collect();
        Dispatched { lines, lines_of_home }
    }

    /// Counts one more message from `home` to `core`, which is about to be sent. Only the thread of `home` may call
    /// this, and it calls it before anybody can learn that the message has its place.
    pub fn count(&self, home: CoreId, core: CoreId) {
        if let Some(counter) = self.counter(home, core) {
            // There is one writer, so no count is lost between the load and the store.
            counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
    }

    /// The number of messages that `home` has sent to `core`.
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
