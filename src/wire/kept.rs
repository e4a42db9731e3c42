//! Memory that connections take, by counts of what has a known size: each one's socket and state, what waits to be sent,
//! what sessions of TLS keep, and what waits in the kernel for clients that are slow, or not read.

use super::backlog::Backlog;
use super::events::Wire;
use super::slots::flag;
use crate::ids::Slot;

impl Wire {
    /// Bytes that all connections take.
    pub fn kept_bytes(&self) -> usize {
        let congested = self.slots.backlogs.len() + self.paused;
        self.open as usize * CONNECTION_BYTES
            + congested * CONGESTED_BYTES
            + self.slots.backlog_bytes
            + self.secure.kept_bytes()
    }

    /// Bytes that the connection in `slot` takes beyond what an idle one takes.
    pub fn kept_for(&self, slot: Slot) -> usize {
        let backlogs = [&self.slots.backlogs, &self.slots.corked, &self.secure.unsealed];
        let unsent: usize =
            backlogs.iter().filter_map(|backlogs| backlogs.get(&slot)).map(Backlog::bytes).sum();
        let congested = self.slots.has_any(slot, flag::BACKLOGGED | flag::PAUSED);
        unsent + if congested { CONGESTED_BYTES } else { 0 } + self.secure.kept_for(slot)
    }
}

/// What an idle connection takes, most of it in the kernel (tuning/README.md).
const CONNECTION_BYTES: usize = 4_800;
/// What waits in the kernel for a client that is slow (TCP_NOTSENT_LOWAT and what is under way), or from one that is not
/// read.
const CONGESTED_BYTES: usize = 192 * 1024;
