//! Virtual slots: connections of the core without a descriptor, whose client is a task of the same core. To the core
//! above, a virtual slot is like any other: it has events, a backlog, a cork, it is paused and closed. What is sent to it
//! waits in its backlog until the client takes it, what the client says waits in its [`Line`] until the next poll
//! reports it, and nothing of both goes through the kernel.
//!
//! The bounds are those of a socket. Beyond [`WINDOW_BYTES`] that the client has not taken, the slot is backlogged, and
//! `backlog_bytes` bounds what else is sent to it; beyond as many that the core has not heard, the client waits. All of
//! what was sent and not taken is counted as unsent.
//!
//! No number of a virtual slot comes again before [`VIRTUAL_SLOTS`] others, so nothing that is late can be about another
//! connection, and tables forget a virtual slot when it is over.

use super::backlog::Backlog;
use super::events::{Event, Wire};
use super::slots::{Overflow, flag};
use super::{Received, WireLimits};
use crate::bell::Bell;
use crate::ids::{Slot, VIRTUAL_SLOTS};
use crate::slack::Look;
use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;
use std::io;
use std::rc::Rc;
use std::task::Poll;

/// Bytes that may wait on each side before the other is slow.
const WINDOW_BYTES: usize = 64 * 1024;
/// The core hears so many at a time, as of sockets, so that it can pause.
const PIECE_BYTES: usize = 8 * 1024;

/// The virtual slots of a core.
#[derive(Default)]
pub(super) struct VirtualSlots {
    lines: FxHashMap<Slot, Line>,
    /// Those of which something is to be reported; each once.
    noted: Vec<Slot>,
    /// The number of the next one.
    next: u32,
}

/// The client of a virtual slot.
pub struct VirtualClient {
    slot: Slot,
    /// Rung when there may be something to take, or room.
    changed: Rc<Bell>,
}

/// What is between a virtual slot and its client. It is there until the slot is closed and its client has hung up.
struct Line {
    /// What the client has said and the core has not heard.
    input: BytesMut,
    changed: Rc<Bell>,
    is_noted: bool,
    /// All that was backlogged is taken, which is to be reported.
    is_drained: bool,
    /// The client takes and says nothing more.
    has_hung_up: bool,
    /// There was something that it has not taken when it hung up, or afterwards.
    is_broken: bool,
}

impl VirtualSlots {
    /// Whether there is something to report.
    pub fn have_work(&self) -> bool {
        !self.noted.is_empty()
    }

    /// Those of which something is to be reported.
    pub fn noted(&self) -> &[Slot] {
        &self.noted
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// Has a look at its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.lines);
        look.at(&mut self.noted);
    }

    /// The next poll looks what there is to report of `slot`.
    fn note(&mut self, slot: Slot) {
        if let Some(line) = self.lines.get_mut(&slot)
            && !std::mem::replace(&mut line.is_noted, true)
        {
            self.noted.push(slot);
        }
    }

    fn free_slot(&mut self) -> Slot {
        loop {
            let slot = Slot::of_virtual(self.next);
            self.next = (self.next + 1) % VIRTUAL_SLOTS;
            if !self.lines.contains_key(&slot) {
                return slot;
            }
        }
    }
}

impl VirtualClient {
    /// Its slot.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Waits until there may be something to take, or room. Whether there is must be looked at right before, with no
    /// await in between.
    pub async fn changed(&self) {
        self.changed.rung().await;
    }
}

/// What the client does. The loop of the core must be woken afterwards, as after all that is asked of the wire.
impl Wire {
    /// A new connection, whose client is given. The caller bounds how many there are.
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

    /// Takes the next bytes that `client` was sent: as they were sent, without a copy. `None` when nothing follows.
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

    /// Takes all `bytes` that `client` says, if there is room: it may wait behind a window, and is not cut.
    ///
    /// # Errors
    /// `BrokenPipe` when its slot is closed.
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

    /// `client` is gone: the core hears what it has said, and then its end.
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

/// What the core does.
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
        // As for all clients: what is not backlogged takes a message, whatever its length.
        let WireLimits { backlog_bytes_total, .. } = self.limits;
        self.slots.backlog_bytes += Backlog::cost(&data);
        let backlog = self.slots.backlogs.entry(slot).or_default();
        backlog.push(data);
        if backlog.bytes() > WINDOW_BYTES || self.slots.backlog_bytes > backlog_bytes_total {
            self.slots.set(slot, flag::BACKLOGGED);
        }
        Ok(())
    }

    /// Reports what has happened at virtual slots.
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
            self.events.push_back(Event::Drained { slot });
        }
        let is_heard = !self.slots.has(slot, flag::PAUSED);
        if is_heard && !line.input.is_empty() {
            let waiting = line.input.len();
            let piece = line.input.split_to(waiting.min(PIECE_BYTES));
            self.events.push_back(Event::Received { slot, bytes: Received::unsealed(piece.into()) });
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
            self.events.push_back(Event::Failed { slot });
        } else if is_heard && line.has_hung_up {
            self.events.push_back(Event::Ended { slot });
        }
    }

    /// The core hears the client of a virtual slot again.
    pub(super) fn resume_virtual(&mut self, slot: Slot) {
        self.virtual_slots.note(slot);
    }

    /// Nothing follows for the client of a virtual slot.
    pub(super) fn shutdown_virtual(&mut self, slot: Slot) {
        self.slots.set(slot, flag::SHUTTING);
        if let Some(line) = self.virtual_slots.lines.get_mut(&slot) {
            line.changed.ring();
        }
    }

    /// Closes a virtual slot. As with a socket, its client can take what was sent before, but for a backlog.
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

    /// Virtual slots that are open, or whose client has not hung up.
    pub fn virtual_slots(&self) -> usize {
        self.virtual_slots.count()
    }
}

#[cfg(test)]
mod tests;
