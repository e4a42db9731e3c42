//! Memory that connections take, by counts of what has a known size: each one's socket and state, what waits to be sent,
//! what sessions of TLS keep, and what waits in the kernel for clients that are slow, or not read.

use super::backlog::Backlog;
use super::events::Wire;
use super::progress::UNREAD_BYTES;
use super::slots::flag;
use crate::ids::Slot;

impl Wire {
    /// Bytes that all connections take.
    pub fn kept_bytes(&self) -> usize {
        self.open as usize * CONNECTION_BYTES
            + self.paused * UNREAD_BYTES
            + self.progress.unread()
            + self.progress.in_kernel()
            + self.slots.backlog_bytes
            + self.secure.kept_bytes()
    }

    /// Bytes that the connection in `slot` takes beyond what an idle one takes.
    pub fn kept_for(&self, slot: Slot) -> usize {
        // Most clients have nothing in any table.
        if !self.slots.has_any(slot, flag::BACKLOGGED | flag::CORKED | flag::PAUSED | flag::INDIRECT) {
            return 0;
        }
        let backlogs = [&self.slots.backlogs, &self.slots.corked, &self.secure.unsealed];
        let unsent: usize =
            backlogs.iter().filter_map(|backlogs| backlogs.get(&slot)).map(Backlog::bytes).sum();
        let unread =
            if self.slots.has(slot, flag::PAUSED) { UNREAD_BYTES + self.progress.unread_of(slot) } else { 0 };
        unsent + unread + self.progress.in_kernel_for(slot) + self.secure.kept_for(slot)
    }

    /// Clients with a backlog that were looked at at least once.
    pub fn behind(&self) -> impl Iterator<Item = Slot> {
        self.progress.clients()
    }

    /// Clients that are not read.
    pub fn unread_clients(&self) -> impl Iterator<Item = Slot> {
        self.metered.iter().copied().filter(|slot| self.slots.has(*slot, flag::PAUSED))
    }

    /// Whether `slot` is behind, and was looked at.
    pub fn is_behind(&self, slot: Slot) -> bool {
        self.slots.has(slot, flag::BACKLOGGED) && self.progress.has(slot)
    }
}

/// What an idle connection takes, most of it in the kernel (tuning/README.md).
const CONNECTION_BYTES: usize = 4_800;
