//! When bytes are taken from a client. A receive of the kernel goes on by itself, as fast as the client sends, so that
//! a busy connection costs no submissions; but before a pause reaches the kernel, it may have filled every buffer of
//! the core for one client. A client that had to be paused once sends faster than it is served: from then on each
//! receive takes one buffer, and what exceeds the core's bound by the time it pauses is one buffer, not megabytes.

use super::Wire;
use super::operation::Operation;
use super::slots::flag;
use super::token::Kind;
use crate::ids::Slot;

impl Wire {
    /// Takes no more bytes from `slot` than are on their way already.
    pub fn pause(&mut self, slot: Slot) {
        if self.slots.has(slot, flag::PAUSED) || !self.slots.has(slot, flag::OPEN) {
            return;
        }
        self.slots.set(slot, flag::PAUSED);
        self.paused += 1;
        self.metered.insert(slot);
        if self.slots.has(slot, flag::RECEIVING) {
            self.cancel(Kind::Receive, slot);
        }
    }

    /// Takes bytes from `slot` again.
    pub fn resume(&mut self, slot: Slot) {
        self.unpause(slot);
        if self.slots.has(slot, flag::OPEN) && !self.slots.has(slot, flag::RECEIVING) {
            self.arm_receive(slot);
        }
    }

    /// `slot` is not paused any more.
    pub(super) fn unpause(&mut self, slot: Slot) {
        if self.slots.has(slot, flag::PAUSED) {
            self.slots.clear(slot, flag::PAUSED);
            self.paused -= 1;
            self.progress.is_read(slot);
        }
    }

    /// Whether no bytes are taken from `slot` now.
    pub fn is_paused(&self, slot: Slot) -> bool {
        self.slots.has(slot, flag::PAUSED)
    }

    pub(super) fn arm_receive(&mut self, slot: Slot) {
        if slot.is_virtual() {
            return self.resume_virtual(slot);
        }
        self.slots.set(slot, flag::RECEIVING);
        let operation = match self.metered.contains(&slot) {
            true => Operation::ReceiveOnce { slot },
            false => Operation::Receive { slot },
        };
        // SAFETY: the receive takes its memory from the provided buffers, which outlive the ring.
        unsafe { self.push(operation, self.slots.token(Kind::Receive, slot)) };
    }
}
