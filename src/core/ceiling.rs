//! The memory ceiling of the process (`limits.memory_bytes`). Each core adds up the bytes of its accounts and the memory of
//! everything that has a known size. It publishes the sum once a tick, and whenever the sum has grown by [`STEP_BYTES`]. All
//! cores compare the total of all sums with the ceiling. While the total is above [`CROWDED`] of the ceiling, each core
//! resets the clients that keep most, until it has freed its share of the excess. A client that keeps less than
//! [`SMALL_BYTES`], as an idle client does, is not reset. If all larger clients together keep less than the share, none is
//! reset, because that would not help. If this lasts for [`PATIENCE`] ticks, new clients and requests are refused until
//! there is room again. Only above [`FULL`] of the ceiling are all larger clients reset in any case.

use super::Core;
use super::memory::CHANNEL_BYTES;
use crate::clients::{InKernel, Kept};
use crate::context::rules::{SMALL_BYTES, to_reset};
use crate::context::{Life, SECOND};
use crate::origin::{RECEIVED_BYTES, UNSENT_BYTES};
use std::cell::Cell;
use std::rc::Rc;

/// Sixteenths of the ceiling above which the largest clients are reset.
const CROWDED: u64 = 14;
/// Sixteenths of the ceiling above which the largest clients are reset even if that does not free enough.
const FULL: u64 = 15;
/// New clients are refused after resetting the largest clients has not been enough for this many ticks.
const PATIENCE: u32 = 3;
/// A core whose largest clients keep too little looks for them again after this many ticks.
const REST: u32 = SECOND;
/// A core compares the total with the ceiling again when it keeps this many bytes more than at the last time.
const STEP_BYTES: usize = 2 * 1024 * 1024;
/// Memory of a core without clients: receive buffers, rings, tables, and the stack of its thread.
const CORE_BYTES: usize = 16 * 1024 * 1024;
/// Memory of a request that is open at an application: the socket, its buffers, and the part of the answer on its way.
const OPEN_REQUEST_BYTES: usize = 16 * 1024;
/// Bytes of an answer that wait in the kernel while its client does not read.
const STALLED_ANSWER_BYTES: usize = 2 * RECEIVED_BYTES;
/// Bytes of a request that wait in the kernel while its application does not read.
const STALLED_UPLOAD_BYTES: usize = 3 * UNSENT_BYTES as usize / 2;
/// Memory of an idle connection to an application.
const IDLE_ORIGIN_BYTES: usize = 8 * 1024;

/// A core's state for the ceiling.
#[derive(Default)]
pub(super) struct Ceiling {
    /// The default of the ceiling, bytes: three quarters of the memory that the process may have. 0 is no ceiling.
    default: u64,
    /// The bytes that the core kept for clients when it last compared the total with the ceiling.
    seen: Cell<usize>,
    /// The tick since which resetting the largest clients has not been enough.
    full_since: Cell<Option<u32>>,
    /// The tick of the last search for large clients, if they kept too little.
    failed_at: Cell<Option<u32>>,
}

impl Ceiling {
    /// The ceiling for a machine or control group with `memory` bytes, or with an unknown number of bytes (`None`).
    pub fn of(memory: Option<u64>) -> Ceiling {
        Ceiling { default: memory.map_or(0, |memory| memory / 4 * 3), ..Ceiling::default() }
    }

    fn is_above_full(&self, total: u64, bytes: Option<u64>) -> bool {
        let bytes = bytes.unwrap_or(self.default);
        bytes > 0 && total >= bytes / 16 * FULL
    }

    /// The bytes of `total` above [`CROWDED`] of a ceiling of `bytes`. A ceiling of 0 is no ceiling.
    fn excess(&self, total: u64, bytes: Option<u64>) -> u64 {
        match bytes.unwrap_or(self.default) {
            0 => 0,
            bytes => total.saturating_sub(bytes / 16 * CROWDED),
        }
    }

    /// Notes whether, at tick `now`, resetting the largest clients was `enough`. Returns whether new clients and requests
    /// are refused from now on.
    fn noted(&self, enough: bool, now: u32) -> bool {
        let since = (!enough).then(|| self.full_since.get().unwrap_or(now));
        self.full_since.set(since);
        since.is_some_and(|since| now.wrapping_sub(since) >= PATIENCE)
    }

    /// Whether the last search for large clients failed less than [`REST`] ticks ago.
    fn failed_lately(&self, now: u32) -> bool {
        self.failed_at.get().is_some_and(|then| now.wrapping_sub(then) < REST)
    }
}

impl Core {
    /// Compares the total with the ceiling if the kept bytes have grown. Called once a turn.
    pub(super) fn look_at_growth(self: &Rc<Self>) {
        let kept = self.clients.queued_bytes() + self.context.accounts.bytes();
        if kept > self.ceiling.seen.get() + STEP_BYTES {
            self.keep_below_ceiling();
        }
    }

