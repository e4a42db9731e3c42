//! Asks the kernel how many bytes are unacknowledged by clients with a backlog (SIOCOUTQ), and how many bytes it
//! holds from clients that are paused. A waiting send cannot tell this, because it completes only when a good part of
//! the socket's buffer is free.
//!
//! Only such clients are measured, some in each turn, after the core has asked for it.

use super::events::{Wire, WireEvent};
use super::operation::Operation;
use super::slots::flag;
use super::token::{Kind, Token};
use crate::ids::Slot;

/// Clients that are measured in one turn; each takes about a microsecond.
const AT_ONCE: usize = 256;

impl Wire {
    /// Begins to measure all clients with a backlog and all paused clients, unless this is going on already. The
    /// results are reported as [`WireEvent::Took`].
    pub fn begin_to_measure(&mut self) {
        if !self.progress.is_going_on() && !self.stillness.clients {
            let behind = self.slots.backlogs.keys().filter(|slot| !slot.is_virtual());
            let unread =
                self.metered.iter().filter(|slot| self.slots.has(**slot, flag::PAUSED) && !slot.is_virtual());
            self.progress.begin(behind.chain(unread).copied());
        }
    }

    /// Measures some more clients; returns whether more are left. A quiet wire measures none.
    pub fn measure_some(&mut self) -> bool {
        if self.stillness.clients {
            return false;
        }
        for _ in 0..AT_ONCE {
            let Some(slot) = self.progress.next_waiting() else { return false };
            if self.slots.has(slot, flag::OPEN | flag::BACKLOGGED) {
                self.ask(Operation::Unacknowledged { slot }, Kind::Measure, slot);
            }
            if self.slots.has(slot, flag::OPEN | flag::PAUSED) {
                self.ask(Operation::Unread { slot }, Kind::MeasureUnread, slot);
            }
        }
        self.progress.is_going_on()
    }

    fn ask(&mut self, operation: Operation, kind: Kind, slot: Slot) {
        self.progress.asked += 1;
        // SAFETY: both operations point to nothing.
        unsafe { self.push(operation, self.slots.token(kind, slot)) };
    }

    /// Handles the number of unread bytes of a paused client, or an error.
    pub(super) fn measured_unread(&mut self, token: Token, result: i32) {
        self.progress.asked -= 1;
        if self.slots.is_current(token) && self.slots.has(token.slot, flag::PAUSED) {
            self.progress.measure_unread(token.slot, usize::try_from(result).unwrap_or_default());
        }
    }

    /// Handles the number of unacknowledged bytes of a client with a backlog, or an error.
    pub(super) fn measured(&mut self, token: Token, result: i32) {
        self.progress.asked -= 1;
        let slot = token.slot;
        if !self.slots.is_current(token) || !self.slots.has(slot, flag::BACKLOGGED) {
            return;
        }
        let taken = self.progress.measure(slot, u64::try_from(result).ok());
        self.events.push_back(WireEvent::Took { slot, taken });
    }
}
