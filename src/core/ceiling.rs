//! The memory ceiling of the process (`limits.memory_bytes`). Each core adds up what it keeps, from its accounts and from
//! counts of what has a known size, and publishes the sum: once a tick, and whenever it has grown by [`STEP_BYTES`]. All
//! cores judge by the total. While it is above [`CROWDED`] of the ceiling, each core resets those of its clients that keep
//! most until it has given back its part of the excess. A client that keeps less than [`SMALL_BYTES`], as idle ones do, is
//! never reset. If the others do not keep enough, nobody is reset, as that would not help; instead new clients and
//! requests are refused after [`PATIENCE`] ticks, until there is room again. Only if the total gets above [`FULL`] all the
//! same, all clients are reset that keep as much.

use super::Core;
use super::memory::CHANNEL_BYTES;
use crate::clients::{InKernel, Kept};
use crate::context::SECOND;
use crate::context::rules::{SMALL_BYTES, to_reset};
use crate::origin::{RECEIVED_BYTES, UNSENT_BYTES};
use std::cell::Cell;
use std::rc::Rc;

/// From this part of the ceiling on, of 16, the largest clients are reset.
const CROWDED: u64 = 14;
/// From this part of the ceiling on, of 16, they are reset even if that does not help enough.
const FULL: u64 = 15;
/// Ticks for which the largest clients must have kept too little before new ones are refused.
const PATIENCE: u32 = 3;
/// A core whose largest clients keep too little does not look for others for so many ticks.
const REST: u32 = SECOND;
/// A core that keeps so much more than when it last looked looks again.
const STEP_BYTES: usize = 2 * 1024 * 1024;
/// Memory of a core that has no client: receive buffers, rings, tables, its thread's stack.
const CORE_BYTES: usize = 16 * 1024 * 1024;
/// What a request takes that is open at an application: the socket, its buffers, and what of the answer is on its way.
const OPEN_REQUEST_BYTES: usize = 16 * 1024;
/// What waits in the kernel of an answer whose client does not take it.
const STALLED_ANSWER_BYTES: usize = 2 * RECEIVED_BYTES;
/// What waits in the kernel for an application that does not take what its client sends.
const STALLED_UPLOAD_BYTES: usize = 3 * UNSENT_BYTES as usize / 2;
/// What a connection to an application takes that nobody uses.
const IDLE_ORIGIN_BYTES: usize = 8 * 1024;

/// What a core knows of the ceiling.
#[derive(Default)]
pub(super) struct Ceiling {
    /// Its default: three quarters of the memory there is.
    default: u64,
    /// What the core kept for clients when it last looked, bytes.
    seen: Cell<usize>,
    /// The tick since which the total is above [`CROWDED`] and the largest clients keep too little.
    full_since: Cell<Option<u32>>,
    /// The tick in which they were last looked for in vain.
    in_vain: Cell<Option<u32>>,
}

impl Ceiling {
    /// On a machine, or in a control group, that has `memory` bytes; `None` if that is not known.
    pub fn of(memory: Option<u64>) -> Ceiling {
        Ceiling { default: memory.map_or(0, |memory| memory / 4 * 3), ..Ceiling::default() }
    }

    fn is_above_full(&self, total: u64, bytes: Option<u64>) -> bool {
        let bytes = bytes.unwrap_or(self.default);
        bytes > 0 && total >= bytes / 16 * FULL
    }

    /// By how many bytes `total` is too much, by a ceiling of `bytes`, of which 0 is none.
    fn excess(&self, total: u64, bytes: Option<u64>) -> u64 {
        match bytes.unwrap_or(self.default) {
            0 => 0,
            bytes => total.saturating_sub(bytes / 16 * CROWDED),
        }
    }

    /// At tick `now` the largest clients of the core keep `enough`, or not, of what is too much; whether new clients and
    /// requests are refused from now on.
    fn looked(&self, enough: bool, now: u32) -> bool {
        let since = (!enough).then(|| self.full_since.get().unwrap_or(now));
        self.full_since.set(since);
        since.is_some_and(|since| now.wrapping_sub(since) >= PATIENCE)
    }

    /// Whether the largest clients were looked for in vain a moment ago.
    fn rests(&self, now: u32) -> bool {
        self.in_vain.get().is_some_and(|then| now.wrapping_sub(then) < REST)
    }
}

impl Core {
    /// Looks at what is kept for clients if that has grown. Called once a turn.
    pub(super) fn look_at_growth(self: &Rc<Self>) {
        let kept = self.clients.queued_bytes() + self.context.accounts.bytes();
        if kept > self.ceiling.seen.get() + STEP_BYTES {
            self.keep_below_ceiling();
        }
    }

    /// Publishes what this core keeps, and resets its largest clients if all cores together keep too much.
    pub(super) fn keep_below_ceiling(self: &Rc<Self>) {
        let own = self.kept_bytes() as u64;
        self.context.metrics.kept_bytes.set(own);
        let total: u64 = self.control.all_metrics().iter().map(|metrics| metrics.kept_bytes.get()).sum();
        let (bytes, now) = (self.context.settings().limits.memory_bytes, self.context.now());
        let excess = self.ceiling.excess(total, bytes);
        let part = (u128::from(excess) * u128::from(own) / u128::from(total.max(1))) as usize;
        let whatever = self.ceiling.is_above_full(total, bytes);
        let looks = excess > 0 && (whatever || !self.ceiling.rests(now));
        let given_back = if looks { self.reset_largest(part, whatever) } else { 0 };
        let enough = given_back >= part;
        if looks || enough {
            self.ceiling.in_vain.set((!enough).then_some(now));
        }
        self.context.accounts.set_full(self.ceiling.looked(enough, now));
        self.context.metrics.kept_bytes.set(own.saturating_sub(given_back as u64));
        self.ceiling.seen.set(self.clients.queued_bytes() + self.context.accounts.bytes());
    }

    /// Resets clients until they have given back `excess` bytes, who keeps most first; how many they gave back. If all
    /// of them keep less, nobody is reset, unless `whatever` helps.
    fn reset_largest(self: &Rc<Self>, excess: usize, whatever: bool) -> usize {
        let large = self.clients.heavy(SMALL_BYTES, |kept: Kept| {
            let answer = if kept.stalls_answer { STALLED_ANSWER_BYTES } else { 0 };
            let upload = if kept.stalls_upload { STALLED_UPLOAD_BYTES } else { 0 };
            kept.bytes + answer + upload
        });
        let mut given_back = 0;
        for (kept, slot) in to_reset(large, excess, whatever) {
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
            "memory is short (limits.memory_bytes): for clients of this address, and of this application, most is kept"
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
        let is_full = |enough, now| ceiling.looked(enough, now);
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