    /// Publishes the kept bytes of this core, and resets its largest clients if all cores together keep too much. Does nothing
    /// while it is not decided to which process the clients belong.
    pub(super) fn keep_below_ceiling(self: &Rc<Self>) {
        if self.context.gate.life() == Life::Quiet {
            return;
        }
        let own = self.kept_bytes() as u64;
        self.context.metrics.kept_bytes.set(own);
        let total: u64 = self.control.all_metrics().iter().map(|metrics| metrics.kept_bytes.get()).sum();
        let (bytes, now) = (self.context.settings().limits.memory_bytes, self.context.now());
        let excess = self.ceiling.excess(total, bytes);
        let part = (u128::from(excess) * u128::from(own) / u128::from(total.max(1))) as usize;
        let is_last_resort = self.ceiling.is_above_full(total, bytes);
        let looks = excess > 0 && (is_last_resort || !self.ceiling.failed_lately(now));
        let given_back = if looks { self.reset_largest(part, is_last_resort) } else { 0 };
        let enough = given_back >= part;
        if looks || enough {
            self.ceiling.failed_at.set((!enough).then_some(now));
        }
        self.context.accounts.set_full(self.ceiling.noted(enough, now));
        self.context.metrics.kept_bytes.set(own.saturating_sub(given_back as u64));
        self.ceiling.seen.set(self.clients.queued_bytes() + self.context.accounts.bytes());
    }

    /// Resets clients, those that keep most first, until `excess` bytes are freed. Returns the freed bytes. If all of them
    /// together keep less, resets none, or all of them if `is_last_resort`.
    fn reset_largest(self: &Rc<Self>, excess: usize, is_last_resort: bool) -> usize {
        let large = self.clients.heavy(SMALL_BYTES, |kept: Kept| {
            let answer = if kept.stalls_answer { STALLED_ANSWER_BYTES } else { 0 };
            let upload = if kept.stalls_upload { STALLED_UPLOAD_BYTES } else { 0 };
            kept.bytes + answer + upload
        });
        let mut given_back = 0;
        for (kept, slot) in to_reset(large, excess, is_last_resort) {
            given_back += kept;
            self.context.metrics.memory_closed_total.add(1);
            if let Some(held) = self.clients.held(slot) {
                held.forget_waiting();
            }
            self.clients.reset(slot, InKernel::Discarded);
        }
        self.freed(given_back);
        given_back
    }

    /// Logs for which address and application most is kept, while new clients and requests are refused.
    pub(super) fn tell_of_short_memory(&self) {
        let accounts = &self.context.accounts;
        let Some((network, address_bytes)) = accounts.heaviest_network().filter(|_| accounts.is_full())
        else {
            return;
        };
        let application = accounts.heaviest_application();
        tracing::warn!(
            core = self.context.id.0,
            kept_bytes = accounts.bytes(),
            address = network.address().map(tracing::field::display),
            address_bytes,
            application = application.and_then(|(application, _)| self.requests.name_of(application)),
            application_bytes = application.map(|(_, bytes)| bytes),
            "memory is short, so new clients are refused; this address and this application use most: raise \
             limits.memory_bytes if the machine has room, or lower limits.connections_per_address"
        );
    }

    fn kept_bytes(&self) -> usize {
        let origins = self.requests.pool().counts();
        let (answers, uploads) = self.clients.stalled();
        let stalled = answers * STALLED_ANSWER_BYTES + uploads * STALLED_UPLOAD_BYTES;
        let channels = self.delivery.channels() + self.publishing.homes();
        CORE_BYTES
            + self.clients.queued_bytes()
            + self.context.accounts.bytes()
            + origins.open as usize * OPEN_REQUEST_BYTES
            + stalled
            + origins.idle * IDLE_ORIGIN_BYTES
            + channels * CHANNEL_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_clients_are_refused_while_the_largest_keep_too_little() {
        let ceiling = Ceiling::of(None);
        let is_full = |enough, now| ceiling.noted(enough, now);
        assert!(!is_full(false, 0) && is_full(false, PATIENCE));
        assert!(!is_full(true, 10) && !is_full(false, 11) && is_full(false, 11 + PATIENCE));
        assert!(ceiling.is_above_full(15_000, Some(16_000)) && !ceiling.is_above_full(14_999, Some(16_000)));
    }

    #[test]
    fn the_ceiling_is_three_quarters_of_the_memory_unless_it_is_set() {
        let excess = |memory, set| Ceiling::of(memory).excess(11_000_000, set);
        assert_eq!((excess(Some(16_000_000), None), excess(Some(17_000_000), None)), (500_000, 0));
        assert_eq!(excess(Some(17_000_000), Some(12_000_000)), 500_000);
        assert_eq!((excess(Some(16_000_000), Some(0)), excess(None, None)), (0, 0));
    }
}
