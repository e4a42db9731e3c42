//! Publishers that wait until homes have confirmed what they published.

use crate::bell::Bell;
use crate::slack::Look;
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// Publishers that wait for homes to confirm what they published, by ticket.
#[derive(Default)]
pub(super) struct Confirmations {
    waiting: FxHashMap<u64, Rc<Bell>>,
    tickets: u64,
}

impl Confirmations {
    /// Has a look at its tables.
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

    /// Nobody waits for `ticket` any more.
    pub fn forget(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    /// How many are on their way, and the ticket of the one that has been for longest.
    pub fn waiting(&self) -> (usize, Option<u64>) {
        (self.waiting.len(), self.waiting.keys().min().copied())
    }
}
