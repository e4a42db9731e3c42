//! The virtual slots of a core, which are connections without a descriptor, whose client is a task of the same core, and
//! what is between each and its client. `virtual_traffic` carries it.
//!
//! No number of a virtual slot comes again before [`VIRTUAL_SLOTS`] others, so nothing that is late can be about another
//! connection, and tables forget a virtual slot when it is over.

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
    /// Those of which something is to be reported; each once.
    pub noted: Vec<Slot>,
    /// The number of the next one.
    pub next: u32,
}

/// The client of a virtual slot.
pub struct VirtualClient {
    pub(super) slot: Slot,
    /// Rung when there may be something to take, or room.
    pub(super) changed: Rc<Bell>,
}

/// What is between a virtual slot and its client. It is there until the slot is closed and its client has hung up.
pub(super) struct Line {
    /// What the client has said and the core has not heard.
    pub input: BytesMut,
    pub changed: Rc<Bell>,
    pub is_noted: bool,
    /// All that was backlogged is taken, which is to be reported.
    pub is_drained: bool,
    /// The client takes and says nothing more.
    pub has_hung_up: bool,
    /// There was something that it has not taken when it hung up, or afterwards.
    pub is_broken: bool,
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
    pub fn note(&mut self, slot: Slot) {
        if let Some(line) = self.lines.get_mut(&slot)
            && !std::mem::replace(&mut line.is_noted, true)
        {
            self.noted.push(slot);
        }
    }

    /// A slot that nobody has.
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
