//! Asks the kernel for what clients that are behind have not acknowledged (SIOCOUTQ), and for what it has of clients that
//! are not read. A waiting send cannot tell: it goes on only when a good part of a socket's buffer is free.
//!
//! Only such clients are looked at, some in each turn, when the core wants to know.

use super::events::{Wire, WireEvent};
use super::operation::Operation;
use super::slots::flag;
use super::token::{Kind, Token};

/// Clients asked about in one turn: it takes about a microsecond for each.
const AT_ONCE: usize = 256;

impl Wire {
    /// Begins to look at all clients that are behind, unless that goes on already. What each has taken comes as
    /// [`WireEvent::Took`].
    pub fn begin_to_measure(&mut self) {
        if !self.progress.is_going_on() {
            let behind = self.slots.backlogs.keys().filter(|slot| !slot.is_virtual());
            let unread =
                self.metered.iter().filter(|slot| self.slots.has(**slot, flag::PAUSED) && !slot.is_virtual());
            self.progress.begin(behind.chain(unread).copied());
        }
    }

    /// Asks about some of them; whether more are to be asked about.
    pub fn measure_some(&mut self) -> bool {
        for _ in 0..AT_ONCE {
            let Some(slot) = self.progress.next_waiting() else { return false };
            if self.slots.has(slot, flag::OPEN | flag::BACKLOGGED) {
                // SAFETY: the question points to nothing.
                unsafe {
                    self.push(Operation::Unacknowledged { slot }, self.slots.token(Kind::Measure, slot))
                };
            }
            if self.slots.has(slot, flag::OPEN | flag::PAUSED) {
                // SAFETY: the question points to nothing.
                unsafe { self.push(Operation::Unread { slot }, self.slots.token(Kind::MeasureUnread, slot)) };
            }
        }
        self.progress.is_going_on()
    }

    /// The answer to how much of a client nobody has read: bytes, or an error.
    pub(super) fn measured_unread(&mut self, token: Token, result: i32) {
        if self.slots.is_current(token) && self.slots.has(token.slot, flag::PAUSED) {
            self.progress.measure_unread(token.slot, usize::try_from(result).unwrap_or_default());
        }
    }

    /// The answer to that: bytes, or an error.
    pub(super) fn measured(&mut self, token: Token, result: i32) {
        let slot = token.slot;
        if !self.slots.is_current(token) || !self.slots.has(slot, flag::BACKLOGGED) {
            return;
        }
        let taken = self.progress.measure(slot, u64::try_from(result).ok());
        self.events.push_back(WireEvent::Took { slot, taken });
    }
}
