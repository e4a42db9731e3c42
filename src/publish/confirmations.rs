//! The publish calls that wait until homes have confirmed their items.

use crate::bell::Bell;
use crate::slack::Look;
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// Awaited confirmations of homes, by ticket.
#[derive(Default)]
pub(super) struct Confirmations {
    waiting: FxHashMap<u64, Rc<Bell>>,
    tickets: u64,
}

impl Confirmations {
    /// Shows its table to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.waiting);
    }

    /// A new ticket, and the bell that rings when it is confirmed.
    pub fn expect(&mut self) -> (u64, Rc<Bell>) {
        self.tickets += 1;
        let bell = Rc::<Bell>::default();
        self.waiting.insert(self.tickets, bell.clone());
        (self.tickets, bell)
    }

    pub fn confirm(&mut self, ticket: u64) {
        if let Some(bell) = self.waiting.remove(&ticket) {
            bell.ring();
        }
    }

    /// Forgets `ticket`, because its publisher no longer waits.
    pub fn forget(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    /// How many confirmations are awaited, and the ticket of the one that has been awaited for longest.
    pub fn waiting(&self) -> (usize, Option<u64>) {
        (self.waiting.len(), self.waiting.keys().min().copied())
    }
}
