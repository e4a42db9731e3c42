//! The memory ceiling of the process (`limits.memory_bytes`). Each core adds up what it keeps, from its accounts and from
//! counts of what has a known size, and publishes the sum: once a tick, and whenever it has grown by [`STEP_BYTES`]. All
//! cores judge by the total. While it is above [`CROWDED`] of the ceiling, each core closes its largest consumers until
//! it has given back its part of the excess. Who keeps less than [`SMALL_BYTES`], as idle clients do, is never closed.
//! If the total is above [`FULL`] for [`PATIENCE`] ticks in which there were not enough of them to close, new clients and
//! requests are refused until it is less.

use super::Core;
use super::memory::CHANNEL_BYTES;
use super::row::{Phase, Row};
use crate::ids::{CoreId, Slot};
use std::cell::Cell;
use std::cmp::Reverse;
use std::rc::Rc;

/// From this part of the ceiling on, of 16, the largest consumers are closed.
const CROWDED: u64 = 14;
/// From this part of the ceiling on, of 16, new clients and requests are refused.
const FULL: u64 = 15;
/// Ticks in which there is not enough to close before that.
const PATIENCE: u32 = 3;
/// A core that keeps so much more than when it last looked looks again.
const STEP_BYTES: usize = 2 * 1024 * 1024;
/// Who keeps less than this is not closed.
const SMALL_BYTES: usize = 16 * 1024;
/// Memory of a core that has no client: receive buffers, rings, tables, its thread's stack.
const CORE_BYTES: usize = 16 * 1024 * 1024;
/// What a request takes that is open at an application: the socket, its buffers, and what of the answer is on its way.
const OPEN_REQUEST_BYTES: usize = 16 * 1024;
/// What waits in the kernel of an answer whose client does not take it.
const STALLED_ANSWER_BYTES: usize = 384 * 1024;
/// What a connection to an application takes that nobody uses.
const IDLE_REQUEST_BYTES: usize = 8 * 1024;

/// What a core knows of the ceiling.
#[derive(Default)]
pub(super) struct Ceiling {
    /// Its default: three quarters of the memory there is.
    default: u64,
    /// What the core kept for clients when it last looked, bytes.
    seen: Cell<usize>,
    /// The tick since which the total is above [`FULL`] and there is not enough to close.
    full_since: Cell<Option<u32>>,
    is_full: Cell<bool>,
}

impl Ceiling {
    /// On a machine, or in a control group, that has `memory` bytes; `None` if that is not known.
    pub fn of(memory: Option<u64>) -> Ceiling {
        Ceiling { default: memory.map_or(0, |memory| memory / 4 * 3), ..Ceiling::default() }
    }

    /// By how many bytes `total` is too much, by a ceiling of `bytes`, of which 0 is none.
    fn excess(&self, total: u64, bytes: Option<u64>) -> u64 {
        match bytes.unwrap_or(self.default) {
            0 => 0,
            bytes => total.saturating_sub(bytes / 16 * CROWDED),
        }
    }

    /// At tick `now` the core could close enough of its consumers, or not, while `total` was kept.
    fn closed(&self, enough: bool, total: u64, bytes: Option<u64>, now: u32) {
        let is_above = total >= bytes.unwrap_or(self.default) / 16 * FULL;
        let since = (is_above && !enough).then(|| self.full_since.get().unwrap_or(now));
        self.full_since.set(since);
        self.is_full.set(since.is_some_and(|since| now.wrapping_sub(since) >= PATIENCE));
    }
}

impl Core {
    /// Whether new clients and requests are refused because memory is short.
    pub(super) fn is_full(&self) -> bool {
        self.ceiling.is_full.get()
    }

    /// Looks at what is kept for clients if that has grown. Called once a turn.
    pub(super) fn look_at_growth(self: &Rc<Self>) {
        let kept = self.wire.borrow().kept_bytes() + self.accounts.bytes();
        if kept > self.ceiling.seen.get() + STEP_BYTES {
            self.keep_below_ceiling();
        }
    }

