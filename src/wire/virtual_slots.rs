//! The virtual slots of a core: connections without a descriptor, whose client is a task of the same core.
//! `virtual_traffic` carries their data.
//!
//! The number of a virtual slot is used again only after [`VIRTUAL_SLOTS`] others, so late messages cannot reach
//! another connection, and tables forget a virtual slot when it is closed.

use crate::bell::Bell;
use crate::ids::{Slot, VIRTUAL_SLOTS};
use crate::slack::Look;
use bytes::BytesMut;
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// The virtual slots of a core.
#[derive(Default)]
pub(super) struct VirtualSlots {
    pub lines: FxHashMap<Slot, Line>,
    /// Slots with something to report, each once.
    pub noted: Vec<Slot>,
    /// The number for the next virtual slot.
    pub next: u32,
}

/// The client's side of a virtual slot.
pub struct VirtualClient {
    pub(super) slot: Slot,
    /// Rung when there may be data to take, or room for data.
    pub(super) changed: Rc<Bell>,
}

/// The connection between a virtual slot and its client. It exists until the slot is closed and the client has hung
/// up.
pub(super) struct Line {
    /// Bytes from the client that are not yet reported to the core.
    pub input: BytesMut,
    pub changed: Rc<Bell>,
    pub is_noted: bool,
    /// The backlog has become empty, which is to be reported.
    pub is_drained: bool,
    /// The client is gone.
    pub has_hung_up: bool,
    /// The client has not taken all data that was sent to it before it hung up, or afterwards.
    pub is_broken: bool,
}

impl VirtualSlots {
    /// Whether there is something to report.
    pub fn have_work(&self) -> bool {
        !self.noted.is_empty()
    }

    /// The slots with something to report.
    pub fn noted(&self) -> &[Slot] {
        &self.noted
    }

    /// The number of virtual slots.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// Lets `look` shrink its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.lines);
        look.at(&mut self.noted);
    }

    /// Has the next poll report the changes of `slot`.
    pub fn note(&mut self, slot: Slot) {
        if let Some(line) = self.lines.get_mut(&slot)
            && !std::mem::replace(&mut line.is_noted, true)
        {
            self.noted.push(slot);
        }
    }

    /// A virtual slot that is not in use.
    pub fn free_slot(&mut self) -> Slot {
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
    /// The client's slot.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Waits until there may be data to take, or room for data. The caller checks for both right before this call,
    /// with no await in between.
    pub async fn changed(&self) {
        self.changed.rung().await;
    }
}
