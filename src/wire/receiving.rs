//! When bytes are received from a client. A multishot receive goes on as fast as the client sends, so a busy
//! connection costs no submissions. But before a pause reaches the kernel, the receive may have filled every buffer
//! of the core for one client. A client that was paused once sends faster than it is served, so from then on each of
//! its receives takes one buffer. Then the core's limit is exceeded by one buffer, not by megabytes.

use super::Wire;
use super::operation::Operation;
use super::slots::flag;
use super::token::Kind;
use crate::ids::Slot;

impl Wire {
    /// Stops receiving from `slot`. Bytes that the kernel has put into buffers already are still reported.
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

    /// Receives from `slot` again.
    pub fn resume(&mut self, slot: Slot) {
        self.unpause(slot);
        if self.slots.has(slot, flag::OPEN) && !self.slots.has(slot, flag::RECEIVING) {
            self.arm_receive(slot);
        }
    }

    /// Ends the pause of `slot`, without receiving.
    pub(super) fn unpause(&mut self, slot: Slot) {
        if self.slots.has(slot, flag::PAUSED) {
            self.slots.clear(slot, flag::PAUSED);
            self.paused -= 1;
            self.progress.is_read(slot);
        }
    }

    /// Whether `slot` is paused.
    pub fn is_paused(&self, slot: Slot) -> bool {
        self.slots.has(slot, flag::PAUSED)
    }

    pub(super) fn arm_receive(&mut self, slot: Slot) {
        if slot.is_virtual() {
            return self.resume_virtual(slot);
        }
        if self.stillness.clients {
            return;
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
