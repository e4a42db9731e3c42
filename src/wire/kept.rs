//! Memory that connections take, by counts of what has a known size: each one's socket and state, what waits to be sent,
//! what sessions of TLS keep, and what waits in the kernel for clients that are slow, or not read.

use super::backlog::Backlog;
use super::events::Wire;
use super::slots::flag;
use crate::ids::Slot;

impl Wire {
    /// Bytes that all connections take.
    pub fn kept_bytes(&self) -> usize {
        self.open as usize * CONNECTION_BYTES
            + self.paused * UNREAD_BYTES
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
        let unread = if self.slots.has(slot, flag::PAUSED) { UNREAD_BYTES } else { 0 };
        unsent + unread + self.progress.in_kernel_for(slot) + self.secure.kept_for(slot)
    }

    /// Clients that have been behind with what they were sent for long enough to be looked at.
    pub fn behind(&self) -> impl Iterator<Item = Slot> {
        self.progress.clients()
    }

    /// Whether `slot` is one of these.
    pub fn is_behind(&self, slot: Slot) -> bool {
        self.slots.has(slot, flag::BACKLOGGED) && self.progress.has(slot)
    }
}

/// What an idle connection takes, most of it in the kernel (tuning/README.md).
const CONNECTION_BYTES: usize = 4_800;
/// What waits in the kernel of a client that is not read: about its first window.
const UNREAD_BYTES: usize = 64 * 1024;
