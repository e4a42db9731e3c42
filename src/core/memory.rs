//! Gives back memory that a core no longer needs. Tables that have been nearly empty for a while shrink, and the freed
//! pages go back to the system. Pages are returned in portions, each of which one core returns for all cores, so that
//! no core stands still for long.

use super::Core;
use crate::ids::CoreId;
use crate::slack::{Look, Slack};
use crate::wire::return_free_pages;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// About how many bytes all cores have freed since pages were last returned.
static FREED_BYTES: AtomicUsize = AtomicUsize::new(0);
/// As soon as this much is free, it is returned, however busy the core is. That takes about 10 ms.
const PORTION_BYTES: usize = 64 * 1024 * 1024;
/// Fewer bytes are not worth returning.
const LEAST_BYTES: usize = 1024 * 1024;
/// A core that has freed nothing for this many ticks returns the rest.
const QUIET_TICKS: u32 = 3;
/// Memory of a channel without subscribers, here and at its home, beside its places in tables: its name and its state.
pub(super) const CHANNEL_BYTES: usize = 512;

/// What a core remembers about memory that it no longer needs.
#[derive(Default)]
pub(super) struct Memory {
    slack: Slack,
    freed_at: u32,
}

impl Core {
    /// Notes that about `bytes` of memory were freed.
    pub(super) fn freed(&self, bytes: usize) {
        if bytes > 0 {
            FREED_BYTES.fetch_add(bytes, Ordering::Relaxed);
            self.memory.borrow_mut().freed_at = self.context.now();
        }
    }

    /// Shrinks tables and returns free pages to the system. Called once a tick.
    pub(super) fn give_memory_back(&self) {
        let now = self.context.now();
        let mut slack = std::mem::take(&mut self.memory.borrow_mut().slack);
        let mut look = slack.look(now);
        self.look_at_tables(&mut look);
        let given_back = look.given_back();
        self.memory.borrow_mut().slack = slack;
        self.freed(given_back);
        let is_quiet = now.wrapping_sub(self.memory.borrow().freed_at) >= QUIET_TICKS;
        let enough = if is_quiet { LEAST_BYTES } else { PORTION_BYTES };
        if FREED_BYTES.load(Ordering::Relaxed) < enough || FREED_BYTES.swap(0, Ordering::Relaxed) < enough {
            return;
        }
        let begun = Instant::now();
        return_free_pages();
        tracing::debug!(
            core = self.context.id.0,
            took_us = begun.elapsed().as_micros() as u64,
            "free pages were returned"
        );
    }

    /// Shows to `look` all tables that grow with clients and channels, always in the same order.
    fn look_at_tables(&self, look: &mut Look<'_>) {
        self.context.accounts.look_at_tables(look);
        self.delivery.look_at_tables(look);
        self.publishing.look_at_tables(look);
        self.clients.look_at_tables(look);
        self.queries.look_at_tables(look);
        self.filters.look_at_tables(look);
        self.requests.pool().look_at_tables(look);
        // All cores share the SockJS conversations, so only core 0 looks at their table.
        self.holds.look_at_tables(look, self.context.id == CoreId(0));
    }
}
