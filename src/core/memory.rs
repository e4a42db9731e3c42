//! Memory that a core needs no more. Tables shrink when they have been nearly empty for a while, and the pages of what
//! was freed go back to the system: in portions, each of which one core returns for all, so that none of them stands
//! still for long.

use super::Core;
use crate::ids::CoreId;
use crate::slack::{Look, Slack};
use crate::wire::return_free_pages;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Freed by all cores since pages were last returned, about.
static FREED_BYTES: AtomicUsize = AtomicUsize::new(0);
/// So much is returned at once, whatever goes on. It takes about 10 ms.
const PORTION_BYTES: usize = 64 * 1024 * 1024;
/// What is less is not worth it.
const LEAST_BYTES: usize = 1024 * 1024;
/// A core has freed nothing for so many ticks when it returns the rest.
const QUIET_TICKS: u32 = 3;
/// What a channel without subscribers takes, here and at its home, beside its places in tables: its name, its state.
pub(super) const CHANNEL_BYTES: usize = 512;

/// What a core knows of the memory it needs no more.
#[derive(Default)]
pub(super) struct Memory {
    slack: Slack,
    freed_at: u32,
}

impl Core {
    /// About so much memory was freed.
    pub(super) fn freed(&self, bytes: usize) {
        if bytes > 0 {
            FREED_BYTES.fetch_add(bytes, Ordering::Relaxed);
            self.memory.borrow_mut().freed_at = self.context.now();
        }
    }

    /// Gives back what was not needed lately. Called once a tick.
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

    /// All tables that grow with clients and channels, always in the same order.
    fn look_at_tables(&self, look: &mut Look<'_>) {
        self.delivery.look_at_tables(look);
        self.publishing.look_at_tables(look);
        self.clients.look_at_tables(look);
        self.queries.look_at_tables(look);
        self.filters.look_at_tables(look);
        self.requests.pool().look_at_tables(look);
        // All cores share the conversations of SockJS.
        self.holds.look_at_tables(look, self.context.id == CoreId(0));
    }
}
