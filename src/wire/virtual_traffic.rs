//! Data of virtual slots. For the core, a virtual slot is like any other: it has events, a backlog and a cork, and it
//! is paused and closed. Data for the client waits in the slot's backlog until the client takes it. Data from the
//! client waits in its [`Line`] until the next poll reports it. The kernel is not involved.
//!
//! The limits work as for a socket. While the client has more than [`WINDOW_BYTES`] to take, the slot counts as
//! backlogged, and `backlog_bytes` limits further data for it. While as many bytes from the client wait for the core,
//! the client waits. All data that the client has not taken counts as unsent.

use super::backlog::Backlog;
use super::events::{Wire, WireEvent};
use super::slots::{Overflow, flag};
use super::virtual_slots::{Line, VirtualClient};
use super::{Received, WireLimits};
use crate::ids::Slot;
use bytes::{Bytes, BytesMut};
use std::io;
use std::rc::Rc;
use std::task::Poll;

/// Bytes that may wait in each direction before the other side counts as slow.
const WINDOW_BYTES: usize = 64 * 1024;

/// Bytes that are reported to the core at a time, as for sockets, so that the core can pause the slot.
const PIECE_BYTES: usize = 8 * 1024;

/// The client's calls. After each of them the core's loop must be woken, as after all other calls of the wire.
impl Wire {
    /// Opens a connection, and returns its client. The caller limits how many there are.
    pub fn open_virtual(&mut self) -> VirtualClient {
        let slot = self.virtual_slots.free_slot();
        let client = VirtualClient { slot, changed: Rc::default() };
        let line = Line {
            input: BytesMut::new(),
            changed: client.changed.clone(),
            is_noted: false,
            is_drained: false,
            has_hung_up: false,
            is_broken: false,
        };
        self.virtual_slots.lines.insert(slot, line);
        self.slots.open_virtual(slot);
        client
    }

    /// Takes the next bytes for `client`, as they were sent, without a copy. `None` if no more will follow.
    pub fn take_sent(&mut self, client: &VirtualClient) -> Poll<Option<Bytes>> {
        let slot = client.slot;
        let Some(backlog) = self.slots.backlogs.get_mut(&slot) else {
            let goes_on = self.slots.has(slot, flag::OPEN) && !self.slots.has(slot, flag::SHUTTING);
            return if goes_on { Poll::Pending } else { Poll::Ready(None) };
        };
        let (bytes, before) = (backlog.front().cloned().unwrap_or_default(), backlog.bytes());
        backlog.advance(bytes.len());
        self.slots.backlog_bytes -= before - backlog.bytes();
        if backlog.front().is_none() {
            self.slots.backlogs.remove(&slot);
            if self.slots.has(slot, flag::BACKLOGGED) {
                self.slots.clear(slot, flag::BACKLOGGED);
                if let Some(line) = self.virtual_slots.lines.get_mut(&slot) {
                    line.is_drained = true;
                }
                self.virtual_slots.note(slot);
            }
        }
        Poll::Ready(Some(bytes))
    }

    /// Sends `bytes` from `client` to the core. They are accepted whole, or, if the window is full, not at all.
    ///
    /// # Errors
    /// `BrokenPipe` if the slot is closed.
    pub fn take_said(&mut self, client: &VirtualClient, bytes: &[u8]) -> Poll<io::Result<()>> {
        let line = self.virtual_slots.lines.get_mut(&client.slot);
        let Some(line) = line.filter(|_| self.slots.has(client.slot, flag::OPEN)) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if line.input.len() >= WINDOW_BYTES {
            return Poll::Pending;
        }
        line.input.extend_from_slice(bytes);
        self.virtual_slots.note(client.slot);
        Poll::Ready(Ok(()))
    }

    /// Ends the client's side: the core gets the bytes that `client` has sent, and then its end.
    pub fn hang_up(&mut self, client: &VirtualClient) {
        let slot = client.slot;
        let is_broken = self.slots.backlogs.contains_key(&slot);
        self.abandon_backlog(slot);
        self.slots.clear(slot, flag::BACKLOGGED);
        if !self.slots.has(slot, flag::OPEN) {
            self.virtual_slots.lines.remove(&slot);
        } else if let Some(line) = self.virtual_slots.lines.get_mut(&slot) {
            line.has_hung_up = true;
            line.is_broken = is_broken;
            self.virtual_slots.note(slot);
        }
    }
}

