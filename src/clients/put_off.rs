//! Requests that may not begin now, because the clients are being handed over to another process. Their bytes are kept
//! like those of an incomplete head, and are read when requests may begin again, here or in the other process.

use super::Clients;
use super::exchange::INBOX_BYTES;
use super::row::{Carry, Phase};
use crate::context::Life;
use crate::ids::Slot;
use std::rc::Rc;

impl Clients {
    /// Whether the next request of the client in `slot` may not begin now.
    pub(super) fn begins_no_request(&self, slot: Slot) -> bool {
        match self.context.gate.life() {
            Life::Serving | Life::HandedOver => false,
            Life::Settling => {
                self.rows.borrow_mut().get(slot).is_some_and(|row| row.service.is_for_clients())
            }
            Life::Finishing | Life::Quiet => true,
        }
    }

    /// Keeps `bytes` of a request that may not begin now, behind those in `carry`.
    pub(super) fn put_off(&self, slot: Slot, carry: Option<Box<Carry>>, bytes: &[u8]) {
        let kept = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            row.carry = carry;
            row.keep(bytes, row.owner(slot, &self.context.accounts))
        };
        if kept > INBOX_BYTES {
            self.pause(slot);
        }
    }

    /// Has the loop read all requests that were put off.
    pub fn read_put_off(self: &Rc<Self>) {
        let put_off: Vec<Slot> = {
            let rows = self.rows.borrow();
            let waiting = rows.some(0, rows.places());
            let waiting = waiting.filter(|(_, row)| matches!(row.phase, Phase::Head) && row.carry.is_some());
            waiting.map(|(slot, _)| slot).collect()
        };
        self.pipelined.borrow_mut().extend(put_off);
        self.context.wake();
    }

    /// How many requests are being answered: of clients, and of operators and publishers.
    pub fn exchanges(&self) -> (usize, usize) {
        let rows = self.rows.borrow();
        let all = rows.some(0, rows.places()).filter(|(_, row)| matches!(row.phase, Phase::Exchange(_)));
        all.fold((0, 0), |(clients, others), (_, row)| match row.service.is_for_clients() {
            true => (clients + 1, others),
            false => (clients, others + 1),
        })
    }
}