    /// Publishes what this core keeps, and closes its largest consumers if all cores together keep too much.
    pub(super) fn keep_below_ceiling(self: &Rc<Self>) {
        let own = self.kept_bytes() as u64;
        self.gauges.kept_bytes.set(own);
        let total: u64 = self.all_gauges.iter().map(|gauges| gauges.kept_bytes.get()).sum();
        let bytes = self.settings().limits.memory_bytes;
        let excess = self.ceiling.excess(total, bytes);
        let part = (u128::from(excess) * u128::from(own) / u128::from(total.max(1))) as usize;
        let enough = excess == 0 || self.close_largest(part);
        self.ceiling.closed(enough, total, bytes, self.now());
        self.ceiling.seen.set(self.wire.borrow().kept_bytes() + self.accounts.bytes());
    }

    /// Closes clients until they have given back `excess` bytes, who keeps most first; whether they were enough.
    fn close_largest(self: &Rc<Self>, excess: usize) -> bool {
        let mut large: Vec<(usize, Slot)> = {
            let (rows, wire) = (self.rows.borrow(), self.wire.borrow());
            let clients = rows.some(0, rows.places()).filter(|(_, row)| row.service.is_for_clients());
            let kept = clients.map(|(slot, row)| (kept_for(row) + wire.kept_for(slot), slot));
            kept.filter(|(kept, _)| *kept >= SMALL_BYTES).collect()
        };
        large.sort_unstable_by_key(|(kept, _)| Reverse(*kept));
        let mut given_back = 0;
        for (kept, slot) in large {
            if given_back >= excess {
                break;
            }
            given_back += kept;
            self.gauges.memory_closed_total.add(1);
            self.reset(slot);
        }
        self.freed(given_back);
        given_back >= excess
    }

    fn kept_bytes(&self) -> usize {
        let origins = self.pool.counts();
        let (wire, stalled) = {
            let wire = self.wire.borrow();
            (wire.kept_bytes(), wire.stalled())
        };
        let open = origins.open as usize;
        let channels = self.subscriptions.borrow().channels() + self.home.borrow().channels();
        // All cores share the conversations of SockJS.
        let sockjs = if self.id == CoreId(0) { self.sockjs.kept_bytes() } else { 0 };
        CORE_BYTES
            + sockjs
            + wire
            + self.accounts.bytes()
            + open * OPEN_REQUEST_BYTES
            + open.min(stalled) * STALLED_ANSWER_BYTES
            + origins.idle * IDLE_REQUEST_BYTES
            + channels * CHANNEL_BYTES
    }
}

/// What is kept for a connection, beside what waits to be sent.
fn kept_for(row: &Row) -> usize {
    let carried = row.carry.as_ref().map_or(0, |carry| carry.bytes().len());
    carried
        + match &row.phase {
            Phase::Exchange(exchange) => exchange.kept_bytes(),
            Phase::Poll(poll) => poll.kept_bytes(),
            Phase::Socket(socket) => socket.kept_bytes(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_clients_are_refused_when_closing_did_not_help() {
        let ceiling = Ceiling::of(None);
        let is_full = |enough, total, now| {
            ceiling.closed(enough, total, Some(16_000), now);
            ceiling.is_full.get()
        };
        assert!(!is_full(false, 15_500, 0) && is_full(false, 15_500, PATIENCE));
        assert!(!is_full(true, 15_500, 10) && !is_full(false, 15_500, 11));
        assert!(is_full(false, 15_500, 11 + PATIENCE) && !is_full(false, 14_500, 20));
    }

    #[test]
    fn the_ceiling_is_three_quarters_of_the_memory_unless_it_is_set() {
        let excess = |memory, set| Ceiling::of(memory).excess(11_000_000, set);
        assert_eq!((excess(Some(16_000_000), None), excess(Some(17_000_000), None)), (500_000, 0));
        assert_eq!(excess(Some(17_000_000), Some(12_000_000)), 500_000);
        assert_eq!((excess(Some(16_000_000), Some(0)), excess(None, None)), (0, 0));
    }
}