/// The core's calls.
impl Wire {
    /// Sends `data` to the client of a virtual slot.
    pub(super) fn send_virtual(&mut self, slot: Slot, data: Bytes) -> Result<(), Overflow> {
        let Some(line) = self.virtual_slots.lines.get_mut(&slot) else { return Ok(()) };
        if line.has_hung_up {
            line.is_broken = true;
            self.virtual_slots.note(slot);
            return Ok(());
        }
        if self.slots.has(slot, flag::BACKLOGGED) {
            return self.defer(slot, data, false);
        }
        line.changed.ring();
        // As for all clients: a slot without a backlog accepts data of any length.
        let WireLimits { backlog_bytes_total, .. } = self.limits;
        self.slots.backlog_bytes += Backlog::cost(&data);
        let backlog = self.slots.backlogs.entry(slot).or_default();
        backlog.push(data);
        if backlog.bytes() > WINDOW_BYTES || self.slots.backlog_bytes > backlog_bytes_total {
            self.slots.set(slot, flag::BACKLOGGED);
        }
        Ok(())
    }

    /// Makes the events of virtual slots.
    pub(super) fn look_at_virtual_slots(&mut self) {
        for slot in std::mem::take(&mut self.virtual_slots.noted) {
            self.look_at_virtual(slot);
        }
    }

    fn look_at_virtual(&mut self, slot: Slot) {
        let Some(line) = self.virtual_slots.lines.get_mut(&slot) else { return };
        line.is_noted = false;
        if !self.slots.has(slot, flag::OPEN) {
            return;
        }
        if std::mem::take(&mut line.is_drained) {
            self.events.push_back(WireEvent::Drained { slot });
        }
        let is_heard = !self.slots.has(slot, flag::PAUSED);
        if is_heard && !line.input.is_empty() {
            let waiting = line.input.len();
            let piece = line.input.split_to(waiting.min(PIECE_BYTES));
            self.events.push_back(WireEvent::Received { slot, bytes: Received::unsealed(piece.into()) });
            if line.input.is_empty() {
                // An idle client has no buffer.
                line.input = BytesMut::new();
            }
            if waiting >= WINDOW_BYTES && line.input.len() < WINDOW_BYTES {
                line.changed.ring();
            }
            if !line.input.is_empty() || line.has_hung_up {
                self.virtual_slots.note(slot);
            }
        } else if std::mem::take(&mut line.is_broken) {
            self.events.push_back(WireEvent::Failed { slot });
        } else if is_heard && line.has_hung_up {
            self.events.push_back(WireEvent::Ended { slot });
        }
    }

    /// Receives from the client of a virtual slot again.
    pub(super) fn resume_virtual(&mut self, slot: Slot) {
        self.virtual_slots.note(slot);
    }

    /// Ends the sending side of a virtual slot.
    pub(super) fn shutdown_virtual(&mut self, slot: Slot) {
        self.slots.set(slot, flag::SHUTTING);
        if let Some(line) = self.virtual_slots.lines.get_mut(&slot) {
            line.changed.ring();
        }
    }

    /// Closes a virtual slot. As with a socket, its client can still take data that was sent before, but no backlog.
    pub(super) fn close_virtual(&mut self, slot: Slot) {
        match self.slots.has(slot, flag::BACKLOGGED) {
            true => self.abandon_backlog(slot),
            false => self.abandon_corked(slot),
        }
        self.metered.remove(&slot);
        self.unpause(slot);
        self.slots.close_virtual(slot);
        let Some(line) = self.virtual_slots.lines.get_mut(&slot) else { return };
        line.input = BytesMut::new();
        line.changed.ring();
        if line.has_hung_up {
            self.virtual_slots.lines.remove(&slot);
        }
    }

    /// The number of virtual slots that are open, or whose client has not hung up.
    pub fn virtual_slots(&self) -> usize {
        self.virtual_slots.count()
    }
}

#[cfg(test)]
mod tests;
