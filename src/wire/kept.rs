//! An estimate of the memory that connections take, from counts of parts with known sizes: sockets and their state,
//! unsent data, TLS sessions, and bytes in the kernel for clients that are slow or paused.

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

    /// Bytes that the connection in `slot` takes beyond an idle connection.
    pub fn kept_for(&self, slot: Slot) -> usize {
        // Most clients are in none of the tables.
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

    /// Clients with a backlog that were measured at least once.
    pub fn behind(&self) -> impl Iterator<Item = Slot> {
        self.progress.clients()
    }

    /// Clients that are paused.
    pub fn unread_clients(&self) -> impl Iterator<Item = Slot> {
        self.metered.iter().copied().filter(|slot| self.slots.has(*slot, flag::PAUSED))
    }

    /// Whether `slot` has a backlog, and was measured.
    pub fn is_behind(&self, slot: Slot) -> bool {
        self.slots.has(slot, flag::BACKLOGGED) && self.progress.has(slot)
    }
}

/// Memory of an idle connection, most of it in the kernel (tuning/README.md).
const CONNECTION_BYTES: usize = 4_800;
