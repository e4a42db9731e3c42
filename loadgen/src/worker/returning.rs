//! Subscribers that the server has ended, and that connect again: some of them every 100 ms, until they are open.

use std::collections::VecDeque;

/// The subscribers that wait to connect again.
#[derive(Default)]
pub(super) struct Lost {
    waiting: VecDeque<usize>,
    next_ns: u64,
}

impl Lost {
    /// Adds a subscriber.
    pub fn add(&mut self, index: usize) {
        self.waiting.push_back(index);
    }

    /// Takes out some of those that wait, if it is time, and returns them with the latest time of the next call.
    pub fn take_some(&mut self, now_ns: u64) -> (Vec<usize>, u64) {
        if self.waiting.is_empty() {
            return (Vec::new(), u64::MAX);
        }
        if now_ns < self.next_ns {
            return (Vec::new(), self.next_ns);
        }
        self.next_ns = now_ns + PAUSE_NS;
        // Those that fail at once wait behind all others.
        let count = self.waiting.len().min(RETURNING);
        (self.waiting.drain(..count).collect(), self.next_ns)
    }
}

const PAUSE_NS: u64 = 100_000_000;
/// Most subscribers of a worker that connect at the same time: 20,000 a second.
const RETURNING: usize = 2_000;
